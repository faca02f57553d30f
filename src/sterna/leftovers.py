"""Temporary files and folders: in use while a lock on them is held, and tidied away when a killed process left them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: it has no such locks
    fcntl = None  # type: ignore[assignment]

_MARK = re.compile(r"^\.(?P<name>.+)\.[0-9a-f]{8}\.sterna(-gone)?$", re.DOTALL)
_DAY = 24 * 60 * 60
_OURS: set[int] = set()
"""Handles of this process's own locks: a child that it forks closes its copies, so that a lock ends with its owner."""

RESCUED = ("old", "gone/work/replaced", "new/work/replaced")
"""What a temporary folder may hold that stood at its place before, and comes back where nothing else got there."""


def _forget_ours() -> None:
    for handle in _OURS:
        with suppress(OSError):
            os.close(handle)
    _OURS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_ours)


class InUseError(Exception):
    """Another process holds the lock."""


@contextmanager
def temporary_beside(path: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    """A temporary file or folder in the folder of `path`, made by `make`; it is gone when the block ends.

    What stood at `path` and was moved into a temporary folder (under a name of `RESCUED`) comes back if nothing took
    its place.
    """
    path = Path(os.path.abspath(path))
    sweep(path.parent)
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.sterna")
        make(temporary)
        handle = _locked(temporary, shared=True)
        if temporary.exists():  # else somebody has tidied it away before it was locked
            break
        _close(handle)
    try:
        yield temporary
    finally:
        try:
            with suppress(OSError):  # what cannot be removed now is swept later
                _remove(temporary, path)
        finally:
            _close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder against every other process, also while it is renamed; nothing is written for it.

    Raises
    ------
    InUseError
        If another process holds it.
    """
    handle = _locked(folder, shared=False)
    try:
        if handle is not None and not _is_at(handle, folder):
            raise InUseError  # it was moved away before it was locked
        yield
    finally:
        _close(handle)


def sweep(folder: Path) -> list[Path]:
    """Tidy what killed processes left in a folder: temporaries go, and what they had moved away comes back.

    Returns
    -------
    list of Path
        The places whose leftovers were tidied.
    """
    found = []
    with suppress(OSError):  # a folder that cannot be read or written is left as it is
        for entry in sorted(os.listdir(folder)):
            match = _MARK.match(entry)
            if match and _tidied(folder / entry, folder / match["name"]):
                found.append(folder / match["name"])
    return found


def sweep_all(folder: Path) -> list[Path]:
    """The same in a folder and in all that it holds."""
    found = sweep(folder)
    for inner, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not _MARK.match(name)]
        found += [place for name in folders for place in sweep(Path(inner) / name)]
    return found


def _tidied(temporary: Path, path: Path) -> bool:
    try:
        handle = _locked(temporary, shared=False)
    except InUseError:
        return False
    try:
        if handle is None and time.time() - temporary.lstat().st_mtime < _DAY:
            return False  # without locks only its age tells that nobody is at work on it
        _remove(temporary, path)
        return not temporary.exists()
    finally:
        _close(handle)


def _remove(temporary: Path, path: Path) -> None:
    """Throw a temporary away, but first give back what it took from `path`."""
    if not temporary.is_dir() or temporary.is_symlink():
        temporary.unlink(missing_ok=True)
        return
    if not temporary.name.endswith("-gone"):
        for kept in RESCUED:
            if (temporary / kept).exists() and not os.path.lexists(path):
                (temporary / kept).rename(path)
        # Under another name, so that no half of it comes back if this is cut off.
        temporary = temporary.rename(temporary.with_name(f"{temporary.name}-gone"))
    shutil.rmtree(temporary, ignore_errors=True)


def _locked(path: Path, *, shared: bool) -> int | None:
    """A handle that holds a lock on it; ``None`` where there are no locks."""
    handle = None
    try:
        if fcntl is not None:
            handle = os.open(path, os.O_RDONLY)
            _OURS.add(handle)
            fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _close(handle)
        raise InUseError from None
    except OSError:  # some file systems have none
        _close(handle)
        return None
    return handle


def _close(handle: int | None) -> None:
    if handle in _OURS:  # else this is a child, which has closed its copy
        _OURS.discard(handle)
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
