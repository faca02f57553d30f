"""One file on disk for the frozen bodies of many runs."""

from __future__ import annotations

import filecmp
import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path

from sterna.leftovers import temporary_beside
from sterna.networks.saved import BODY

MOST = 1000
"""Runs beside a run that are looked at."""

_ALIKE = ("st_size", "st_uid", "st_gid", "st_mode", "st_dev")


def share_body(run: Path) -> None:
    """Let the file of a run's frozen body be that of a run beside it, where one holds the same bytes.

    The two folders then name one file (a hard link). Each is whole without the other: whichever is deleted, the file
    stays with the last that names it. Sterna never changes files of runs in place, so none changes with another; files
    of other people, or with other permissions, are not shared, since those could. Where the file system knows no hard
    links the run keeps its own file.
    """
    own = run / "network" / BODY
    if not own.exists():
        return
    with suppress(OSError):
        for other in sorted(entry.path for entry in os.scandir(run.absolute().parent) if entry.is_dir())[:MOST]:
            if _shared(Path(other, "network", BODY), own):
                return


def _shared(twin: Path, own: Path) -> bool:
    """Put a link to another run's file in the place of our own, if it holds the same; a run that cannot be read holds
    nothing. What is compared is the link, since somebody may be putting another file in the place of the twin.
    """
    with suppress(OSError):
        ours, theirs = own.stat(), twin.lstat()
        alike = all(getattr(ours, name) == getattr(theirs, name) for name in _ALIKE)
        if alike and stat.S_ISREG(theirs.st_mode) and not os.path.samestat(ours, theirs):
            with temporary_beside(own, partial(os.link, twin)) as temporary:
                if filecmp.cmp(temporary, own, shallow=False):
                    temporary.replace(own)
                    return True
    return False
