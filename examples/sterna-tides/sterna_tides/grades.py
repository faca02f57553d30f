"""grades: one class out of several that stand in an order."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn.functional import one_hot

from sterna.errors import RequestError
from sterna.tasks import Classification, Task
from sterna.tasks.metrics import weighted_mean
from sterna.tasks.statistics import Statistics


@dataclass(frozen=True)
class Grades(Task):
    """One grade out of several in an order, such as calm, watch, warning: a mistake by two is worse than one by one.

    Outputs are one logit a grade. The answer is the median grade of the probabilities, which has the smallest mean
    error. Targets are the numbers of the grades, -1 where there is no label.
    """

    classes: tuple[str, ...]
    metric: str = "grade_error"
    id = "grades"
    asks = "a grade"
    one_class = True  # rows may be drawn and balanced by it
    tie_metric = "log_loss"
    errors = frozenset({"grade_error", "log_loss"})

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        self.known_metric(self.metric)

    @classmethod
    def of_labels(cls, domain, metric, fit):
        """In the order that the domain names its classes in."""
        if domain.classes is None:
            raise RequestError(f"The domain {domain.name!r} does not name its grades in their order; use .tides files.")
        return cls(domain.classes, metric or "grade_error")

    @cached_property
    def plain(self):
        """The same classes without their order: what it shares with it is asked there."""
        return Classification(self.classes)

    @property
    def outputs(self):
        return len(self.classes)

    # -- labels and answers --------------------------------------------------------------------------

    def encode(self, labels):
        return self.plain.encode(labels)

    def decode(self, targets):
        return self.plain.decode(targets)

    def takes(self, labels):
        """Whether labels of a source could be grades; without it they would be classes, of another task."""
        return labels.dtype == object

    def labelled(self, targets):
        return self.plain.labelled(targets)

    def probabilities(self, outputs):
        return self.plain.probabilities(outputs)

    def codes(self, outputs):
        """The median grade of each row, ``(n,)``: the first that more than half of the probability does not exceed."""
        return (self.probabilities(outputs).cumsum(axis=1)[:, :-1] < 0.5).sum(axis=1)

    def answers(self, outputs):
        return self.decode(self.codes(outputs))

    # -- learning ------------------------------------------------------------------------------------

    def losses(self, outputs, targets, label_smoothing=0.0):
        """For each step between two grades minus the log-probability of the label's side of it, ``(n,)``."""
        below = outputs.log_softmax(1).logcumsumexp(1)[:, :-1]
        above = outputs.log_softmax(1).flip(1).logcumsumexp(1).flip(1)[:, 1:]
        shares = one_hot(targets, self.outputs) if targets.ndim == 1 else targets
        higher = shares.flip(1).cumsum(1).flip(1)[:, 1:]
        return -(higher * above + (1 - higher) * below).sum(1)

    def as_features(self, outputs):
        return self.plain.as_features(outputs)

    def mean_of(self, answers, weights):
        return self.plain.mean_of(answers, weights)

    def linear_estimator(self, strength):
        return self.plain.linear_estimator(strength)

    def boosting_estimator(self, leaf):
        return self.plain.boosting_estimator(leaf)

    def from_estimator(self, estimator, x):
        return self.plain.from_estimator(estimator, x)

    # -- scores --------------------------------------------------------------------------------------

    def metric_names(self):
        """The mean number of grades by which answers are wrong; the share of right ones; the mean loss."""
        return ("grade_error", "accuracy", "log_loss")

    def statistics(self, outputs, targets, names=None):
        """Of each row its ``code``, the code of the ``answer``, and its ``loss``."""
        self.wanted(names)
        logits, codes = self.checked(outputs, targets), np.asarray(targets)
        losses = self.losses(torch.from_numpy(logits), torch.from_numpy(codes)).numpy()
        return Statistics({"code": codes, "answer": self.codes(logits), "loss": losses})

    def measured(self, statistics, weights, names):
        apart = np.abs(statistics["answer"] - statistics["code"])
        return {
            "grade_error": weighted_mean(weights, apart),
            "accuracy": weighted_mean(weights, apart == 0),
            "log_loss": weighted_mean(weights, statistics["loss"]),
        }

    def state(self):
        return {"id": self.id, "classes": list(self.classes), "metric": self.metric}
