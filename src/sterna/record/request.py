"""What a transfer can be asked: each option once, for Python, the command line, YAML and ``request.json``.

No pydantic here: the command line builds its options from these fields at every start, and pydantic alone would double
the time that ``sterna --help`` takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from sterna.errors import RequestError
from sterna.record.given import Fingerprints
from sterna.record.reading import AGAIN, in_words, read_object

DATA, TRAINING, OUTPUT = "Data", "Method and training", "Output"

Use = Literal["reading", "result", "folder"]
"""What an option decides: how data and source are read (the command line), the result, or where and how it is made."""


@dataclass(frozen=True)
class Option:
    """What an option means, and how it is typed.

    Attributes
    ----------
    help
        The meaning, in a line.
    panel
        Under which heading ``--help`` shows it.
    metavar
        What stands for its value there; ``None`` for a flag.
    use
        What it decides.
    flag
        What is typed, where that is not the field's name.
    typed
        The type of what is typed, where that is not the field's.
    choices
        The values there are, where they can be listed.
    bound
        What a number must be.
    """

    help: str
    panel: str
    metavar: str | None = None
    use: Use = "result"
    flag: str | None = None
    typed: Any = None
    choices: tuple[str, ...] = ()
    bound: Literal["above zero", "zero or more"] | None = None


def _option(default: Any, help: str, panel: str, metavar: str | None = None, **more: Any) -> Any:
    about = {"option": Option(help, panel, metavar, **more)}
    return field(default_factory=dict, metadata=about) if default == {} else field(default=default, metadata=about)


def _read(default: Any, help: str, metavar: str | None = None, **more: Any) -> Any:
    return _option(default, help, DATA, metavar, use="reading", **more)


@dataclass(frozen=True)
class Request:
    """All that a transfer is asked; a field is an option, with its meaning, bounds and choices.

    Raises
    ------
    RequestError
        If a number means nothing, or options contradict each other.
    """

    target: str = ""
    source: tuple[str, ...] = _read(
        (), "What is known: packaged/NAME, timm/NAME, hf/ID, sentence-transformers/ID, file:PATH, run:FOLDER; several "
        "for the method auto and for sterna rank.", "SPEC", typed=list[str],
    )  # fmt: skip
    source_data: tuple[str, ...] = _read(
        (), "Labelled data of a source, seen through each source= if any is given; read as TARGET is.", "SPEC",
        typed=list[str],
    )  # fmt: skip
    source_label: str | None = _read(None, "Target column of source_data=; that of label= if not given.", "NAME")
    architecture: str | None = _read(None, "Of a file: source: timm:NAME or module:function.", "SPEC")
    trust: tuple[str, ...] = _read(
        (), "A function that a run: source may import and call; may be repeated.", "MODULE:FUNCTION", typed=list[str]
    )
    image_size: int | None = _read(None, "Pixels a side that the body sees; its own size if not given.", "PIXELS")
    method: str | None = _option(
        None, "Id of the method (sterna methods); auto, which takes the best, if not given.", TRAINING, "ID"
    )
    settings: Mapping[str, Any] = _option(
        {}, "A setting of the method; may be repeated.", TRAINING, "NAME=VALUE", flag="set", typed=list[str]
    )
    task: str | None = _option(
        None, "classification, multilabel, regression or a package's; told from the labels if not given.", DATA, "NAME"
    )
    label: str | None = _read(None, "Target column of a table or manifest.", "NAME")
    text: str | None = _read(None, "Column whose texts are the inputs.", "NAME")
    drop: tuple[str, ...] = _read((), "Column to leave out; may be repeated.", "NAME", typed=list[str])
    column: Mapping[str, str] = _read(
        {}, "Kind of a column that should not be guessed; may be repeated.", "NAME=KIND", typed=list[str]
    )
    group: str | None = _read(None, "Column (a patient, say) never on two sides of a split.", "NAME")
    weight: str | None = _read(None, "Column of numbers: how much each row counts in training and scores.", "NAME")
    test: str | None = _read(None, "A separate test set.", "SPEC")
    time: str | None = _read(None, "Column of dates or numbers: the last rows are the test split.", "NAME")
    gap: float = _option(0.0, "With time=: so many days (or units) before the test no row is used.", DATA, "DAYS",
                         bound="zero or more")  # fmt: skip
    test_size: float | None = _option(
        None, "Share of the labelled rows for the test split, or their number; 0.2 if not given.", DATA, "SIZE",
        bound="above zero",
    )  # fmt: skip
    test_repeats: int = _option(
        1, "Repeat on so many test splits without common rows, scored together: 5 test every row once.", DATA, "N",
        bound="above zero",
    )  # fmt: skip
    split_seed: int = _option(0, "Draws another test split; seed= does not.", DATA, "N", bound="zero or more")
    domain_column: str | None = _read(None, "Column that names domains.", "NAME")
    source_domain: tuple[str, ...] = _read(
        (), "Rows of this domain are source data: of source_data=, or of TARGET.", "VALUE", typed=list[str]
    )
    target_domain: str | None = _read(None, "Rows of this domain are the target.", "VALUE")
    strict: bool = _read(False, "One unreadable image or recording is an error.")
    labels_per_class: int | None = _option(
        None, "Use K labels a class, hide the others.", DATA, "K", bound="above zero"
    )
    labels: int | None = _option(None, "Use N labels in all; 0 hides every one.", DATA, "N", bound="zero or more")
    map_classes: Mapping[str, str] = _option(
        {}, "What a class of the source is called in the target; may be repeated.", DATA, "SOURCE=TARGET",
        typed=list[str],
    )  # fmt: skip
    metric: str | None = _option(None, "Primary metric.", TRAINING, "NAME")
    balance: str = _option(
        "auto", "Of uneven classes: none, weights, sampler, or auto: weights where the metric is balanced.", TRAINING,
        "NAME", choices=("none", "weights", "sampler", "auto"),
    )  # fmt: skip
    control: tuple[str, ...] = _option(
        ("auto",), "auto, none, or ids of controls; may be repeated.", TRAINING, "ID", typed=list[str]
    )
    seeds: int | None = _option(
        None, "Draws of the labels; with 100 labels or fewer 5 if not given (3 if a source model is trained), else 1.",
        TRAINING, "N", bound="above zero",
    )  # fmt: skip
    seed: int = _option(0, "The first seed.", TRAINING, "N", bound="zero or more")
    interval: str = _option(
        "rows", "What the scores' intervals rest on: the test rows (rows), or rows without labels as well (ppi).",
        TRAINING, "NAME", choices=("rows", "ppi"),
    )  # fmt: skip
    curve: tuple[int, ...] = _option((), "Learning curve over labels a class.", TRAINING, "5,10,20", typed=str | None)
    epochs: int | None = _option(None, "Budget of a training stage, in epochs,", TRAINING, "N", bound="above zero")
    steps: int | None = _option(None, "in optimiser steps,", TRAINING, "N", bound="above zero")
    seconds: float | None = _option(None, "or in seconds: whichever ends first.", TRAINING, "T", bound="above zero")
    budget: float | None = _option(
        None, "What the method auto may spend on trying, for each draw of the labels: 90 (seconds), 5m, 1h.", TRAINING,
        "T", typed=str, bound="above zero",
    )  # fmt: skip
    trials: int = _option(
        0, "Settings that Optuna suggests to the method auto for the best methods, within its budget, for each draw of "
        "the labels.", TRAINING, "N", bound="zero or more",
    )  # fmt: skip
    storage: str | None = _option(
        None, "Where trials= keeps what did best, for problems to come: a journal's path, or a database's address "
        "(sqlite:///FILE, postgresql://...); a journal in Sterna's cache if not given.", TRAINING, "URL", use="folder",
    )  # fmt: skip
    batch_size: int | None = _option(None, "Rows of an optimiser step.", TRAINING, "N", bound="above zero")
    device: str = _option("auto", "auto, cpu or cuda.", TRAINING, "NAME", use="folder", choices=("auto", "cpu", "cuda"))
    out: Path | None = _option(None, "Run folder; runs/TARGET-METHOD if not given.", OUTPUT, "RUN", use="folder")
    resume: bool = _option(
        False, "Go on with a run that was stopped: that in out=, or the latest of its name.", OUTPUT, use="folder"
    )
    overwrite: bool = _option(False, "Replace the run in out=.", OUTPUT, use="folder")
    on_interrupt: str = _option(
        "resume", "What Ctrl-C does while auto tries: stop (resume), or go on with the best so far (best).",
        OUTPUT, "NAME", use="folder", choices=("resume", "best"),
    )  # fmt: skip
    given: Fingerprints = field(default_factory=Fingerprints)

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_labels()
        self._check_sources()

    def _check_numbers(self) -> None:
        for name, about in options().items():
            value: Any = getattr(self, name)
            if name in ("interval", "on_interrupt") and value not in about.choices:
                raise RequestError(f"{name}={value!r}; expected {' or '.join(about.choices)}.")
            number = isinstance(value, Real)
            if value is None or about.bound is None:
                continue
            if about.bound == "above zero" and not (number and value > 0):
                raise RequestError(f"{name}={value!r}; expected a number above zero.")
            if about.bound == "zero or more" and not (number and value >= 0):
                raise RequestError(f"{name}={value!r}; expected 0{' (hide all)' * (name == 'labels')} or more.")

    def _check_labels(self) -> None:
        if self.labels is not None and self.labels_per_class is not None:
            raise RequestError("labels= and labels_per_class= both limit the labels; give one of them.")
        if self.curve and (self.labels, self.labels_per_class) != (None, None):
            raise RequestError("curve= sets the labels a class of each run; leave out labels= and labels_per_class=.")
        if self.curve and self.interval == "ppi":
            raise RequestError("curve= takes labels by class, interval='ppi' in the shares of the classes; give one.")
        if self.curve and self.test_repeats > 1:
            raise RequestError(
                f"curve= repeats a run with several numbers of labels, test_repeats={self.test_repeats} on several "
                "test splits; give one of them."
            )
        if any(k < 0 for k in self.curve):
            raise RequestError(f"curve={list(self.curve)}; expected numbers of labels a class, 0 or more.")
        if len(set(self.curve)) < len(self.curve):
            raise RequestError(f"curve={list(self.curve)}; name each number of labels once.")

    def _check_sources(self) -> None:
        for name in ("source", "source_data", "source_domain"):
            for each in (given := getattr(self, name)):
                if given.count(each) > 1:
                    raise RequestError(f"{name}= names {each!r} twice; name each once.")
        for name, value in (("architecture", self.architecture), ("image_size", self.image_size)):
            if value is not None and not self.source:
                raise RequestError(f"{name}={value!r} is for a source, but none is given; add source=.")
        if self.source_domain and not self.source_data:
            if self.target_domain in self.source_domain:
                raise RequestError(
                    f"source_domain= and target_domain= are both {self.target_domain!r}; name two different ones."
                )
            if self.target_domain is None:
                raise RequestError(
                    "source_domain= takes rows of the target, so target_domain= must say which rows are the target."
                )
        if self.source_label is not None and not self.source_data and not self.source_domain:
            raise RequestError(f"source_label={self.source_label!r} is for source_data=; give that as well.")

    def at(self, labels_per_class: int) -> Request:
        """The request of one point of its learning curve."""
        asked: dict[str, Any] = {"labels_per_class": labels_per_class} if labels_per_class else {"labels": 0}
        return replace(self, curve=(), **asked)

    @property
    def chosen(self) -> str:
        """The id of the method, once one is chosen."""
        assert self.method is not None
        return self.method

    def kept(self) -> dict[str, Any]:
        """What ``request.json`` holds: all that decides the result."""
        names = [name for name, about in options().items() if about.use == "result"]
        values = {name: getattr(self, name) for name in names}
        return {
            "source": list(self.source), "target": self.target, **asdict(self.given),
            **{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()},
        }  # fmt: skip

    def changed(self, earlier: Request) -> list[str]:
        """The names of what an earlier request asked for differently, in the order of letters."""
        ours, theirs = self.kept(), earlier.kept()
        unknown = {name for name in ("target_splits", "source_splits") if theirs[name] is None}
        return sorted(name for name in ours.keys() - unknown if ours[name] != theirs[name])


def options() -> dict[str, Option]:
    """The options of a transfer by their names, in the order that ``--help`` shows."""
    return {each.name: each.metadata["option"] for each in fields(Request) if "option" in each.metadata}


def begun_with(request: Request, path: Path) -> Request:
    """The request, with the test rows of the run that an older version began there: its first seed drew them.

    Parameters
    ----------
    path
        The ``request.json`` of the run to go on with, which need not be there.
    """
    if not path.is_file() or "split_seed" in read_object(path):
        return request
    return replace(request, split_seed=read_request(path).split_seed)


def read_request(path: Path) -> Request:
    """Read a ``request.json``.

    Raises
    ------
    RequestError
        If it is damaged, or asks for what this version does not know.
    """
    try:
        found = read_object(path)
        given = {each.name: found.pop(each.name, None) for each in fields(Fingerprints)}
        found.setdefault("split_seed", found.get("seed", 0))  # what drew the test rows of older versions
        one = found.get("source")  # older versions knew of one source
        found["source"] = [] if one is None else one if isinstance(one, list) else [one]
        lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
        return Request(**{**found, **lists}, given=Fingerprints(**given))
    except Exception as error:  # whatever is wrong with a value
        raise RequestError(f"{str(path)!r} is damaged: {in_words(error)}; {AGAIN}.") from error
