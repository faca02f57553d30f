"""Damaged inputs for a reader, and what it may do with them: answer, or say one sentence.

``fuzz("name", content, read)`` makes inputs from a good one and hands each to ``read``. How many is ``$STERNA_FUZZ``
(``make fuzz N=10000``), some dozens without it. Input `i` of a name is the same on every machine: ``mutant("name",
content, i)`` makes it again.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from sterna.errors import SternaError

SECONDS, GIGABYTES = 10, 2
LONGEST_SENTENCE = 2000

Mutator = Callable[[bytes, Random], bytes]

# -- bytes: for every file -------------------------------------------------------------------------------


def bits(content: bytes, random: Random) -> bytes:
    """One to eight flipped bits."""
    found = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8)) if found else 0):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def cut(content: bytes, random: Random) -> bytes:
    """The end is missing."""
    return content[: random.randrange(len(content) + 1)]


def gone(content: bytes, random: Random) -> bytes:
    """A part is missing."""
    start, length = _part(content, random)
    return content[:start] + content[start + length :]


def twice(content: bytes, random: Random) -> bytes:
    """A part comes twice."""
    start, length = _part(content, random)
    return content[: start + length] + content[start:]


def zeros(content: bytes, random: Random) -> bytes:
    """A part is zero, as a disk leaves it."""
    start, length = _part(content, random)
    return content[:start] + bytes(length) + content[start + length :]


def noise(content: bytes, random: Random) -> bytes:
    """A part is anything."""
    start, length = _part(content, random)
    return content[:start] + random.randbytes(length) + content[start + length :]


def moved(content: bytes, random: Random) -> bytes:
    """A part of it stands in another place, too."""
    start, length = _part(content, random)
    place = random.randrange(len(content) + 1)
    return content[:place] + content[start : start + length] + content[place + length :]


def lengths(content: bytes, random: Random) -> bytes:
    """Four or eight bytes are the largest or smallest number: a length or a place, where the format has one there."""
    place, width = random.randrange(len(content) + 1), random.choice((4, 8))
    number = random.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**62, 2**64 - 1)) % 2 ** (8 * width)
    return content[:place] + number.to_bytes(width, random.choice(("little", "big"))) + content[place + width :]


BYTES: tuple[Mutator, ...] = (bits, bits, cut, gone, twice, zeros, noise, moved, lengths)

# -- texts: CSV, JSON Lines, YAML, rules -----------------------------------------------------------------

ODD = (
    "", "\0", "\ufeff", "\u2212", "\u0660", "\ud83d", "\\ud83d", '"', "'", "\n", "\r", "\t", ",", ";", "{", "}", "[",
    "]", ":", "&a [*a, *a]", "*a", "!!python/object:os.system", "%", "\\", "nan", "inf", "-inf", "null", "true", "~",
    "1e999", "-1", "-9999", "now", "today", "9" * 400, "9" * 5000, "0x10", "1_000", "[" * 2000, '{"a":' * 2000,
    "a" * 70000, "\u202e", "\x1b[31m", "../../etc/passwd", "/etc/passwd", "=1+1", "\U0001f600",
)  # fmt: skip
"""What people and attackers put where something else is expected."""


def words(content: bytes, random: Random) -> bytes:
    """Something odd in the place of a part of a text."""
    start, length = _part(content, random, 16)
    odd = random.choice(ODD).encode("utf-8", "surrogatepass")
    return content[:start] + odd + content[start + random.choice((0, length)) :]


TEXT: tuple[Mutator, ...] = (*BYTES, words, words, words, words)

# -- JSON: values of another type, huge, deep, missing -----------------------------------------------------

VALUES: tuple[Callable[[], Any], ...] = (
    lambda: None, lambda: True, lambda: False, lambda: 0, lambda: 1, lambda: -1, lambda: 2**31, lambda: 2**63,
    lambda: 10**30, lambda: 10**400, lambda: 0.5, lambda: 1e308, lambda: float("nan"), lambda: float("inf"),
    lambda: "", lambda: "x", lambda: "\ud83d", lambda: "\0", lambda: "9" * 5000, lambda: "../" * 40 + "etc/passwd",
    lambda: "/etc/passwd", lambda: [], lambda: {}, lambda: [None], lambda: [[]], lambda: {"": None}, lambda: [0] * 5000,
    lambda: _deep(500), lambda: {"type": "x"}, lambda: "os:system",
)  # fmt: skip


def values(content: bytes, random: Random) -> bytes:
    """A value of a JSON file is another, or is gone, or comes twice, or trades places; the rest is as it was."""
    found = json.loads(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        found = _changed(found, random)
    return json.dumps(found).encode()


def depth(content: bytes, random: Random) -> bytes:
    """A value is a hundred thousand brackets deep, or a number of many digits: too much for a parser."""
    found = json.dumps(_put(json.loads(content), random, lambda old: "@@"))
    bomb = random.choice(("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 50_000, "9" * 10_000, "1e99999"))
    return found.replace('"@@"', bomb, 1).encode()


JSON: tuple[Mutator, ...] = (*TEXT, depth, *(values,) * 16)


def _changed(found: Any, random: Random) -> Any:
    what = random.choice(("value", "value", "value", "gone", "scaled", "wrapped", "swapped", "named"))
    if what == "value":
        return _put(found, random, lambda old: random.choice(VALUES)())
    if what == "scaled":
        return _put(found, random, lambda old: _scaled(old, random))
    if what == "wrapped":
        return _put(found, random, lambda old: random.choice(([old], {"x": old}, str(old))))
    if what == "swapped":
        other = random.choice(list(_places(found)) or [((), found)])[1]
        return _put(found, random, lambda old: other)
    return _put(found, random, lambda old: _thinned(old, random, what == "named"))


def _scaled(old: Any, random: Random) -> Any:
    if isinstance(old, bool) or not isinstance(old, int | float):
        return old * 3 if isinstance(old, str | list) else old
    return random.choice((-old, old * 2, old + 1, old * 10**6, 0.1, old // 3, str(old)))


def _thinned(old: Any, random: Random, renamed: bool) -> Any:
    if not isinstance(old, dict | list) or not old:
        return random.choice(VALUES)()
    place = random.randrange(len(old))
    if isinstance(old, list):
        return [*old[:place], *old[place:][:1] * (2 if renamed else 0), *old[place + 1 :]]
    name = list(old)[place]
    return {(f"{k}_" if k == name else k): v for k, v in old.items() if renamed or k != name}


def _places(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value in a JSON value with the way to it."""
    yield path, found
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in inner:
        if len(path) < 30:
            yield from _places(value, (*path, key))


