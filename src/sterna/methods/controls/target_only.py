"""target-only: the best cheap learner on target labels alone."""

from __future__ import annotations

from sterna.bench import Bench, Fitted
from sterna.bench.plain import plain_learner
from sterna.methods.method import Method, Needs


class TargetOnly(Method):
    """The best cheap learner on target labels alone, without any source.

    Tables: gradient boosting, extra trees, and logistic or ridge regression on standardised columns. Texts: logistic
    or ridge regression, and complement naive Bayes, on TF-IDF of words and of characters (the latter for languages
    without spaces, too). Images: logistic or ridge regression on 32 x 32 pixels; the other control, ``scratch``, trains
    a network. Audio: as tables, on the mean and deviation of each log-mel band over time and its mean in each third of
    the recording. The learner and its penalty are chosen by cross-validation on the training labels;
    the held-out predictions also say how sure trees and naive Bayes may be, and where classes are uneven what all
    intercepts lack.

    References
    ----------
    Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001. Wang and
    Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012.
    """

    needs = Needs.TARGET_LABELS

    def run(self, bench: Bench) -> Fitted:
        return plain_learner(bench)
