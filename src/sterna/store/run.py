"""The run folder: what is in it, and when it may be written."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from sterna.errors import RunError, SternaError
from sterna.files import atomic, copy_files, whole_folder
from sterna.networks.network import Network
from sterna.networks.saved import load_network, save_network
from sterna.record.choice import Choice
from sterna.record.hashes import (
    NETWORK,
    check_hash,
    check_network,
    check_own_hash,
    hash_of,
    hashes_of_run,
    with_own_hash,
)
from sterna.record.reading import AGAIN, damaged, in_words, read_object, reading
from sterna.record.record import Record, read_record
from sterna.store.place import check_finished
from sterna.store.shared_bodies import share_body
from sterna.training.log import Log

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Unit:
    """One method fitted once, with one seed.

    Attributes
    ----------
    outputs
        What it answers for the test rows, ``(n, o)``.
    log
        What happened.
    seconds
        How long it took.
    trained, total
        Numbers of parameters.
    unlabelled
        What it answers for rows without labels that narrow the intervals, ``(m, o)``; ``None`` where none do.
    """

    outputs: Array
    log: Log
    seconds: float
    trained: int
    total: int
    unlabelled: Array | None = None


_ARRAYS = ("outputs", "unlabelled")
"""Of a unit, each in a file of its own; the second where there is one."""


@dataclass(frozen=True)
class _Numbers:
    """Of a unit, as ``unit.json`` holds them beside the log."""

    seconds: float
    trained: int
    total: int


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds one run.

    ``manifest.json`` the record (also what ``--json`` prints); ``network/`` the network; ``history.json`` each
    epoch; ``predictions.parquet`` the test rows; ``splits.parquet`` which row was where; ``mistakes/`` pictures;
    ``request.json`` what was asked; ``work/`` what a resumed run needs, and the finished run that this one replaces,
    gone when the run is done.
    """

    path: Path

    def _file(self, name: str) -> Path:
        return self.path / name

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file, whole or not at all."""
        with atomic(self._file(name)) as temporary:
            temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=True), encoding="utf-8")

    def write_record(self, record: Record) -> Record:
        """Write the record, whole or not at all: it says that the run is done.

        Returns
        -------
        Record
            As it was written: with the hashes of the other files.
        """
        record = record.model_copy(update={"files": hashes_of_run(self.path)})
        with atomic(self._file("manifest.json")) as temporary:
            temporary.write_text(record.to_json(), encoding="utf-8")
        return record

    def read_record(self) -> Record:
        """Read the record of a finished run."""
        check_finished(self.path)
        return read_record(self._file("manifest.json"))

    def finished(self) -> bool:
        """Whether the run is done."""
        return self._file("manifest.json").exists()

    # -- what a resumed run needs ---------------------------------------------------------------------

    def work(self, seed: int, method: str) -> Path:
        """Where one method keeps its checkpoints while it is fitted with one seed."""
        return self.path / "work" / f"{seed}-{method}"

    def of_split(self, number: int) -> RunFolder:
        """Where fits of a test split are kept until the run is done: of the first (0) in the run's own folder."""
        return RunFolder(self.path / "work" / f"test-{number + 1}") if number else self

    def save_unit(self, seed: int, method: str, unit: Unit) -> None:
        """Keep a finished fit, so that a resumed run need not repeat it."""
        folder = self.work(seed, method)
        about = {k: v for k, v in asdict(unit).items() if k not in _ARRAYS}
        about["files"] = {}
        for name in _ARRAYS:
            if (array := getattr(unit, name)) is not None:
                written = io.BytesIO()  # numpy itself does not say why a file could not be written
                np.save(written, array)
                with atomic(folder / f"{name}.npy") as temporary:
                    temporary.write_bytes(written.getbuffer())
                about["files"][f"{name}.npy"] = hash_of(folder / f"{name}.npy")
        with atomic(folder / "unit.json") as temporary:
            temporary.write_text(json.dumps(with_own_hash(about)))
        for left in folder.glob("*.pt"):
            left.unlink()

    def load_unit(self, seed: int, method: str) -> Unit | None:
        """A fit that was finished before, if it was."""
        folder = self.work(seed, method)
        if not (folder / "unit.json").exists():
            return None
        way_out = f"delete the folder {str(folder)!r} and go on with resume=True: this fit then begins anew"
        with reading(folder / "unit.json", way_out):
            about = read_object(folder / "unit.json", way_out)
            check_own_hash(folder / "unit.json", about, way_out)
            files = about.pop("files", {})
            names = [name for name in _ARRAYS if name == "outputs" or f"{name}.npy" in files]
            for name in names:
                check_hash(folder, f"{name}.npy", files, "unit.json")
            log = _log(**about.pop("log"))
            numbers = TypeAdapter(_Numbers).validate_python(about)
        outputs, *more = (_array(folder / f"{name}.npy", way_out) for name in names)
        return Unit(outputs, log, **vars(numbers), unlabelled=more[0] if more else None)

    def clear_work(self) -> None:
        """The run is done: what only a resumed run needs goes."""
        shutil.rmtree(self.path / "work", ignore_errors=True)

    def copy_to(self, path: Path) -> None:
        """Copy the whole folder to a place where nothing is yet: all of it, or nothing.

        Raises
        ------
        RunError
            If the disk is full or cannot be written.
        """
        with whole_folder(path) as new:
            copy_files(self.path, new)

    # -- the network ----------------------------------------------------------------------------------

    def save_network(self, network: Network) -> None:
        """Keep the network; the file of a frozen body is shared with a run beside it that has the same."""
        save_network(network, self.path / "network")
        share_body(self.path)

    def load_network(self, record: Record, trust: Collection[str] = ()) -> Network:
        """The network of the run; it may call the functions named in `trust`, as ``module:function``."""
        check_network(self.path, record.files)
        network = load_network(self.path / "network", trust)
        if network.task is None:
            raise damaged(self.path / NETWORK, "it does not say what the network predicts")
        return network

    @contextmanager
    def answering(self, inputs: str) -> Iterator[None]:
        """Say of a network whose parts do not fit each other, as in a folder that was changed, that it cannot answer.

        Torch tells it only when the first inputs come, with an error that may be any ``RuntimeError``.
        """
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, SternaError | torch.OutOfMemoryError):
                raise
            raise RunError(
                f"The network of {str(self.path)!r} cannot take {inputs} ({in_words(error)}); where the folder's files "
                f"were changed, {AGAIN}."
            ) from error


def _log(choices: list[Any], chosen: dict[str, Any] | None = None, **about: Any) -> Log:
    """A log as it was kept.

    Version 0.1.0 kept the values apart: a choice was ``[by, labels, of, what]``, and left out where one label chose.
    """
    if chosen is None:
        return TypeAdapter(Log).validate_python({"choices": choices, **about})
    found = [Choice(what, chosen.get(what), by, labels, of) for by, labels, of, what in choices]
    named = {choice.what for choice in found}
    alone = [Choice(what, value, "cross-validation", 1) for what, value in chosen.items() if what not in named]
    return Log(choices=found + alone, **about)


def _array(path: Path, way_out: str) -> Array:
    """The answers ``(n, o)`` that a file holds."""
    with reading(path, way_out):
        found: Array = np.load(path, allow_pickle=False)
        if found.ndim != 2 or found.dtype.kind != "f":
            raise ValueError(f"{found.dtype} of the shape {found.shape}, expected numbers (n, o)")
    return found
