"""Numbers as people write them: which mark stands before the decimals and between thousands, decided for a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Array = np.ndarray[Any, Any]
Mark = Literal["", ".", ","]

_SPACES = r"[\pZ\t]"
_SIGNS = "[\u2212\u2012\u2013\ufe63\uff0d]"  # what stands for a minus in texts that were set with care
_APOSTROPHES = "[\u2019\u02bc\u00b4`]"
_UNIT = r"[%‰\p{Sc}元円]"
_LOOSE = (
    rf"^[+\-\pZ{_UNIT[1:-1]}{_SIGNS[1:-1]}]*[.,]?\d[\d.,'{_APOSTROPHES[1:-1]}\pZ]*([eE][+-]?\d+)?[\pZ{_UNIT[1:-1]}]*$"
)
_BEHIND = rf"^(\d[^\pL]*)[-{_SIGNS[1:-1]}]$"  # as accounts write a negative number: 12.50- or (12.50)
_ENCLOSED = r"^\(\pZ*([^()\pL]*\d[^()\pL]*)\)$"
_DIGIT = r"[^\P{Nd}0-9]"  # of another script; NFKC makes those of full width plain
_ARABIC = {0x66B: ".", 0x66C: ","}
_GROUPED = r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$"
_WHOLE = r"^[+-]?\d{1,3}$"
_NAMES = {",": "commas", ".": "dots", " ": "spaces", "'": "apostrophes"}
_ENOUGH = 20  # fewer numbers with three digits behind the dot say nothing of what the dot means


@dataclass(frozen=True)
class NumberForm:
    """How a column writes numbers.

    Attributes
    ----------
    decimal
        What stands before the decimals.
    thousands
        What stands between thousands, if anything.
    unit
        A sign beside every number, such as ``%`` or ``€``; it is taken off.

    >>> str(NumberForm(",", ".", "€")), NumberForm.of("1'234.5").thousands
    ('1.234,5 €', "'")
    """

    decimal: Mark = "."
    thousands: str = ""
    unit: str = ""

    def __str__(self) -> str:
        """A number that is written so."""
        return f"1{self.thousands}234{self.decimal}5 {self.unit}".strip()

    @classmethod
    def of(cls, written: str) -> Self:
        """The form of a number that ``str`` wrote; the plain one of what it did not write."""
        found = re.fullmatch(r"1([., ']?)234([.,])5(?: (\S))?", written)
        return cls("," if found[2] == "," else ".", found[1], found[3] or "") if found else cls()

    @property
    def words(self) -> str:
        """What is unusual in it: ``"a decimal comma and dots between thousands"``; empty for the plain form."""
        parts = ["a decimal comma"] if self.decimal == "," else []
        parts += [f"{_NAMES[self.thousands]} between thousands"] if self.thousands else []
        parts += [f"the sign {self.unit}"] if self.unit else []
        return " and ".join(parts)


PLAIN = NumberForm()


class Marks(NamedTuple):
    """What the rest of a file says about its numbers.

    Attributes
    ----------
    decimal
        The decimal mark of its other columns, where they leave no doubt and agree.
    semicolons
        Whether semicolons stand between its cells, as where the comma is a decimal mark.
    elsewhere
        Whether an earlier table has another decimal mark in those columns.
    """

    decimal: Mark = ""
    semicolons: bool = False
    elsewhere: bool = False


class Numbers(NamedTuple):
    """A column read as numbers.

    Attributes
    ----------
    values
        ``(n,)`` float64, NaN where a cell is missing or no number.
    odd
        Cells that are there and no numbers, ``(n,)`` bool.
    form
        How they are written.
    doubt
        One cell, and the other value that it could have, where the form could be another one.
    """

    values: Array
    odd: Array
    form: NumberForm
    doubt: tuple[str, float, float] | None = None


def read_numbers(cells: pa.Array, marks: Callable[[], Marks] = Marks, known: NumberForm | None = None) -> Numbers:
    """Clean strings ``(n,)`` (null where missing) as numbers, in the form that reads most of them.

    Parameters
    ----------
    marks
        Gives what decides where a column leaves two readings: ``1,234`` may be a thousand or little more than one.
    known
        The form in which an earlier table writes this column: it decides where it reads all cells, unless this file
        writes its numbers `elsewhere`.
    """
    plain = _cast(cells)
    if plain is not None and known in (None, PLAIN) and not _may_be_thousands(cells):
        return Numbers(plain, np.zeros(len(cells), bool), PLAIN)
    distinct = cells.dictionary_encode()
    read = _read_distinct(distinct.dictionary, marks, known)
    codes = pc.fill_null(distinct.indices, -1).to_numpy(zero_copy_only=False)
    return read._replace(values=np.append(read.values, np.nan)[codes], odd=np.append(read.odd, False)[codes])


def _read_distinct(cells: pa.Array, marks: Callable[[], Marks], known: NumberForm | None) -> Numbers:
    cells = _plain_signs(cells)
    written, unit = _without_unit(_ascii(pc.if_else(pc.match_substring_regex(cells, _LOOSE), cells, _NOTHING)))
    found = [_read(written, form, unit) for form in _forms(written, known)]
    first = min(found, key=lambda each: int(each.odd.sum()))  # of several the first, and so the known form
    same = [each for each in found if np.array_equal(each.odd, first.odd)]
    other = next((each for each in same if not np.array_equal(each.values, first.values, equal_nan=True)), None)
    if other is None:
        return first
    said = marks()
    if known is not None and not said.elsewhere:
        if first is found[0]:
            return first
        said = said if said.decimal else said._replace(decimal=known.decimal)
    return _decided(written, first, other, said)


def looks_numeric(cells: pa.Array) -> Array:
    """Which strings are digits with marks, signs of money and the like, ``(n,)`` bool, whatever number they are."""
    return np.asarray(pc.fill_null(pc.match_substring_regex(_plain_signs(cells), _LOOSE), False))


def decimal_of(cells: pa.Array) -> Mark:
    """The decimal mark of a column of numbers where it leaves no doubt; else nothing."""
    marked = pc.match_substring_regex(cells, r"\d[.,]\d")
    if not pc.any(marked).as_py():
        return ""
    found = read_numbers(cells)
    doubtful = found.doubt is not None or (found.form.decimal == "." and _may_be_thousands(cells))
    if doubtful or found.odd.mean() > 0.5 or not _shows_decimals(cells, found.form):
        return ""
    return found.form.decimal


_NOTHING = pa.scalar(None, pa.large_string())


def _cast(cells: pa.Array) -> Array | None:
    """Strings as float64 ``(n,)`` (NaN where missing), or ``None`` when any of them is not a plain number."""
    try:
        return np.asarray(pc.fill_null(pc.cast(cells, pa.float64()), np.nan).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        return None


def plain_digits(cells: pa.Array) -> pa.Array:
    """Digits of every script as ASCII ones, without characters that nobody sees, as those that turn the direction."""
    if pc.all(pc.string_is_ascii(cells)).as_py():
        return cells
    cells = pc.replace_substring_regex(pc.utf8_normalize(cells, form="NFKC"), r"\p{Cf}", "")
    if pc.any(pc.match_substring_regex(cells, _DIGIT)).as_py():
        told = [each and re.sub(r"\d", lambda d: str(int(d[0])), each.translate(_ARABIC)) for each in cells.to_pylist()]
        cells = pa.array(told, pa.large_string())
    return cells


def _plain_signs(cells: pa.Array) -> pa.Array:
    """Plain digits, and a minus sign in front where accounts have it behind or parentheses."""
    cells = plain_digits(cells)
    cells = pc.replace_substring_regex(cells, _BEHIND, r"-\1")
    return pc.replace_substring_regex(cells, _ENCLOSED, r"-\1")


def _ascii(cells: pa.Array) -> pa.Array:
    """Minus signs, apostrophes and spaces of every sort as the one that a keyboard has."""
    for pattern, plain in ((_SIGNS, "-"), (_APOSTROPHES, "'"), (_SPACES, " ")):
        cells = pc.replace_substring_regex(cells, pattern, plain)
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(cells), r"^([+-]) +", r"\1")


def _without_unit(cells: pa.Array) -> tuple[pa.Array, str]:
    """Without the one sign that all numbers have: of money, or per cent; as they are where it differs."""
    signs = pc.unique(pc.drop_null(pc.replace_substring_regex(cells, rf"[^{_UNIT[1:-1]}]", ""))).to_pylist()
    if len(signs) != 1 or len(signs[0]) != 1:
        return cells, ""
    bare = pc.utf8_trim_whitespace(pc.replace_substring(cells, signs[0], ""))
    return pc.replace_substring_regex(bare, r"^([+-]) +", r"\1"), signs[0]


def _forms(cells: pa.Array, known: NumberForm | None) -> Iterator[NumberForm]:
    """The forms that these cells could be written in, the likelier first."""

    def there(sign: str) -> bool:
        return bool(pc.any(pc.match_substring(cells, sign)).as_py())

    if known is not None:
        yield NumberForm(known.decimal, known.thousands)
    comma, dot = there(","), there(".")
    between = "'" if there("'") else " " if there(" ") else ""
    if not comma or dot:
        yield NumberForm(".", between)
    if comma:
        yield NumberForm(",", between)
        yield NumberForm(".", ",")
    if dot:
        yield NumberForm(",", ".")


def _pattern(form: NumberForm) -> str:
    between, point = re.escape(form.thousands), re.escape(form.decimal)
    plain = rf"(\d+({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
    grouped = rf"[1-9]\d{{0,2}}({between}\d{{3}})+" if form.thousands else r"\d+"
    grouped += r"|[1-9]\d?(,\d{2})+,\d{3}" if form.thousands == "," else ""  # as in India
    return rf"^[+-]?({plain}|({grouped})({point}\d*)?)$"  # 9,087e+04 has decimals: nobody groups before an exponent


def _read(cells: pa.Array, form: NumberForm, unit: str) -> Numbers:
    good = pc.fill_null(pc.match_substring_regex(cells, _pattern(form)), False)
    bare = pc.if_else(good, cells, _NOTHING)
    if form.thousands:
        bare = pc.replace_substring(bare, form.thousands, "")
    values = _cast(pc.replace_substring(bare, ",", ".") if form.decimal == "," else bare)
    assert values is not None
    return Numbers(values, ~np.asarray(good), NumberForm(form.decimal, form.thousands, unit))


def _may_be_thousands(cells: pa.Array) -> bool:
    """Whether every dot in these plain numbers could stand between thousands."""
    dotted = pc.filter(cells, pc.fill_null(pc.match_substring(cells, "."), False))
    if not len(dotted) or not pc.all(pc.match_substring_regex(dotted.slice(0, 100), _GROUPED)).as_py():
        return False
    return bool(pc.all(pc.match_substring_regex(dotted, _GROUPED)).as_py())


def _shows_decimals(cells: pa.Array, form: NumberForm) -> bool:
    """Whether a decimal mark is seen, and not only one between thousands."""
    return bool(pc.any(pc.match_substring_regex(cells, rf"{re.escape(form.decimal)}\d*([^\d.,].*)?$")).as_py())


def _decided(cells: pa.Array, first: Numbers, other: Numbers, marks: Marks) -> Numbers:
    """One of two readings of all cells: one takes a mark for the decimal one, the other for one between thousands."""
    grouped, decimal = (first, other) if first.form.thousands in (".", ",") else (other, first)
    if marks.decimal:
        return grouped if grouped.form.decimal == marks.decimal else decimal
    chosen = grouped if _like_thousands(cells, grouped, marks) else decimal
    if chosen is decimal and decimal.form.decimal == "." and not marks.semicolons and _marked(cells, ".") < _ENOUGH:
        return chosen
    rejected = decimal if chosen is grouped else grouped
    row = int(np.argmax((chosen.values != rejected.values) & ~np.isnan(chosen.values)))
    return chosen._replace(doubt=(cells[row].as_py(), float(chosen.values[row]), float(rejected.values[row])))


def _marked(cells: pa.Array, mark: str) -> int:
    return int(pc.sum(pc.match_substring(cells, mark)).as_py() or 0)


def _like_thousands(cells: pa.Array, grouped: Numbers, marks: Marks) -> bool:
    """Whether numbers with three digits behind every mark are whole ones, of which nothing else tells."""
    mark = grouped.form.thousands
    bare = pc.drop_null(pc.filter(cells, pc.invert(pc.fill_null(pc.match_substring(cells, mark), False))))
    if len(bare) and not pc.all(pc.match_substring_regex(bare, _WHOLE)).as_py():
        return False  # 3116 beside 1,929: whoever groups digits groups them all
    if mark == ",":
        return not marks.semicolons
    # A dot is a decimal mark unless whole numbers of up to three digits stand beside enough larger ones.
    whole = [cell for cell in bare.to_pylist() if cell.strip("+-0")]
    return len(whole) > 1 and _marked(cells, mark) >= _ENOUGH
