"""The run folder: what is in it, and when it may be written."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sterna.errors import RequestError
from sterna.files import atomic, explained
from sterna.networks.network import Network
from sterna.networks.saved import load_network, save_network
from sterna.record.choice import Choice
from sterna.record.record import Record, read_record
from sterna.record.request import Request, read_request
from sterna.training.log import Log

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Unit:
    """One method fitted once, with one seed.

    Attributes
    ----------
    outputs
        What it answers for the test rows, ``(n, o)``.
    validation
        Primary metric on the validation rows, larger is better; NaN where there are none.
    log
        What happened.
    seconds
        How long it took.
    trained, total
        Numbers of parameters.
    """

    outputs: Array
    validation: float
    log: Log
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

    @classmethod
    def create(cls, path: Path, request: Request, *, overwrite: bool, resume: bool) -> RunFolder:
        """Make the folder, or take up the one that was left.

        Raises
        ------
        RequestError
            If it exists already (without `overwrite` or `resume`), or holds something other than this run.
        """
        folder = cls(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            ours = folder._file("request.json").exists() or folder._file("manifest.json").exists()
            if not path.is_dir() or not ours:
                raise RequestError(
                    f"{str(path)!r} exists and is not a Sterna run, so it is left alone: name another --out."
                )
            if resume:
                folder._check(request)
            elif not overwrite:
                raise RequestError(
                    f"The run folder {str(path)!r} exists: continue it with --resume, replace it with --overwrite, "
                    "or name another --out."
                )
            else:
                folder._set_aside()
        folder.write_json("request.json", request.kept())
        return folder

    def _set_aside(self) -> None:
        """Empty the folder; a finished run that was in it is kept in ``work/`` until the new one is done."""
        with explained(self.path):
            temporary = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}."))
            finished = self.path if (self.path / "manifest.json").exists() else self._replaced
            if finished.exists():
                finished.rename(temporary / "replaced")
            shutil.rmtree(self.path, ignore_errors=True)
            self._replaced.parent.mkdir(parents=True)
            if (temporary / "replaced").exists():
                (temporary / "replaced").rename(self._replaced)
            temporary.rmdir()

    @property
    def _replaced(self) -> Path:
        return self.path / "work" / "replaced"

    def take_back(self) -> None:
        """The request was wrong after all: the folder goes, and the finished run that it replaced comes back."""
        temporary = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}."))
        if self._replaced.exists():
            self._replaced.rename(temporary / "replaced")
        shutil.rmtree(self.path, ignore_errors=True)
        if (temporary / "replaced").exists():
            (temporary / "replaced").rename(self.path)
        temporary.rmdir()

    def _check(self, request: Request) -> None:
        changed = request.changed(read_request(self._file("request.json")))
        if changed:
            raise RequestError(
                f"--resume: the run in {str(self.path)!r} was asked for with another {', '.join(changed)}: "
                "repeat its settings, or start anew with --overwrite."
            )

    def _file(self, name: str) -> Path:
        return self.path / name

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file, whole or not at all."""
        with atomic(self._file(name)) as temporary:
            temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=True), encoding="utf-8")

    def write_record(self, record: Record) -> None:
        """Write the record, whole or not at all: it says that the run is done."""
        with atomic(self._file("manifest.json")) as temporary:
            temporary.write_text(record.to_json(), encoding="utf-8")

    def read_record(self) -> Record:
        """Read the record of a finished run.

        Raises
        ------
        RequestError
            If it is missing or damaged.
        """
        return read_record(self._file("manifest.json"))

    def finished(self) -> bool:
        """Whether the run is done."""
        return self._file("manifest.json").exists()

    # -- what a resumed run needs ---------------------------------------------------------------------

    def work(self, seed: int, method: str) -> Path:
        """Where one method keeps its checkpoints while it is fitted with one seed."""
        return self.path / "work" / f"{seed}-{method}"

    def save_unit(self, seed: int, method: str, unit: Unit) -> None:
        """Keep a finished fit, so that a resumed run need not repeat it."""
        folder = self.work(seed, method)
        about = {k: v for k, v in asdict(unit).items() if k != "outputs"}
        with atomic(folder / "outputs.npy") as temporary, temporary.open("wb") as file:
            np.save(file, unit.outputs)
        with atomic(folder / "unit.json") as temporary:
            temporary.write_text(json.dumps(about))
        for left in folder.glob("*.pt"):
            left.unlink()

    def load_unit(self, seed: int, method: str) -> Unit | None:
        """A fit that was finished before, if it was."""
        folder = self.work(seed, method)
        if not (folder / "unit.json").exists():
            return None
        about = json.loads((folder / "unit.json").read_text())
        about["log"] = _log(**about["log"])
        return Unit(outputs=np.load(folder / "outputs.npy", allow_pickle=False), **about)

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
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
            try:
                for file in self.path.rglob("*"):
                    if file.is_file():
                        place = temporary / "new" / file.relative_to(self.path)
                        place.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(file, place)
                (temporary / "new").rename(path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    # -- the network ----------------------------------------------------------------------------------

    def save_network(self, network: Network) -> None:
        """Keep the network."""
        save_network(network, self.path / "network")

    def load_network(self, trust: Collection[str] = ()) -> Network:
        """The network of the run; it may call the functions named in `trust`, as ``module:function``."""
        return load_network(self.path / "network", trust)


def _log(choices: list[Any], chosen: dict[str, Any] | None = None, **about: Any) -> Log:
    """A log as it was kept.

    Version 0.1.0 kept the values apart: a choice was ``[by, labels, of, what]``, and left out where one label chose.
    """
    if chosen is None:
        return Log(choices=[Choice(**choice) for choice in choices], **about)
    found = [Choice(what, chosen.get(what), by, labels, of) for by, labels, of, what in choices]
    named = {choice.what for choice in found}
    alone = [Choice(what, value, "cross-validation", 1) for what, value in chosen.items() if what not in named]
    return Log(choices=found + alone, **about)