def _put(found: Any, random: Random, new: Callable[[Any], Any]) -> Any:
    """The value with one in it, at any depth alike, changed."""
    places = list(_places(found))
    level = random.choice(sorted({len(path) for path, _ in places}))
    path, old = random.choice([place for place in places if len(place[0]) == level])
    return _with(found, path, new(old))


def _with(found: Any, path: Sequence[Any], new: Any) -> Any:
    if not path:
        return new
    copied = dict(found) if isinstance(found, dict) else list(found)
    copied[path[0]] = _with(found[path[0]], path[1:], new)
    return copied


def _deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


def _part(content: bytes, random: Random, longest: int = 64) -> tuple[int, int]:
    start = random.randrange(len(content) + 1)
    return start, random.choice((1, 2, 4, 8, random.randrange(1, longest + 1)))


# -- what a reader may do ----------------------------------------------------------------------------------


class TooSlow(BaseException):
    """Nothing that a reader catches."""


def mutant(name: str, content: bytes, number: int, mutators: Sequence[Mutator] = BYTES) -> bytes:
    """Input `number` of a name."""
    random = Random(f"{name} {number}")
    return random.choice(mutators)(content, random)


@contextmanager
def limited() -> Iterator[None]:
    """End what takes too long with :class:`TooSlow`, and what takes too much more memory with ``MemoryError``."""

    def stop(number: int, frame: Any) -> None:
        raise TooSlow

    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    before, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGALRM, stop)
    if pages is not None:
        bound = pages * resource.getpagesize() + int(GIGABYTES * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (bound, before[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def fault(read: Callable[[], object]) -> str | None:
    """What is wrong with how an input was taken, with the place in the code; ``None`` where nothing is."""
    try:
        with limited():
            read()
    except SternaError as error:
        sentence = str(error)
        if "\n" in sentence or not sentence or len(sentence) > LONGEST_SENTENCE:
            return f"not one sentence: {sentence[:300]!r}"
    except TooSlow:
        return f"more than {SECONDS} s: {_place(traceback.extract_stack())}"
    except MemoryError as error:
        return f"more than {GIGABYTES} GB: {_place(traceback.extract_tb(error.__traceback__))}"
    except Exception as error:
        return f"{type(error).__name__} at {_place(traceback.extract_tb(error.__traceback__))}: {str(error)[:160]}"
    return None


def _place(stack: Sequence[traceback.FrameSummary]) -> str:
    """The last line of Sterna's own in a traceback, and the last of all."""
    ours = [each for each in stack if "/sterna/" in each.filename]
    shown = [f"{Path(each.filename).name}:{each.lineno}" for each in (*ours[-1:], stack[-1])]
    return " > ".join(dict.fromkeys(shown))


class Fuzz:
    """Feeds readers with damaged inputs, and fails with the first input of each kind of fault.

    Parameters
    ----------
    folder
        Where :meth:`file` puts its inputs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        name: str,
        content: bytes,
        read: Callable[[bytes], object],
        mutators: Sequence[Mutator] = BYTES,
        *,
        inputs: int = 60,
    ) -> None:
        """Give `read` so many inputs (``$STERNA_FUZZ`` instead, where that is set) made from a good one."""
        read(content)
        kinds: dict[str, list[int]] = {}
        for number in range(int(os.environ.get("STERNA_FUZZ") or inputs)):
            damaged = mutant(name, content, number, mutators)
            found = fault(lambda damaged=damaged: read(damaged))
            if found is not None:
                kinds.setdefault(found.partition(": ")[0] if " at " in found else found, [found]).append(number)
        lines = [f"{len(some)} x, first mutant({name!r}, content, {some[0]}): {what}" for what, *some in kinds.values()]
        assert not lines, "\n".join([f"{name}: {len(lines)} kinds of faults", *lines])

    def file(
        self,
        path: Path,
        read: Callable[[], object],
        mutators: Sequence[Mutator] = BYTES,
        *,
        inputs: int = 60,
        name: str | None = None,
    ) -> None:
        """Damage a file in its place, again and again, and put it back at last."""
        content = path.read_bytes()

        def with_it(damaged: bytes) -> object:
            path.write_bytes(damaged)
            return read()

        try:
            self(name or path.name, content, with_it, mutators, inputs=inputs)
        finally:
            path.write_bytes(content)
