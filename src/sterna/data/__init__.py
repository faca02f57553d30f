"""The small data sets that ship with the package; NOTICE.md beside this file says where each is from."""

from __future__ import annotations

from pathlib import Path

from sterna.errors import RequestError, closest

_FILES = {
    "pneumonia": "pneumonia_demo.npz",
    "reviews": "reviews_demo.csv",
    "speech": "speech_demo.zip",
}


def demo_names() -> tuple[str, ...]:
    """Names of the data sets that ship with the package."""
    return tuple(_FILES)


def demo_path(name: str) -> Path:
    """Path of a data set that ships with the package.

    Parameters
    ----------
    name
        ``"pneumonia"``: real chest X-rays, 28×28 grey, 380 normal and 760 pneumonia to train with, 624 to test with.
        ``"reviews"``: 200 sentences written for the demo, columns ``split``, ``department``, ``sentiment``, ``text``.
        ``"speech"``: 80 recordings of spoken digits by two speakers, with a manifest: ``file``, ``digit``, ``speaker``,
        ``accent``.

    Raises
    ------
    RequestError
        If no data set of that name ships with the package.
    """
    if name not in _FILES:
        raise RequestError(
            f"No demo data are called {name!r}: expected {' or '.join(repr(n) for n in _FILES)}.{closest(name, _FILES)}"
        )
    return Path(__file__).parent / _FILES[name]
