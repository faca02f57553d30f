"""The journal of searches: which settings did best on which problems, in figures alone."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import chain
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote

from pydantic import Field, TypeAdapter, ValidationError

from sterna.bench import Bench, Problem
from sterna.errors import RequestError, SternaError, require
from sterna.files import atomic, user_path
from sterna.methods.candidates import Candidate
from sterna.training.cache import default_folder
from sterna.training.strategy import Strategy

FILE, STUDY = "trials.journal", "sterna"

KEPT = "tried/starts.json"
"""Where a run keeps what its search started from."""

GRACE = 5
"""Seconds after which the lock on a journal counts as left by a process that was killed: an entry takes less."""

PROBLEMS = 3
"""So many earlier problems, the most similar ones, say where a search for a method starts."""

ROWS = 32
"""Hashes of rows by which a target is known again, also where it has lost or won some rows."""

OTHER_SOURCE = 1.0
"""What another sort of source adds to the distance of two problems: as much as one number that is e times the other."""

Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Entry:
    """What a search came to, and what is known of its problem.

    Attributes
    ----------
    method, settings
        What did best of one method.
    loss, default
        On held-out labels, with these settings and with the method's defaults.
    kind, task, source
        The kind of data, the task's id, and whether the source is a model, data, both or nothing.
    sizes
        Classes, labels and the like.
    rows
        The least hashes of the target's rows.
    """

    method: str
    kind: str
    task: str
    source: str
    sizes: dict[str, Size]
    rows: tuple[int, ...]
    settings: dict[str, Any]
    loss: float = math.nan
    default: float = math.nan

    def distance(self, other: Entry) -> float:
        """How unlike two problems are: the differences of the logarithms of their sizes, squared and summed."""
        names = self.sizes.keys() | other.sizes.keys()
        apart = (math.log1p(self.sizes.get(n, 0)) - math.log1p(other.sizes.get(n, 0)) for n in sorted(names))
        return math.hypot(*apart, OTHER_SOURCE * (self.source != other.source))

    def shares_rows(self, other: Entry) -> bool:
        """Whether it is a problem of the same target, as far as can be told."""
        return not set(self.rows).isdisjoint(other.rows)


def described(problem: Problem, candidates: Sequence[Candidate]) -> list[Entry]:
    """Candidates and their problem, before anything is known of how their settings did."""
    keys = chain(problem.inputs.keys(), problem.unlabelled.inputs.keys())
    hashes = {int.from_bytes(blake2b(key.encode(), digest_size=4).digest()) for key in keys}
    rows = tuple(sorted(hashes)[:ROWS])
    return [_described(candidate.problem(problem), candidate, rows) for candidate in candidates]


def _described(problem: Problem, candidate: Candidate, rows: tuple[int, ...]) -> Entry:
    body, known = problem.source_body, problem.known
    sizes: dict[str, float] = {
        "classes": problem.task.outputs, "labels": len(problem.target), "unlabelled": len(problem.unlabelled),
        "columns": len(problem.inputs.columns), "width": body.width if body else 0, "source": len(known or ()),
    }  # fmt: skip
    source = " and ".join(name for name, there in (("model", body), ("data", known)) if there is not None)
    return Entry(candidate.method.id(), problem.target.kind, problem.task.id, source, sizes, rows, candidate.settings())


def nearest(entries: Sequence[Entry], here: Entry) -> list[Entry]:
    """The most similar problems of other targets, one entry each, where other settings than the defaults did best."""
    same = [
        each
        for each in entries
        if (each.method, each.kind, each.task) == (here.method, here.kind, here.task)
        and each.loss < each.default
        and not each.shares_rows(here)
    ]
    found: list[Entry] = []
    for each in sorted(same, key=lambda each: (each.distance(here), each.loss)):
        if not any(each.shares_rows(other) for other in found):
            found.append(each)
    return found[:PROBLEMS]


@contextmanager
def quiet() -> Iterator[Any]:
    """Optuna, which says nothing meanwhile but what goes wrong."""
    optuna = require("optuna", "tune")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def opened(storage: str | None) -> Any:
    """The Optuna study that holds the entries, which is made where there is none.

    Parameters
    ----------
    storage
        The address of a database, or the path of a journal; that in Sterna's cache if ``None``.

    Raises
    ------
    RequestError
        If it cannot be opened; the sentence holds no password.
    """
    with quiet() as optuna:
        try:
            place = optuna.storages.RDBStorage(storage) if "://" in (storage or "") else _journal(storage)
            if STUDY in optuna.get_all_study_names(place):
                return optuna.load_study(study_name=STUDY, storage=place)
            return optuna.create_study(study_name=STUDY, storage=place, load_if_exists=True)
        except Exception as error:  # of files, drivers, networks, and whatever a damaged journal holds
            raise RequestError(unreachable(storage, error)) from None  # its cause may hold the address


def _journal(storage: str | None) -> Any:
    """Optuna's storage in one file."""
    optuna = require("optuna", "tune")
    path = user_path(storage) if storage else default_folder() / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            file.seek(-1, 2)
            if file.read() != b"\n":  # what is added to half an entry would be lost with it
                raise ValueError("its last entry is torn")
    lock = optuna.storages.journal.JournalFileOpenLock(str(path), grace_period=GRACE)
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path), lock))


