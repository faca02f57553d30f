"""What lies in a folder or a zip: the names of its files, and which zips are refused unopened."""

from __future__ import annotations

import errno
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from sterna.domains.pixels import reason
from sterna.errors import RequestError, listed
from sterna.untrusted import check_unpacked

MAX_UNPACKED_BYTES = 20 * 2**30


class Location:
    """A path that somebody named as data; what lies in it is listed once, however many readers look.

    Parameters
    ----------
    path
        A folder or a file, which exists.
    max_unpacked_bytes
        Most bytes that a zip may unpack to.
    """

    def __init__(self, path: Path, max_unpacked_bytes: int = MAX_UNPACKED_BYTES) -> None:
        self.path, self.max_unpacked_bytes = path, max_unpacked_bytes

    @property
    def holds_files(self) -> bool:
        """Whether it is a folder or a ``.zip``."""
        return self.path.is_dir() or self.path.name.lower().endswith(".zip")

    @cached_property
    def names(self) -> list[str]:
        """Paths of all files in the folder or zip, sorted, but for hidden ones."""
        if self.path.is_file():
            check_archive(self.path, self.max_unpacked_bytes)
        return names_below(self.path)

    def found(self, many: str, endings: tuple[str, ...]) -> str:
        """What a folder or zip holds of some endings: ``"images (2, such as a/1.png)"``; empty where nothing."""
        names = with_endings(self.names, endings) if self.holds_files else []
        return f"{many} ({len(names):,}, such as {names[0]})" if names else ""


def check_archive(path: Path, max_unpacked_bytes: int) -> None:
    """Refuse a zip that climbs out of its folder, is encrypted, or unpacks to too much."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise RequestError(
            f"{path} is not a zip that can be read ({reason(error)}); download or pack it again."
        ) from error
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
            raise RequestError(f"{path} has a member {member.filename!r} that climbs out of its folder; "
                               "such a zip is not opened, pack it again from inside the folder.")  # fmt: skip
        if member.flag_bits & 0x1:
            raise RequestError(f"{path} is encrypted ({member.filename!r}); unpack it and give the folder.")
    unpacked = sum(member.file_size for member in members)
    if unpacked > max_unpacked_bytes:
        raise RequestError(f"{path} unpacks to {unpacked:,} bytes, over the limit of {max_unpacked_bytes:,}; "
                           "if you trust it, raise max_unpacked_bytes.")  # fmt: skip
    check_unpacked(str(path), path.stat().st_size, unpacked, "unpack it and give the folder")


def names_below(path: Path) -> list[str]:
    """Paths of all files in a folder or zip, sorted, but for hidden ones."""
    return sorted(_walk(path, "", set()) if path.is_dir() else _members(path))


def with_endings(names: Sequence[str], endings: tuple[str, ...]) -> list[str]:
    """Those of the names that end so."""
    return [name for name in names if name.lower().endswith(endings)]


def left_out(name: str, names: Sequence[str], endings: tuple[str, ...], many: str) -> list[str]:
    """A note on the files of a folder or zip that end otherwise, ``many`` being those that are read."""
    others = [each for each in names if not each.lower().endswith(endings)]
    what = f"Left out, no {many} by their ending: {len(others):,} of the files in {name} ({endings_of(others)})."
    return [what] if others else []


def endings_of(names: Sequence[str]) -> str:
    """How names end, and how many of them: ``".gif 8, .svg 1"``."""
    counts = Counter(Path(name).suffix.lower() or "no ending" for name in names)
    return listed([f"{ending} {count:,}" for ending, count in counts.most_common()], 5)


def _walk(root: Path, below: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    folder = root / below
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
        return
    seen.add((status.st_dev, status.st_ino))
    try:
        entries = [entry for entry in os.scandir(folder) if not _is_hidden(entry.name)]
        inside = [(entry.name, entry.is_dir()) for entry in entries if _leads_somewhere(entry)]
    except PermissionError as error:
        raise RequestError(f"{folder} may not be read ({error.strerror}); change its permissions.") from error
    for name, is_folder in inside:
        if is_folder:
            yield from _walk(root, f"{below}{name}/", seen)
        else:
            yield f"{below}{name}"


def _leads_somewhere(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a file, or a link to one: neither a pipe, nor a link to nothing or to itself."""
    try:
        return entry.is_dir() or entry.is_file()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


def _members(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        seen = set()
        for info in archive.infolist():
            linked = stat.S_ISLNK(info.external_attr >> 16)
            if not info.filename or info.is_dir() or linked or info.filename in seen:
                continue
            if not any(_is_hidden(part) for part in info.filename.split("/")):
                seen.add(info.filename)
                yield info.filename


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")
