"""example-weighting: every source example counts, the more the more it is like the target's."""

from __future__ import annotations

import numpy as np
from pydantic import Field
from scipy.optimize import brentq

from sterna.bench import Bench, Fitted
from sterna.bench.density_ratio import both_domains, likeness
from sterna.bench.heads import fit_on_head
from sterna.bench.problem import Array
from sterna.methods.method import Method, Needs

LEAST = 0.5
"""Share of the source's rows that the weighted ones must be worth, where the power is chosen."""


class ExampleWeighting(Method):
    """Every source row counts by how likely it would be in the target; a head learns from all rows together.

    What moves: the source's labelled rows, n of them, row i with the weight

        wᵢ ∝ (p(target | xᵢ) / p(source | xᵢ))ᵖ,   mean 1 over the source's rows, cut at √n times the mean,

    the odds of a logistic regression that tells the two domains apart on the body's features, to the power p. It is
    cross-fitted: no row is scored by a classifier that saw it. A linear classifier's odds grow without end, so a
    row that is farther from its nearest target rows than two random rows are from each other counts for less. Where
    the domains are alike, all weights are near 1.

    Weighted rows are worth fewer rows: n_e = (Σ w)² / Σ w². The full odds (p = 1) often leave a handful, so p is the
    largest power up to 1 that leaves n/2: the variance that weighting adds is at most doubled. Each labelled target
    row counts n / n_e beside the source's mean of 1, as if there were n_e source rows that count 1 each; with alike
    domains that is ``pooled``. No target label is needed; the head's penalty is chosen by cross-validation on the
    weighted rows.

    When to use it: the target asks for the same predictions of other inputs (covariate shift): other ages, other
    topics. When it hurts: where the same inputs mean something else in the target, or the domains share no region at
    all.

    References
    ----------
    Shimodaira, "Improving predictive inference under covariate shift by weighting the log-likelihood function",
    Journal of Statistical Planning and Inference 2000 (weights to a power). Bickel, Brückner and Scheffer,
    "Discriminative learning for differing training and test distributions", ICML 2007 (a domain classifier's odds).
    Ionides, "Truncated importance sampling", Journal of Computational and Graphical Statistics 2008 (the cut at √n).
    Kish, "Survey sampling", 1965 (the effective number of rows).
    """

    needs = Needs.SOURCE_DATA | Needs.SAME_TASK | Needs.SAME_INPUTS | Needs.UNLABELLED_TARGET
    suits = Needs.COMPARABLE

    power: float | None = Field(
        None, ge=0, le=1, description="power of the odds; the largest that leaves half of the rows' worth if none"
    )

    def ablated(self) -> ExampleWeighting:
        return self.model_copy(update={"power": 0.0})

    def run(self, bench: Bench) -> Fitted:
        both = both_domains(bench)
        odds = likeness(both, bench.seed)
        power = fitting_power(odds) if self.power is None else self.power
        weights = weights_of(odds, power)
        rows, effective = len(weights), effective_rows(weights)
        bench.say(
            f"Weighted by their odds to the power {power:.2f}, the {rows:,} source rows are worth {effective:,.0f} "
            "rows of equal weight."
        )
        x, ours = np.concatenate([both.labelled, both.source]), both.targets
        targets = np.concatenate([ours, both.source_targets]) if len(ours) else both.source_targets
        counts = np.concatenate([both.weights * rows / effective, weights * both.source_weights])
        units = np.concatenate([both.labelled_units, both.source_units])
        of = "source and target" if len(ours) else "source"
        return fit_on_head(bench, both.vectors.network, x, targets, counts, of, units, both.order)


def weights_of(odds: Array, power: float = 1.0) -> Array:
    """Odds ``(n,)`` to a power as weights with mean 1; what is above √n times the mean is cut first.

    Examples
    --------
    >>> weights_of(np.array([1.0, 1.0, 2.0])).tolist()
    [0.75, 0.75, 1.5]
    """
    weights = (odds / odds.max()) ** power
    weights = np.minimum(weights, np.sqrt(len(weights)) * weights.mean())
    return np.asarray(weights / weights.mean())


def effective_rows(weights: Array) -> float:
    """How many rows of equal weight these are worth: (Σ w)² / Σ w².

    Examples
    --------
    >>> effective_rows(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def fitting_power(odds: Array, least: float = LEAST) -> float:
    """The largest power up to 1 that leaves this share of effective rows, to within a thousandth."""

    def excess(power: float) -> float:
        return effective_rows(weights_of(odds, power)) / len(odds) - least

    return 1.0 if excess(1.0) >= 0 else float(brentq(excess, 0.0, 1.0, xtol=1e-3))
