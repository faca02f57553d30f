"""Transfer as scikit-learn estimators: in pipelines, grid searches and cross-validation.

>>> from sterna.sklearn import TransferClassifier
>>> model = TransferClassifier(method="pooled")
>>> model.fit(X, y, source_X=known_X, source_y=known_y).predict(new_X)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from sterna.domains import Domain
from sterna.domains.draws import draw_rows
from sterna.domains.given import given_inputs, is_frame
from sterna.domains.groups import unit_ids
from sterna.domains.splits import VALIDATION, Splits
from sterna.errors import RequestError
from sterna.experiment.problem import applied_balance, make_problem
from sterna.experiment.units import seeded
from sterna.methods.method import check_needs, make_method, method_ids
from sterna.methods.needs import have
from sterna.sources import Source, load_source
from sterna.tasks import infer_task
from sterna.tasks.task import Task
from sterna.training.schedule import Budget
from sterna.training.trainer import Trainer

Array = np.ndarray[Any, Any]


class _Transfer(BaseEstimator):  # type: ignore[misc]
    """What both have in common."""

    def __init__(
        self,
        method: str = "auto",
        *,
        settings: Mapping[str, Any] | None = None,
        metric: str | None = None,
        balance: str = "auto",
        epochs: int | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.method = method
        self.settings = settings
        self.metric = metric
        self.balance = balance
        self.epochs = epochs
        self.seed = seed
        self.device = device

    def fit(
        self, X: Any, y: Any, *, X_unlabelled: Any = None, source: Any = None, source_X: Any = None,
        source_y: Any = None, weight: Any = None,
    ) -> Self:  # fmt: skip
        """Learn the target from its labelled rows and from what is known already.

        Parameters
        ----------
        X
            Labelled rows of the target, n of them: an array ``(n, columns)``, a DataFrame, a list of texts, of PIL
            images or of arrays, or an array of images ``(n, height, width[, channels])``.
        y
            Their labels, ``(n,)``.
        X_unlabelled
            Rows of the target without labels, as `X`.
        source
            A :class:`~sterna.Source`, a spec for :func:`~sterna.load_source`, or a torch module.
        source_X, source_y
            Labelled rows of the source, as `X` and `y`.
        weight
            How much each row of `X` counts, ``(n,)``.
        """
        if (source_X is None) != (source_y is None):
            raise RequestError("source_X and source_y belong together; give both, or neither.")
        X, y = self._checked(X, y)
        labels, known = self._encoded(y, source_y)
        domain = self._domain(X, labels, "X", weight)
        self._reading = dict(domain.reading)
        rows, hidden = np.arange(len(domain)), None if X_unlabelled is None else self._inputs(X_unlabelled, reset=False)
        validation = draw_rows(rows, labels, unit_ids(domain).__getitem__, VALIDATION, self.seed)
        none = np.empty(0, dtype=np.int64)
        splits = Splits(np.setdiff1d(rows, validation), validation, none, none)
        found = self._source(source, source_X, known)
        task = infer_task(domain, self._task, self.metric)
        balance = applied_balance(self.balance, task, by_metric=True)
        problem = make_problem(() if found is None else (found,), domain, task, splits, balance, self.seed)
        if hidden is not None:
            problem = replace(problem, unlabelled=hidden)
        method = make_method(self.method, self.settings)
        check_needs(method, have(problem), list(method_ids()))
        trainer = Trainer(seed=self.seed, device=self.device, budget=Budget(self.epochs))
        again = method.refits(problem) and len(problem.validation) > 0
        self.network_ = seeded(method, problem.joined() if again else problem, trainer).network
        self.chosen_ = trainer.log.chosen
        self.messages_ = tuple(trainer.log.messages)
        return self

    def _checked(self, X: Any, y: Any) -> tuple[Any, Array]:
        """Rows and labels of one length; numbers in arrays are checked as scikit-learn does."""
        if _is_matrix(X):
            number = self._task == "regression"
            found: tuple[Any, Array] = validate_data(
                self, X, y, ensure_all_finite="allow-nan", ensure_min_samples=2, y_numeric=number
            )
            return found
        validate_data(self, X, skip_check_array=True)
        check_consistent_length(X, y)
        return X, column_or_1d(y, warn=True)

    def _inputs(self, X: Any, *, reset: bool) -> Domain:
        """Rows without labels, read as those that were learnt from."""
        if _is_matrix(X):
            X = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan")
        else:
            validate_data(self, X, reset=reset, skip_check_array=True)
        return given_inputs(X, self._kind, self._reading)

    def _domain(self, X: Any, labels: Array | None, name: str, weights: Any = None) -> Domain:
        classes = [str(each) for each in self.classes_] if self._task == "classification" else None
        found = Domain.from_arrays(X, labels, name=name, classes=classes, weights=weights)
        self._kind = found.kind
        return found

    def _source(self, source: Any, X: Any, labels: Array | None) -> Source | None:
        """What is known already, as one source."""
        found = source if isinstance(source, Source) or source is None else load_source(source)
        if X is None:
            return found
        names = list(getattr(self, "feature_names_in_", ()))
        if is_frame(X) and names and set(names) <= set(X.columns):
            X = X[names]
        data = self._domain(np.asarray(X) if _is_matrix(X) else X, labels, "source_X")
        return Source(spec="source_X", data=data) if found is None else found.with_data(data)

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self)
        return Trainer(device=self.device).outputs(self.network_, self._inputs(X, reset=False).inputs)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.non_deterministic = False
        return tags


class TransferClassifier(ClassifierMixin, _Transfer):  # type: ignore[misc]
    """A classifier that learns from a target's labels and from what is known already.

    Parameters
    ----------
    method
        Id of a method (see ``sterna methods``), or ``"auto"``: the best of what fits, by held-out labels.
    settings
        The method's settings.
    metric
        What it is chosen by; by how even the classes are if ``None``.
    balance
        ``"none"``, ``"weights"``, ``"sampler"`` or ``"auto"``, as in :func:`sterna.transfer`.
    epochs
        Budget of each training stage.
    seed
        Of all that is random.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
        The classes of `y` and of `source_y`.
    network_ : Network
        What was learnt.
    chosen_ : dict
        What was chosen, by name: the method, say.
    messages_ : tuple of str
        What the user should know, one sentence each.
    """

    _task = "classification"

    def _encoded(self, y: Array, source_y: Any) -> tuple[Array, Array | None]:
        check_classification_targets(y)
        known = None if source_y is None else column_or_1d(source_y)
        self.classes_ = np.unique(y if known is None else np.concatenate([y, known]))
        if len(self.classes_) < 2:
            raise RequestError(f"y holds one class only, {self.classes_[0]!r}; two or more are needed.")
        return np.searchsorted(self.classes_, y), None if known is None else np.searchsorted(self.classes_, known)

    def predict_proba(self, X: Any) -> Array:
        """Probability of each class, ``(n, k)``, in the order of `classes_`."""
        outputs = self._outputs(X)
        return self._answering().probabilities(outputs)

    def predict(self, X: Any) -> Array:
        """The likeliest class of each row, ``(n,)``."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        found: Array = self.classes_[likeliest]
        return found

    def _answering(self) -> Task:
        assert self.network_.task is not None
        return self.network_.task


class TransferRegressor(RegressorMixin, _Transfer):  # type: ignore[misc]
    """A regression that learns from a target's numbers and from what is known already.

    Parameters and attributes are those of :class:`TransferClassifier`, without classes.
    """

    _task = "regression"

    def _encoded(self, y: Array, source_y: Any) -> tuple[Array, Array | None]:
        return y.astype(np.float64), None if source_y is None else column_or_1d(source_y).astype(np.float64)

    def predict(self, X: Any) -> Array:
        """The number of each row, ``(n,)``."""
        outputs = self._outputs(X)
        assert self.network_.task is not None
        return np.asarray(self.network_.task.answers(outputs), dtype=np.float64)


def _is_matrix(X: Any) -> bool:
    """Whether rows are numbers in columns, and no texts, images or columns of other kinds."""
    if isinstance(X, Domain):
        return False
    if is_frame(X):
        return all(dtype.kind in "biuf" for dtype in X.dtypes)
    if isinstance(X, (list, tuple)):
        return bool(len(X)) and np.ndim(X[0]) == 1 and not isinstance(X[0], str)
    return getattr(X, "ndim", 2) == 2 or (getattr(X, "ndim", 3) < 2 and X.dtype.kind in "biuf")
