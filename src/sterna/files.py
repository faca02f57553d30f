"""Files that are whole or not there: written beside their place, then renamed into it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sterna.errors import RunError


@contextmanager
def atomic(path: Path, *, wait: bool = True) -> Iterator[Path]:
    """Give a temporary path; what was written there takes the place of `path` when the block ends well.

    Parameters
    ----------
    path
        The file.
    wait
        Until the disk has it all, so that not even a power cut leaves a part of it. Large files that can be made again
        do without: the disk may take longer than the making.

    Raises
    ------
    RunError
        If the disk is full or the folder cannot be written; what stood at `path` before stays as it was.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            if wait:
                with temporary.open("r+b") as file:  # Windows waits only for a file that may be written
                    os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says about `path` into one sentence."""
    try:
        yield
    except Exception as error:
        number = _errno(error)
        if number is None:
            raise
        free = _free_megabytes(path)
        raise RunError(
            f"Cannot write {str(path)!r}: {os.strerror(number)} ({free} MB free there); what was written before "
            "is kept: make room or choose another place, then start again with --resume."
        ) from error


def _errno(error: Exception) -> int | None:
    """The operating system's number of an error; libraries in Rust (safetensors) have it only in their words."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _free_megabytes(path: Path) -> int:
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free // 2**20


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
