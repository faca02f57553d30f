"""What a transfer gives back: a network, and the evidence for it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains import Domain
from sterna.domains.given import given_inputs, has_columns, without_columns
from sterna.domains.groups import group_codes
from sterna.domains.learnt import read_learnt
from sterna.domains.load_alike import load_as_learnt, told_anew
from sterna.domains.manifests import is_labelled_by_folders
from sterna.domains.unlabelled import load_inputs, unread_words
from sterna.errors import RequestError
from sterna.evaluation import Gain, Score, score
from sterna.experiment import shown
from sterna.experiment.overlaps import known_rows
from sterna.kinds.kind import kind_of
from sterna.networks.network import Network
from sterna.networks.trust import functions_named
from sterna.record.record import Record
from sterna.report import write_report
from sterna.store.place import standing
from sterna.store.run import RunFolder
from sterna.tasks.task import Task
from sterna.training.progress import Progress
from sterna.training.trainer import Trainer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Transfer:
    """The outcome of :func:`sterna.transfer`.

    Attributes
    ----------
    evidence
        All that is known of the run.
    folder
        The run folder.
    """

    evidence: Record
    folder: RunFolder
    _temporary: tempfile.TemporaryDirectory[str] | None = None
    _trust: tuple[str, ...] = ()
    _noted: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return shown.line(self.evidence)

    def _repr_html_(self) -> str:
        return shown.table(self.evidence)

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """The evidence as plain names and values, as ``sterna transfer --json`` prints it."""
        return self.evidence.plain()

    @property
    def method(self) -> str:
        """Id of the method."""
        return self.evidence.method

    @property
    def scores(self) -> dict[str, Score]:
        """Every metric on the test split, with its 95 % interval."""
        return shown.Scores(self.evidence.scores)

    @property
    def controls(self) -> dict[str, dict[str, Score]]:
        """The same for each control."""
        return {name: shown.Scores(found) for name, found in self.evidence.controls.items()}

    @property
    def gain(self) -> Gain | None:
        """What the transfer was worth against the headline control; ``None`` without controls."""
        return self.evidence.gain

    @property
    def gains(self) -> dict[str, Gain]:
        """The gain against each control."""
        return dict(self.evidence.gains)

    @property
    def selected_by(self) -> str:
        """Which labels chose the model."""
        return self.evidence.selected_by

    @cached_property
    def network(self) -> Network:
        """The network (of the first seed)."""
        return self.folder.load_network(self.evidence, self._trust)

    @property
    def task(self) -> Task:
        """What it answers."""
        assert self.network.task is not None
        return self.network.task

    def predict(self, inputs: Any) -> Array:
        """The answer for each input: class names ``(n,)``, numbers ``(n,)``, or yes and no ``(n, k)``.

        Parameters
        ----------
        inputs
            A path or spec, a Domain, a DataFrame, an array of images ``(n, h, w[, c])`` or one photograph ``(h, w,
            3)``, or a list of images, of texts or of `Sound`. A file that cannot be read has no answer (``None``, or
            NaN for numbers), and a warning names it.
        """
        domain = self._asked(inputs)
        return _in_place(self.task.answers(self._outputs(domain)), domain, inputs)

    def predict_proba(self, inputs: Any) -> Array:
        """Probability of each class, ``(n, k)``, in the order of ``result.task.classes``."""
        domain = self._asked(inputs)
        return _in_place(self.task.probabilities(self._outputs(domain)), domain, inputs)

    def outputs(self, inputs: Any, progress: bool = False) -> Array:
        """What the head gives, ``(n, o)``; NaN where a file cannot be read.

        Parameters
        ----------
        inputs
            As in :meth:`predict`.
        progress
            Show a progress bar on standard error, and say there what of the inputs was cut off.
        """
        domain = self._asked(inputs)
        return _in_place(self._outputs(domain, progress), domain, inputs)

    def _asked(self, inputs: Any) -> Domain:
        if isinstance(inputs, (str, Path)):
            return self.read_inputs([Path(inputs)])
        return given_inputs(inputs, self.network.preparation.kind, self.evidence.target.reading)

    @property
    def input_notes(self) -> tuple[str, ...]:
        """What of the inputs of the last `predict`, `predict_proba`, `outputs` or `score` was not taken as it stands.

        One sentence each: words where numbers were learnt, categories that no training row had, texts that were cut.
        """
        return tuple(self._noted)

    def _outputs(self, domain: Domain, progress: bool = False) -> Array:
        self._check_kind(domain)
        preparation = self.network.preparation
        with named(domain), self.folder.answering(domain.name), Progress(quiet=not progress) as bar:
            trainer = Trainer(progress=bar)
            outputs = trainer.outputs(self.network, domain.inputs)
            anew = told_anew(domain.inputs, self.evidence.target.reading)
            said, cut = [*domain.notes, *anew, *preparation.unknown(domain.inputs)], list(trainer.log.messages)
            if not cut:  # or features came from the cache, which does not tell
                said += filter(None, [preparation.note(preparation.items(domain.inputs))])
            for sentence in dict.fromkeys(said):
                bar.say(f"note: {sentence}")
            self._noted[:] = dict.fromkeys([*said, *cut])
        return outputs

    def _check_kind(self, domain: Domain) -> None:
        kind = self.network.preparation.kind
        if domain.kind != kind:
            ours, theirs = kind_of(kind).whole, kind_of(domain.kind).whole
            raise RequestError(
                f"{domain.name} holds {theirs}, but this run learnt from {ours}; give {ours}, or a run that learnt "
                f"from {theirs}."
            )

    def score(self, domain: Any) -> dict[str, Score]:
        """Every metric on labelled data, with its interval; rows that the run learnt from are counted in a warning.

        Parameters
        ----------
        domain
            A Domain, a path or spec, or a DataFrame with the column of labels that the run's own data had.

        Raises
        ------
        RequestError
            If no row has a label, or a label is a class the run does not know.
        """
        asked = self.read(domain)
        self._check_kind(asked)
        rows = np.flatnonzero(asked.labelled())
        if asked.labels is None or not len(rows):
            raise RequestError(
                f"{asked.name} has no labelled row, so nothing can be scored; use predict instead, or give the "
                "labels: load_domain(data, label=...)."
            )
        task, some = self.task, asked.take(rows)
        for sentence in [*self.learnt_from(some), *self.differences(asked)]:
            warnings.warn(sentence, UserWarning, stacklevel=2)
        targets, _ = task.matched(some)
        known = np.flatnonzero(task.labelled(targets))
        some = some.take(known)
        groups = None if some.groups is None else group_codes(some.groups)
        return shown.Scores(score(task, [self.outputs(some)], targets[known], groups=groups, weights=some.weights))

    def differences(self, domain: Domain) -> list[str]:
        """What the labels of a Domain say of other labels than the run has learnt, one sentence each."""
        with named(domain):
            return self.task.matched(domain)[1] if domain.labels is not None else []

    def learnt_from(self, domain: Domain) -> tuple[str, ...]:
        """How many of these rows the run, or what it began with, learnt from; runs of older versions do not know."""
        return known_rows(read_learnt(self.folder.path), domain.inputs)

    def read(self, spec: Any, **options: Any) -> Domain:
        """Labelled data, read as the run's own were but for these options of :func:`load_domain`."""
        if isinstance(spec, Domain):
            return spec
        reading = {"task": self.evidence.task.id, **self.evidence.target.reading, "partial_labels": True}
        if not isinstance(spec, (str, Path)):
            return load_as_learnt(spec, reading if has_columns(spec) else without_columns(reading))
        if is_labelled_by_folders(spec):
            reading.pop("label", None)
        path, kind = Path(spec), kind_of(self.network.preparation.kind)
        if not kind.files and (path.is_dir() or path.suffix.lower() == ".zip"):
            raise RequestError(f"{spec} is a set of files, but this run learnt from {kind.whole}; give a file.")
        return load_as_learnt(spec, {**reading, **{name: value for name, value in options.items() if value}})

    def read_inputs(self, paths: Sequence[Path]) -> Domain:
        """Inputs without labels, read as the run's own were."""
        return load_inputs(paths, self.network.preparation.kind, self.evidence.target.reading)

    def save(self, folder: str | Path) -> Path:
        """Copy the run folder; the copy is what :func:`sterna.load_transfer` reads.

        Raises
        ------
        RequestError
            If the folder exists already.
        """
        path = Path(folder)
        if path.exists():
            raise RequestError(f"The folder {str(path)!r} exists already; name another.")
        self.folder.copy_to(path)
        return path

    def report(self, path: str | Path, *, lang: str | None = None) -> Path:
        """Write one self-contained HTML file about the run, in English or Chinese (``"zh"``): as ``LANG`` says."""
        return write_report([self.folder.path], Path(path), lang=lang)