def unreachable(storage: str | None, error: BaseException) -> str:
    """What is wrong, without what stands in an address before its host and after its path."""
    while error.__cause__ is not None:
        error = error.__cause__
    why = str(getattr(error, "strerror", None) or getattr(error, "orig", None) or error).strip() or type(error).__name__
    scheme, slashes, rest = (storage or "").partition("://")
    if not slashes:
        place, why = storage or str(default_folder() / FILE), why if isinstance(error, OSError) else "it is damaged"
        return f"The journal of searches {place!r} cannot be used ({why}); move it away to begin a new one."
    login, _, host = rest.rpartition("@")
    host, _, query = host.partition("?")
    password = login.partition(":")[2]
    why = why.splitlines()[0].rstrip(".")
    secrets = {rest, login, password, unquote(password), query, *(value for _, value in parse_qsl(query))} - {""}
    for secret in sorted(secrets, key=len, reverse=True):
        why = why.replace(secret, "...")
    return (
        f"storage='{scheme}://{host}' cannot be used ({why}); expected the path of a journal, or the address of a "
        "database, such as sqlite:///trials.db or postgresql://user:password@host/name."
    )


@dataclass(frozen=True)
class Starts:
    """Where searches start.

    Attributes
    ----------
    settings
        Of each method, those to try first.
    said
        What the user should know.
    works
        Whether the journal could be read, so that the search is kept in it, too.
    """

    settings: dict[str, list[dict[str, Any]]]
    said: list[str]
    works: bool = True


STARTS = TypeAdapter(Starts)


def starts(bench: Bench, here: Sequence[Entry]) -> Starts:
    """For each method the settings that did best on similar problems before; the same ones when a run goes on.

    The first process reads the journal, and the others are told.
    """
    strategy, text = bench.trainer.strategy, ""
    if strategy.leads:
        text = json.dumps(asdict(_kept(bench) or _read(bench, here)))
        if bench.trainer.folder is not None:
            with atomic(bench.trainer.folder / KEPT) as temporary:
                temporary.write_text(text, "utf-8")
    found = STARTS.validate_json(told_to_all(strategy, text))
    for sentence in found.said:
        bench.say(sentence)
    return found


def _kept(bench: Bench) -> Starts | None:
    """What the run that was interrupted started from."""
    try:
        if bench.trainer.resume and bench.trainer.folder is not None:
            return STARTS.validate_json((bench.trainer.folder / KEPT).read_bytes())
    except (OSError, ValidationError):
        pass
    return None


def _read(bench: Bench, here: Sequence[Entry]) -> Starts:
    try:
        trials = opened(bench.trainer.search.storage).get_trials(deepcopy=False)
    except SternaError as error:
        return Starts({}, [f"{error} The search starts without what did best before, and keeps nothing."], False)
    entries = [entry for trial in trials if (entry := _entry(trial)) is not None]
    near = {each.method: nearest(entries, each) for each in here}
    problems = len({entry.rows for some in near.values() for entry in some})
    said = f"Started from settings that did best on {problems} earlier problem{'s' * (problems != 1)}."
    return Starts({name: [e.settings for e in some] for name, some in near.items()}, [said] if problems else [])


def _entry(trial: Any) -> Entry | None:
    try:
        return TypeAdapter(Entry).validate_python({**trial.user_attrs, "loss": trial.value})
    except ValidationError:  # somebody else's, or of another version
        return None


def keep(bench: Bench, entries: Sequence[Entry]) -> None:
    """Write what a search came to; a run that cannot do so has lost nothing else, and says it."""
    if not bench.trainer.strategy.leads:
        return
    try:
        study = opened(bench.trainer.search.storage)
        optuna = require("optuna", "tune")
        for entry in entries:
            attributes = {name: value for name, value in asdict(entry).items() if name != "loss"}
            study.add_trial(optuna.trial.create_trial(value=entry.loss, user_attrs=attributes))
    except Exception as error:
        why = str(error) if isinstance(error, SternaError) else unreachable(bench.trainer.search.storage, error)
        bench.say(f"{why} What this search found is not kept for others.")


def told_to_all(strategy: Strategy, text: str) -> str:
    """The first process's text, in all of them."""
    data = text.encode()
    size = int(strategy.shared((float(len(data)),))[0])
    return bytes(map(int, strategy.shared(tuple(map(float, data)) if strategy.leads else (0.0,) * size))).decode()
