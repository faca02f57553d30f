"""The place of a run: what stands there, one process at a time, and what a killed process left put right."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sterna.errors import RequestError
from sterna.files import atomic, explained
from sterna.leftovers import InUseError, locked, sweep, sweep_all, temporary_beside
from sterna.record.given import GIVEN
from sterna.record.recognised import holds_run
from sterna.record.request import Request, read_request

MANIFEST, REQUEST = "manifest.json", "request.json"
_WORK = re.compile(r"replaced$|test-\d+$|leg\.json$|\d+-")
"""What a run keeps in its folder ``work`` until it is done."""


def is_free(path: Path) -> bool:
    """Whether nothing stands there, or an empty folder."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def standing(path: Path) -> bool:
    """Whether something stands there, or comes back to it: a killed process may have moved it away."""
    with explained(path):
        sweep(path.absolute().parent)
        return path.exists()


def settle(path: Path) -> list[Path]:
    """Put right what a killed process left of a run and beside it; whatever is in use is left alone.

    Returns
    -------
    list of Path
        Where something was put right.
    """
    found = sweep(path.absolute().parent)
    if not holds_run(path):
        return found + sweep(path)
    found += sweep_all(path)
    work = path / "work"
    if (path / MANIFEST).exists() and work.is_dir() and all(_WORK.match(name) for name in os.listdir(work)):
        with suppress(InUseError, OSError), locked(path):
            shutil.rmtree(work, ignore_errors=True)
            found.append(work)
    return found


def check_finished(path: Path) -> None:
    """Say how to go on where the run is not done."""
    settle(path)
    if (path / MANIFEST).exists():
        return
    if not holds_run(path):
        raise RequestError(f"{str(path)!r} is not a finished Sterna run: it has no {MANIFEST}.")
    replaced = path / "work" / "replaced"
    before = f"; the run that it replaces is whole in {str(replaced)!r}" if replaced.exists() else ""
    raise RequestError(
        f"{str(path)!r} is not a finished Sterna run: repeat the command that began it, with resume=True{before}."
    )


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a folder against every other process."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path))
        except InUseError:
            raise RequestError(
                f"Another process is at work on {str(path)!r}: wait until it has ended, or name another out=."
            ) from None
        yield


@contextmanager
def taken(path: Path, request: Request, *, resume: bool, overwrite: bool) -> Iterator[None]:
    """The folder of a run, made or taken up, as long as the block lasts; no other process writes there meanwhile.

    If the request proves wrong in the block, what stood there before comes back.

    Raises
    ------
    RequestError
        If it exists already (without `overwrite` or `resume`), holds something other than this run, or another process
        is at work there.
    """
    with ExitStack() as stack:
        with explained(path):
            check_own(path)
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(path))
            free = is_free(path)
            if free:
                _write(path, request)
            else:
                _check(path, request, resume, overwrite)
                if not resume:
                    _put_in_place_of(path, request, stack)
        try:
            yield
        except RequestError:
            if free or not resume:
                take_back(path)
            raise


def check_own(path: Path) -> None:
    """Put right what a killed process left there, and leave alone what somebody else has put there."""
    settle(path)
    if not is_free(path) and not holds_run(path):
        raise RequestError(f"{str(path)!r} exists and is not a Sterna run, so it is left alone: name another out=.")


def _check(path: Path, request: Request, resume: bool, overwrite: bool) -> None:
    check_own(path)
    if resume:
        changed = request.changed(read_request(path / REQUEST))
        if changed:
            words = ", ".join(GIVEN.get(name, f"{name}=") for name in changed)
            raise RequestError(
                f"resume=True: the run in {str(path)!r} was asked for with another {words}: "
                "repeat its settings, or start anew with overwrite=True."
            )
    elif not overwrite:
        raise RequestError(
            f"The run folder {str(path)!r} exists: continue it with resume=True, replace it with overwrite=True, "
            "or name another out=."
        )
    elif Path.cwd().is_relative_to(path.resolve()):
        raise RequestError(f"overwrite=True would take away {str(path)!r}, the folder that you are in: leave it first.")


def _put_in_place_of(path: Path, request: Request, stack: ExitStack) -> None:
    """Begin a run where another stands; a finished one is kept in ``work/replaced`` until the new one is done.

    The new folder is made beside it, so that a rename decides. Wherever this is cut off, the finished run is at its
    place or comes back to it with the next command.
    """
    with temporary_beside(path, Path.mkdir) as temporary:
        new, gone = temporary / "new", temporary / "gone"
        replaced = new / "work" / "replaced"
        replaced.parent.mkdir(parents=True)
        _write(new, request)
        stack.enter_context(locked(new))
        if (path / MANIFEST).exists():
            path.rename(replaced)
        else:
            path.rename(gone)
            if (gone / "work" / "replaced").exists():
                (gone / "work" / "replaced").rename(replaced)
        new.rename(path)


def take_back(path: Path) -> None:
    """The request was wrong after all: the folder goes, and the finished run that it replaced comes back."""
    with temporary_beside(path, Path.mkdir) as temporary:
        path.rename(temporary / "gone")


def _write(path: Path, request: Request) -> None:
    with atomic(path / REQUEST) as temporary:
        temporary.write_text(json.dumps(request.kept(), indent=1, ensure_ascii=False), encoding="utf-8")