def load_transfer(folder: str | Path, *, trust: Collection[str] = ()) -> Transfer:
    """The outcome that was saved in a run folder.

    Nothing in the folder runs code. A network that was built by a function of your own is loaded where you name it.

    Parameters
    ----------
    folder
        The run folder.
    trust
        Functions that its network may import and call, as ``"module:function"``.

    Raises
    ------
    RequestError
        If the folder is missing or is not a finished run. The network is read when it is first used: then, if it asks
        for a function that is not in `trust`.
    """
    path = Path(folder)
    if not standing(path) or not path.is_dir():
        raise RequestError(f"There is no run folder {str(path)!r}.")
    run = RunFolder(path)
    return Transfer(run.read_record(), run, _trust=functions_named(trust))


@contextmanager
def named(domain: Domain) -> Iterator[None]:
    """Begin what is wrong with the rows of a domain with its name."""
    try:
        yield
    except RequestError as error:
        sentence = str(error)
        raise RequestError(f"{domain.name}: {sentence[:1].lower()}{sentence[1:]}") from error


def _in_place(answers: Array, domain: Domain, asked: Any) -> Array:
    """One answer for each row that was asked for: nothing where its file could not be read, which is warned of."""
    unread = domain.inputs.unread
    if asked is domain or not unread:
        return answers
    warnings.warn(f"{domain.name}: {unread_words(unread)}", UserWarning, stacklevel=3)
    number = answers.dtype.kind == "f"
    shape = (len(answers) + len(unread), *answers.shape[1:])
    whole = np.full(shape, np.nan if number else None, dtype=answers.dtype if number else object)
    whole[np.setdiff1d(np.arange(len(whole)), [one.place for one in unread])] = answers
    return whole
