"""What answers for rows without labels say of a network: validators that need no target label.

Each gives every candidate a number, larger is better; none of them is right on every pair (``benchmarks/choosing``).
Of classification alone: of numbers, only `source_risk` and `weighted_risk` can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import norm

Array = np.ndarray
LEAST = 1e-12
"""The least probability that a logarithm is taken of."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What one candidate answers.

    Attributes
    ----------
    losses
        Of each held-out source row, ``(n,)``.
    right
        Whether its likeliest class was right there, ``(n,)`` bool.
    source
        Class probabilities of these rows, ``(n, k)``.
    target
        Class probabilities of target rows, ``(m, k)``.
    back
        Whether the candidate's method is right for these source rows where it moves knowledge back: from the target's
        rows, with the classes that it gave them, to the source, ``(n,)`` bool; ``None`` where that was not tried.
    """

    losses: Array
    right: Array
    source: Array
    target: Array
    back: Array | None = None


@dataclass(frozen=True, eq=False)
class Beside:
    """What all candidates have in common.

    Attributes
    ----------
    odds
        Density ratio p(target) / p(source) at each held-out source row, ``(n,)``.
    first
        Which candidate is the source as it is.
    """

    odds: Array
    first: int = 0


Validator = Callable[[list[Answers], Beside], Array]
"""A number for each candidate, larger is better, ``(c,)``."""


def source_risk(found: list[Answers], beside: Beside) -> Array:
    """Minus the mean loss on held-out source rows."""
    return -np.array([each.losses.mean() for each in found])


def weighted_risk(found: list[Answers], beside: Beside) -> Array:
    """The same with each row weighted by how likely it would be in the target (importance-weighted validation).

    References
    ----------
    Sugiyama, Krauledat and Müller, "Covariate shift adaptation by importance weighted cross validation", JMLR 2007.
    """
    return -np.array([np.average(each.losses, weights=beside.odds) for each in found])


def controlled_risk(found: list[Answers], beside: Beside) -> Array:
    r"""The weighted risk with the weights, whose mean is known to be 1, as a control variate.

    .. math:: \overline{w l} + \eta (\bar w - 1), \quad \eta = -\operatorname{cov}(w l, w) / \operatorname{var}(w)

    References
    ----------
    You, Wang, Long and Jordan, "Towards accurate model selection in deep unsupervised domain adaptation", ICML 2019.
    """
    weights = beside.odds
    spread = weights.var()

    def risk(losses: Array) -> float:
        weighted = weights * losses
        factor = -np.cov(weighted, weights, bias=True)[0, 1] / spread if spread > 0 else 0.0
        return float(weighted.mean() + factor * (weights.mean() - 1))

    return -np.array([risk(each.losses) for each in found])


def entropy(found: list[Answers], beside: Beside) -> Array:
    """Minus the mean entropy of the answers for target rows: how sure they are."""
    return -np.array([entropies(each.target).mean() for each in found])


def information(found: list[Answers], beside: Beside) -> Array:
    """Mutual information of rows and answers: sure of each row, and all classes used.

    References
    ----------
    Shi and Sha, "Information-theoretical learning of discriminative clusters for unsupervised domain adaptation",
    ICML 2012.
    """
    return np.array([entropies(each.target.mean(0)[None])[0] - entropies(each.target).mean() for each in found])


def neighbourhood_density(found: list[Answers], beside: Beside) -> Array:
    """Mean entropy of how alike each target row's answer is to those of all others (soft neighbourhood density).

    References
    ----------
    Saito, Kim, Teterwak, Sclaroff, Darrell and Saenko, "Tune it the right way: Unsupervised validation of domain
    adaptation via soft neighborhood density", ICCV 2021 (temperature 0.05).
    """
    return np.array([density(each.target) for each in found])


def nearest_to_mean(found: list[Answers], beside: Beside) -> Array:
    """How often a candidate's class is that of the mean of all candidates' probabilities (EnsV).

    References
    ----------
    Hu, Luo, Liang and Foo, "Towards reliable model selection for unsupervised domain adaptation: An empirical study and
    a certified baseline", NeurIPS 2024.
    """
    mean = np.mean([each.target for each in found], axis=0).argmax(1)
    return np.array([(each.target.argmax(1) == mean).mean() for each in found])


def transfer_loss(found: list[Answers], beside: Beside) -> Array:
    """Minus the error on held-out source rows, and minus how often the answer for a target row is not the source's."""
    before = found[beside.first].target.argmax(1)
    return -np.array([(~each.right).mean() + (each.target.argmax(1) != before).mean() for each in found])


