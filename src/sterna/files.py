"""Files and folders that are whole or not there: written beside their place, then renamed into it."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sterna.errors import RequestError, RunError
from sterna.leftovers import temporary_beside

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ELSEWHERE = "choose another place"
_WAYS = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "it is a folder, so name a file in it",
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY), "something else stands there, so choose another name"
    ),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "choose a place that you may write to"),
}
"""What to do where no better way is known, by the system's number of the error."""


class WriteError(RunError):
    """A file could not be written; what stood there before is as it was."""


@contextmanager
def atomic(path: Path, *, wait: bool = True, elsewhere: str = _ELSEWHERE) -> Iterator[Path]:
    """Give a temporary path; what was written there takes the place of `path` when the block ends well.

    Parameters
    ----------
    path
        The file.
    wait
        Until the disk has it all, so that not even a power cut leaves a part of it. Large files that can be made again
        do without: the disk may take longer than the making.
    elsewhere
        What to do where `path` cannot be written, in words.

    Raises
    ------
    WriteError
        If the disk is full or the folder cannot be written; what stood at `path` before stays as it was.
    RequestError
        If a device or a pipe stands there, which is no file to be replaced.
    """
    with explained(path, elsewhere):
        _check_kind(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path, _make) as temporary:
            mode = temporary.stat().st_mode & 0o777
            yield temporary
            if wait:
                with temporary.open("r+b") as file:  # Windows waits only for a file that may be written
                    os.fsync(file.fileno())
            temporary.chmod(mode)  # some libraries put a file that only its owner can read in its place
            temporary.replace(path)


def user_path(name: str | Path) -> Path:
    """The path that a user named: ``~`` is the home folder, and ``~name`` where there is nobody of that name a name.

    Raises
    ------
    RequestError
        If it is the address of something elsewhere.
    """
    if re.match(r"[a-z][a-z0-9+.-]+://", str(name), re.IGNORECASE):
        raise RequestError(f"{str(name)!r} is an address, and nothing is downloaded; give the path of a file here.")
    return Path(os.path.expanduser(name))


def check_file(path: Path) -> None:
    """Refuse, before any work is done, a name that cannot be that of a file to write.

    Raises
    ------
    RequestError
        If it is a folder, a device or a pipe.
    WriteError
        If the system takes no such name.
    """
    with explained(path):
        folder = path.is_dir()
        _check_kind(path)
    if folder:
        raise RequestError(f"out={str(path)!r} is a folder; name a file in it.")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """The same for a folder: what was written into the one that is given takes the place of `path`."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path, Path.mkdir) as temporary:
            (temporary / "new").mkdir()
            try:
                yield temporary / "new"
            except WriteError as error:  # it speaks of a place that nobody has asked for
                raise WriteError(str(error).replace(str(temporary / "new"), str(path))) from error
            if path.exists():
                path.rename(temporary / "old")
            (temporary / "new").rename(path)


def copy_files(source: Path, target: Path, leave: str = "") -> None:
    """Copy all files of a folder, but for those of one name, into another that is there."""
    for folder, folders, names in os.walk(source):
        place = target / Path(folder).relative_to(source)
        place.mkdir(exist_ok=True)
        check_no_links(Path(folder, name) for name in (*folders, *names))
        for name in names:
            if name != leave:
                shutil.copyfile(Path(folder, name), place / name)


def check_no_links(paths: Iterable[Path]) -> None:
    """Refuse symbolic links: a folder from a stranger could name any file of this machine by one.

    Raises
    ------
    RequestError
        If one of the paths is a link.
    """
    link = next((path for path in paths if path.is_symlink()), None)
    if link is not None:
        raise RequestError(
            f"{str(link)!r} is a symbolic link, which is not followed: put what it points to in its place."
        )


@contextmanager
def explained(path: Path, elsewhere: str = _ELSEWHERE) -> Iterator[None]:
    """Turn what the operating system says about `path` into one sentence."""
    try:
        yield
    except Exception as error:
        number = _errno(error)
        if number is None:
            raise
        why = os.strerror(number)
        if number in _FULL:
            free = _free_megabytes(path)
            raise WriteError(
                f"Cannot write {str(path)!r}: {why} ({free} MB free there): make room, or {elsewhere}."
            ) from error
        if elsewhere == _ELSEWHERE:
            elsewhere = _WAYS.get(number, elsewhere)
        raise WriteError(f"Cannot write {str(path)!r}: {why}: {elsewhere}.") from error


def _check_kind(path: Path) -> None:
    """Refuse what a rename would take away from everybody: ``/dev/null``, say, where root is asked to write there."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise RequestError(f"{str(path)!r} is a device or a pipe, which is not replaced: name a file.")


def _make(path: Path) -> None:
    """An empty file, readable by whom the umask says."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


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
