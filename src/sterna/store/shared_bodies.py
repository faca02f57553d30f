"""One file on disk for the frozen bodies of many runs."""

from __future__ import annotations

import filecmp
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

from sterna.leftovers import temporary_beside
from sterna.networks.saved import BODY

MOST = 1000
"""Runs beside a run that are looked at."""


def share_body(run: Path) -> None:
    """Let the file of a run's frozen body be that of a run beside it, where one holds the same bytes.

    The two folders then name one file (a hard link). Each is whole without the other: whichever is deleted, the file
    stays with the last that names it. Files of runs are never changed in place, so none changes with another. Where the
    file system knows no hard links the run keeps its own file.
    """
    own = run / "network" / BODY
    if not own.exists():
        return
    with suppress(OSError):
        size = own.stat().st_size
        for other in sorted(entry.path for entry in os.scandir(run.absolute().parent) if entry.is_dir())[:MOST]:
            twin = Path(other, "network", BODY)
            if _is_twin(twin, own, size):
                with temporary_beside(own, partial(os.link, twin)) as temporary:
                    temporary.replace(own)
                return


def _is_twin(twin: Path, own: Path, size: int) -> bool:
    if twin.is_symlink() or not twin.is_file() or twin.stat().st_size != size or twin.samefile(own):
        return False
    return filecmp.cmp(twin, own, shallow=False)
