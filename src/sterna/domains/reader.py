"""The contract of a reader: which form of data it reads, and what it makes of it; and the readers by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sterna.domains.archives import Location
from sterna.domains.domain import Domain
from sterna.domains.inputs import Inputs, Kind
from sterna.errors import RequestError
from sterna.registry import Registry

READERS = Registry(
    "sterna.readers",
    "reader",
    {
        "images": "sterna.domains.image_folders:ImageFolders",
        "recordings": "sterna.domains.audio_folders:Recordings",
        "texts": "sterna.domains.text_files:TextFolders",
        "arrays": "sterna.domains.arrays:Arrays",
        "tables": "sterna.domains.table_reader:Tables",
    },
)
"""Classes of `Reader` by name."""


@dataclass(frozen=True)
class Options:
    """What `load_domain` was asked, for whichever reader it will be; see there."""

    label: str | None = None
    text: str | None = None
    drop: tuple[str, ...] = ()
    columns: Mapping[str, str] | None = None
    schema: Mapping[str, Mapping[str, Any]] | None = None
    forms: Mapping[str, str] | None = None
    group: str | None = None
    domain_column: str | None = None
    domain: str | None = None
    strict: bool = False
    task: str | None = None
    levels: tuple[float, float] | None = None
    time: str | None = None
    partial_labels: bool = False
    weight: str | None = None

    def refuse(self, path: Path, what: str, *names: str) -> None:
        """Say that an option means nothing here, before anyone wonders why it did nothing."""
        for name in names:
            if getattr(self, name):
                raise RequestError(f"{name}={getattr(self, name)!r} is for tables, but {path} is {what}; leave it out.")


class Reader(ABC):
    """How one form of data is read.

    A package adds one with an entry point in the group ``sterna.readers``: a name, and a class of this contract, which
    is made without arguments.

    Attributes
    ----------
    contents
        What a folder or zip that it reads is full of: ``"images"``; empty where it reads single files.
    files
        Which single files it reads, in words: ``"a table (.csv, ...)"``.
    endings
        Of the names of its files.
    kinds
        Kinds of data whose inputs alone it reads, to have them answered; where empty, `inputs` is never called.
    instead_of
        Names of readers that give way to it where both find something.
    """

    contents: ClassVar[str] = ""
    files: ClassVar[str] = ""
    endings: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[Kind, ...]] = ()
    instead_of: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def finds(self, place: Location) -> str:
        """What it would read at a place, for a person (``"images (12, such as a/1.png)"``); empty where nothing."""

    @abstractmethod
    def load(self, place: Location, options: Options) -> Domain:
        """Read a Domain of a place where it finds something.

        Raises
        ------
        RequestError
            If it cannot be read, or an option means nothing here.
        """

    def inputs(self, paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
        """Inputs of one of its `kinds`, without labels, and notes on them.

        Parameters
        ----------
        paths
            What a person names, of which each exists; whether it suits is for the reader to say.
        kind
            What the run learnt from.
        reading
            How its own Domain was read; see `Domain`.

        Raises
        ------
        RequestError
            If they cannot be read, or are of another kind.
        """
        raise NotImplementedError(f"{type(self).__name__} reads inputs of no kind alone")


def readers() -> dict[str, Reader]:
    """All readers by name, Sterna's own first."""
    return {name: READERS.find(name)() for name in READERS.names()}
