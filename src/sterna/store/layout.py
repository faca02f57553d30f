"""What stands in a safetensors file, and where: read from its header and checked, without any of the weights.

Measured, fusing two files of 500 MB on two busy cores: with the library's own ``safe_open(...).get_slice`` the median
of 16 rounds took 1.37 times as long, and 1.9 GB of memory instead of 33 MB; it also knows no bfloat16 in numpy.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sterna.errors import RequestError, closest
from sterna.store.place import standing

REAL = frozenset({"F64", "F32", "F16", "BF16", "C64"})
"""Number types that are averaged."""

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "C64": 8, "BOOL": 1}
BYTES |= {f"{sign}{bits}": bits // 8 for sign in "IU" for bits in (8, 16, 32, 64)}
"""Of one number of each type that is known."""

_LONGEST = 100_000_000  # of a header, in bytes, as the format has it
_CODE = (".pt", ".pth", ".bin", ".ckpt", ".pkl")


class Place(NamedTuple):
    """Where a tensor lies in a file."""

    kind: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """What stands in a safetensors file.

    Attributes
    ----------
    path
        The file.
    header
        Its first bytes, up to the data.
    places
        Where each tensor lies behind the header, in that order.
    """

    path: Path
    header: bytes
    places: dict[str, Place]


def check_there(path: Path) -> None:
    """Refuse a path where nothing is; close matches are named."""
    if not standing(path):
        near = closest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise RequestError(f"There is no file or run folder {str(path)!r}.{near}")


def read_layout(path: Path) -> Layout:
    """Read and check the header of a safetensors file."""
    check_there(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no file"
        raise RequestError(f"{str(path)!r} {what}, but a .safetensors file was expected; name one.")
    with path.open("rb") as file:
        first = file.read(8)
        if path.suffix in _CODE or first[:4] == b"PK\x03\x04":
            raise RequestError(
                f"{str(path)!r} may hold code, so it is not read; convert it once with safetensors.torch.save_file("
                "torch.load(FILE, weights_only=True), 'model.safetensors') and give that file."
            )
        length = int.from_bytes(first, "little")
        size = path.stat().st_size
        if len(first) < 8 or not 2 <= length <= min(_LONGEST, size - 8):
            raise damaged(path, "it has no header")
        header = file.read(length)
    try:
        found = json.loads(header)
        found.pop("__metadata__", None)
        every = {n: Place(p["dtype"], tuple(p["shape"]), *p["data_offsets"]) for n, p in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged(path, "its header cannot be read") from error
    places = dict(sorted(every.items(), key=lambda item: (item[1].start, item[1].end)))
    _check_places(path, places, size - 8 - length)
    return Layout(path, first + header, places)


def _check_places(path: Path, places: dict[str, Place], size: int) -> None:
    """Tensors must lie one behind the other and fill the file."""
    at = 0
    for name, place in places.items():
        if place.kind not in BYTES:
            raise RequestError(
                f"{str(path)!r}: the tensor {name} holds {place.kind}, which is not averaged (quantised weights have "
                f"no mean of their own); convert it to one of {', '.join(sorted(REAL))}."
            )
        length = math.prod(place.shape) * BYTES[place.kind]
        if place.start != at or place.end - place.start != length or any(n < 0 for n in place.shape):
            raise damaged(path, f"the place of {name} is wrong")
        at = place.end
    if at != size:
        raise damaged(path, f"it should have {at:,} bytes of weights, but has {size:,}")


def damaged(path: Path, why: str) -> RequestError:
    """What is said of a file that is not whole."""
    return RequestError(f"{str(path)!r} is not a whole safetensors file ({why}); copy or download it again.")
