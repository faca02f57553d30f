"""What is wrong with a text file, found slowly and said exactly, after a fast reader has refused it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from sterna.errors import RequestError

Opener = Callable[[Path], BinaryIO]

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars (|)"}
"""What may stand between the cells of a CSV file, and how a sentence calls it."""


def check_names(names: Sequence[str], path: Path) -> None:
    """Refuse a table with two columns of one name."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise RequestError(
            f"{path.name} has more than one column named {', '.join(map(repr, twice))}; give each column its own name."
        )


def bad_bytes(path: Path, opener: Opener) -> str:
    """Where a file stops being UTF-8, and which encoding it probably is."""
    with opener(path) as file:
        start = file.read(1 << 20)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            return _encoding_sentence(path, "it starts with a UTF-16 mark", "UTF-16")
        decoder = codecs.getincrementaldecoder("utf-8")()
        offset, line, chunk = 0, 1, start
        while chunk:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                # The decoder may still have held up to 3 bytes of the chunk before.
                held = len(error.object) - len(chunk)
                line += chunk[: max(error.start - held, 0)].count(b"\n")
                at = offset - held + error.start
                where = f"line {line}, byte {at} (0x{error.object[error.start]:02X})"
                return _encoding_sentence(path, f"it stops being so at {where}", _likely_encoding(chunk))
            offset += len(chunk)
            line += chunk.count(b"\n")
            chunk = file.read(1 << 20)
    if b"\0" in start:
        return f"{path.name} is not a text file: byte {start.index(0)} is zero; expected CSV text in UTF-8."
    return f"{path.name} is not in UTF-8: it ends inside a letter; the file may have been cut off."


def _encoding_sentence(path: Path, where: str, encoding: str) -> str:
    name = path.name.removesuffix(".gz")
    return (
        f"{path.name} is not in UTF-8: {where}; it looks like {encoding}, so convert it: "
        f"iconv -f {encoding.upper()} -t UTF-8 {name} > utf8-{name}."
    )


def _likely_encoding(data: bytes) -> str:
    """GB 18030 when bytes above 127 come in pairs that are frequent Chinese characters, else Western European."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    paired = sum(len(run) % 2 == 0 for run in runs)
    try:
        decoded = data[: data.rfind(b"\n") + 1 or len(data)].decode("gb18030")
    except UnicodeDecodeError:
        return "windows-1252"
    chinese = [letter for letter in decoded if "\u4e00" <= letter <= "\u9fff"]
    frequent = sum(0xB0 <= letter.encode("gb18030")[0] <= 0xD7 for letter in chinese)  # not so "öß" and the like
    return "GB18030" if paired * 2 > len(runs) and frequent * 2 > len(chinese) else "windows-1252"


def csv_fault(path: Path, opener: Opener, separator: str, before: int = 0, unclosed: bool = False) -> str | None:
    """The first fault of a CSV file in one sentence: wrong encoding, an open quote, or a ragged row.

    With `unclosed` only the open quote is looked for; `before` counts the lines before the header.
    """
    csv.field_size_limit(1 << 30)
    with opener(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, strict=True)
        expected, line = 0, 1 + before
        for _ in range(before):
            file.readline()
        try:
            for record in reader:
                expected = expected or len(record)
                if record and len(record) != expected and not unclosed:
                    return (
                        f"{path.name}, line {line}: found {len(record)} cells, but the header has {expected}; is a "
                        f"cell that holds {SEPARATORS[separator]} or a line break missing its quotation marks?"
                    )
                line = reader.line_num + 1 + before
        except UnicodeDecodeError:
            return bad_bytes(path, opener)
        except csv.Error as error:
            if "unexpected end" in str(error):
                return f"{path.name}, line {line}: a quotation mark is opened and never closed."
            return None if unclosed else f"{path.name}, line {line}: {error}."
    return None
