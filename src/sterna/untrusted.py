"""What a file may cost before anything of it is believed: YAML within bounds, unpacking, memory that threads share."""

from __future__ import annotations

import io
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from sterna.errors import RequestError

LARGEST_YAML = 1_000_000
DEEPEST_YAML = 50
MOST_VALUES = 100_000
LONGEST_NUMBER = 400
"""Characters of a YAML text, how deep its values lie in each other, how many there are with aliases written out, and
characters of a number."""

SMALL = 100_000_000
LARGEST_RATIO = 200
"""Bytes that anything may unpack to, and over them unpacked over packed bytes: data stay far below, bombs start in
the thousands."""


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Words are words: true, false, null and decimal numbers alone are more, as in YAML 1.2 and JSON.

    In YAML 1.1 ``no``, ``off``, ``12:30``, ``010`` and ``2024-01-02`` are false, false, 750, 8 and a date.
    """


_PLAIN = (
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
)  # fmt: skip
Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _PLAIN:
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))


def read_yaml(text: str) -> Any:
    """The value that a YAML text holds: plain values alone, and not more of them than somebody wrote.

    Raises
    ------
    ValueError
        What is wrong, in words that end a sentence: ``"line 3: ..."``.

    Examples
    --------
    >>> read_yaml("blocks: [a, b]")
    {'blocks': ['a', 'b']}
    """
    if len(text) > LARGEST_YAML:
        raise ValueError(f"it has {len(text):,} characters, at most {LARGEST_YAML:,} are read")
    try:
        _check_depth(text)
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_values(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ValueError(str(error).splitlines()[0]) from error
    except (LookupError, OverflowError, TypeError, AttributeError) as error:  # "!!bool x", say
        raise ValueError(f"a value is not what its tag says ({error})") from error


def read_yaml_file(path: Path) -> Any:
    """As `read_yaml`, of a file in UTF-8.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is no such file, in words that end a sentence.
    """
    try:
        with path.open("rb") as file:  # which may be a pipe or a device: it does not say its size
            content = file.read(4 * LARGEST_YAML + 1)
        if len(content) > 4 * LARGEST_YAML:
            raise ValueError(
                f"it has more than {4 * LARGEST_YAML:,} bytes, at most {LARGEST_YAML:,} characters are read"
            )
        return read_yaml(content.decode("utf-8-sig"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error


def _check_depth(text: str) -> None:
    """Before anything is built, for building calls itself."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_YAML:
            raise ValueError(f"line {event.start_mark.line + 1}: more than {DEEPEST_YAML} values lie in each other")


def _check_values(node: yaml.Node) -> None:
    """How many values there are once every alias is written out; an alias of what it stands in has no end."""
    counts: dict[int, int] = {}

    def count(node: yaml.Node) -> int:
        if id(node) not in counts:
            counts[id(node)] = MOST_VALUES + 1  # until it is known: only what holds itself asks meanwhile
            counts[id(node)] = 1 + sum(map(count, _inside(node)))
        return counts[id(node)]

    if count(node) > MOST_VALUES:
        raise ValueError(f"its aliases (*name) stand for more than {MOST_VALUES:,} values")


def _inside(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        number = node.tag.endswith((":int", ":float", ":timestamp"))
        if number and len(node.value) > LONGEST_NUMBER:
            raise ValueError(f"line {node.start_mark.line + 1}: a number has {len(node.value):,} characters")
        half = next((c for c in node.value if "\ud800" <= c <= "\udfff"), None)
        if half is not None:
            raise ValueError(f"line {node.start_mark.line + 1}: {half!a} is half a character")
    elif isinstance(node, yaml.MappingNode):
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<")
        twice = next((name for name, count in names.items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"line {node.start_mark.line + 1}: {twice!r} is given twice")
        for pair in node.value:
            yield from pair
    else:
        yield from node.value


def check_unpacked(name: str, packed: int, unpacked: int, way_out: str = "unpack it and give what was in it") -> None:
    """Refuse what unpacks as only a bomb does."""
    if unpacked > SMALL and unpacked > LARGEST_RATIO * packed:
        raise RequestError(
            f"{name} unpacks {packed:,} bytes to {unpacked:,} or more, as only a bomb does; if you trust it, {way_out}."
        )


class Unpacked(io.RawIOBase):
    """A stream of unpacked bytes that stops where only a bomb goes on.

    Parameters
    ----------
    stream
        Gives the unpacked bytes.
    name, packed
        What is unpacked, and how many bytes it has.
    """

    def __init__(self, stream: BinaryIO, name: str, packed: int) -> None:
        self._stream, self._name, self._packed, self._count = stream, name, packed, 0

    def readinto(self, buffer: Any, /) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        check_unpacked(self._name, self._packed, self._count)
        return len(data)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()


class Shared:
    """Memory that threads share: who needs more than is left waits until others are done.

    Parameters
    ----------
    most
        Bytes there are; who asks for more than all of them gets all.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.start_over()

    def start_over(self) -> None:
        """Nothing is held: so it is in a process that was forked, whose other threads are not there to give back."""
        self._left, self._changed = self.most, threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Hold so many bytes while the block runs."""
        size = min(size, self.most)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()

    def __reduce__(self) -> tuple[Any, ...]:
        return Shared, (self.most,)  # a worker process shares with its own threads


DECODED = Shared(1_200_000_000)
"""Bytes for all images and recordings that are being decoded; a large one waits until others are done."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DECODED.start_over)
