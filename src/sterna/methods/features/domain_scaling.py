"""domain-scaling: each domain standardised by itself."""

from __future__ import annotations

from sterna.bench import Bench, Fitted
from sterna.bench.vectors import each_scaled
from sterna.methods.method import Method, Needs


class DomainScaling(Method):
    """Each domain is standardised by its own mean and deviation; a head is fitted on the source's rows.

    What moves: the source's labels, over features that were brought to one scale. With μ and σ of each feature in
    each domain, a linear head is fitted on (x_s − μ_s) / σ_s and predicts for (x_t − μ_t) / σ_t; the target's μ_t and
    σ_t need no label and are folded into the head. Labelled target rows, where there are some, join the fit. The
    features are those of the source model, or a table's columns; of images without a source model, those of a small
    network trained on the source's rows. The penalty of the head is chosen by cross-validation on the labels it is
    fitted on.

    When to use it: features that drifted, each by a shift and a factor of its own (sensors, scanners, batches of a
    laboratory), before anything more elaborate. When it hurts: classes in other shares than in the source, for then
    the means differ although the features did not drift; and fewer than some tens of target rows.

    References
    ----------
    Li, Wang, Shi, Liu and Hou, "Revisiting batch normalization for practical domain adaptation", ICLR workshop 2017
    (the same inside a network). Johnson, Li and Rabinovic, "Adjusting batch effects in microarray expression data
    using empirical Bayes methods", Biostatistics 2007 (location and scale of each laboratory batch).
    """

    needs = Needs.LIKE_SOURCE
    suits = Needs.COMPARABLE

    def run(self, bench: Bench) -> Fitted:
        rows = each_scaled(bench)
        return rows.fit(rows.source)