def confidence_threshold(found: list[Answers], beside: Beside) -> Array:
    """Estimated target accuracy: the share of rows above the confidence that as many source rows exceed as are right.

    References
    ----------
    Garg, Balakrishnan, Lipton, Neyshabur and Sedghi, "Leveraging unlabeled data to predict out-of-distribution
    performance", ICLR 2022 (ATC, by negative entropy).
    """
    return np.array([thresholded(-entropies(e.source), e.right, -entropies(e.target)) for e in found])


def confidence_difference(found: list[Answers], beside: Beside) -> Array:
    """Estimated target accuracy: that on the source less the drop of the mean confidence.

    References
    ----------
    Guillory, Shankar, Ebrahimi, Darrell and Schmidt, "Predicting with confidence on unseen distributions", ICCV 2021.
    """
    return np.array([e.right.mean() - (e.source.max(1).mean() - e.target.max(1).mean()) for e in found])


def agreement_on_the_line(found: list[Answers], beside: Beside) -> Array:
    """Estimated target accuracy: on the line from agreements on the source to agreements on the target.

    How often two candidates give a row the same class is known for both domains. Its line, in units of the normal
    distribution, is that of their accuracies.

    References
    ----------
    Baek, Jiang, Raghunathan and Kolter, "Agreement-on-the-line: Predicting the performance of neural networks under
    distribution shift", NeurIPS 2022 (ALine-S).
    """
    theirs = agreements([each.source for each in found])
    ours = agreements([each.target for each in found])
    accuracies = np.array([each.right.mean() for each in found])
    rows = len(found[0].source)
    x = normal_units(theirs, rows)
    y, slope, intercept = normal_units(ours, len(found[0].target)), 1.0, 0.0
    if len(np.unique(x)) > 1:  # two points or more make a line; without it accuracies are those of the source
        slope, intercept = np.polyfit(x, y, 1)
    return np.asarray(norm.cdf(slope * normal_units(accuracies, rows) + intercept))


def moved_back(found: list[Answers], beside: Beside) -> Array:
    """Accuracy on the source's rows where the method moves back (circular validation); 0 where that was not tried.

    References
    ----------
    Bruzzone and Marconcini, "Domain adaptation problems: A DASVM classification technique and a circular validation
    strategy", IEEE TPAMI 2010.
    """
    return np.array([0.0 if each.back is None else each.back.mean() for each in found])


VALIDATORS: Mapping[str, Validator] = {
    "source risk": source_risk,
    "weighted risk": weighted_risk,
    "controlled risk": controlled_risk,
    "entropy": entropy,
    "information": information,
    "neighbourhood density": neighbourhood_density,
    "nearest to the mean": nearest_to_mean,
    "transfer loss": transfer_loss,
    "confidence threshold": confidence_threshold,
    "confidence difference": confidence_difference,
    "agreement on the line": agreement_on_the_line,
    "moved back": moved_back,
}


def entropies(p: Array) -> Array:
    """Entropy of each row of probabilities ``(n, k)``, ``(n,)``, in nats."""
    return np.asarray(-(p * np.log(np.maximum(p, LEAST))).sum(1))


def agreements(found: list[Array]) -> Array:
    """How often every two of some candidates, probabilities ``(n, k)`` each, give a row the same class."""
    return np.array([(a.argmax(1) == b.argmax(1)).mean() for a, b in combinations(found, 2)])


def normal_units(shares: Array, rows: int) -> Array:
    """Quantiles of the standard normal distribution; shares of 0 and 1 count as half a row."""
    return np.asarray(norm.ppf(np.clip(shares, 0.5 / rows, 1 - 0.5 / rows)))


def density(p: Array, temperature: float = 0.05) -> float:
    """Mean entropy of the soft neighbourhoods of rows ``(m, k)`` by cosine similarity."""
    unit = p / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), LEAST)
    alike = unit @ unit.T / temperature
    np.fill_diagonal(alike, -np.inf)
    share = np.exp(alike - alike.max(1, keepdims=True))
    return float(entropies(share / share.sum(1, keepdims=True)).mean())


def thresholded(source: Array, right: Array, target: Array) -> float:
    """The share of target confidences ``(m,)`` above the value that the share `right` of the source's exceeds."""
    threshold = np.quantile(source, 1 - right.mean(), method="higher") if right.any() else np.inf
    return float((target >= threshold).mean())
