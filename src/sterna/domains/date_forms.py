"""Dates as people write them: which of day, month and year comes first, decided for a column."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sterna.domains.number_forms import plain_digits

Array = np.ndarray[Any, Any]

ISO = "ISO8601"
NAMED = "month names"
_ISO = r"^[+-]?\d{4}(-?\d{2}(-?\d{2}([T ]\d{2}(:?\d{2}(:?\d{2}([.,]\d+)?)?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?)?)?)?$"
_CODE = r"^([+-]?9+|-\d{1,4}|0+|0000[-/.]00[-/.]00.*|9999[-/.]12[-/.]31.*|31[-/.]12[-/.]9999.*)$"
_COMPACT = r"^\d{8}$"
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%y-%m-%d")
_DAY_OR_MONTH_FIRST = tuple(
    form + year
    for year in ("%Y", "%y")
    for form in (
        "%d.%m.",
        *(f"{first}{s}{second}{s}" for s in "/-" for first, second in (("%d", "%m"), ("%m", "%d"))),
    )
)
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_NAME = r"(?P<month>[a-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_CLOCK = r"(?:(?:,? |:)(?P<time>\d{1,2}:\d{2}(?::\d{2})?))?"
_WRITTEN_OUT = tuple(
    re.compile(pattern + _CLOCK)
    for pattern in (
        rf"{_DAY}[ \-/]{{0,2}}{_NAME}[ ,\-/]{{0,2}}{_YEAR}",
        rf"{_NAME} {{0,2}}{_DAY},? {{1,2}}{_YEAR}",
        rf"{_YEAR}[ \-]{_NAME}[ \-]{_DAY}",
    )
)
_MONTH = (
    r"(jan|feb|fev|fév|mar|mär|apr|abr|avr|may|mai|mag|jun|juin|giu|jul|juil|lug|aug|aoû|ago|sep|set|oct|okt|ott|out|nov|dec"
    r"|dez|déc|dic|ene|gen)\pL{0,9}\.?"
)
_PERIOD = r"(q|w|kw|cw|h)"
_SHAPES = (  # of dates that are not read
    r"\d{1,2}\.?[ \-/]{0,2}(de )?\pL{3,12}\.?[ ,\-/]{1,2}(del? )?(\d{4}|\d{2})( ?г(\.|ода)?)?",
    rf"{_MONTH} \d{{1,2}}(st|nd|rd|th)?,? \d{{4}}",
    rf"{_MONTH}[ \-/']{{1,2}}(\d{{4}}|\d{{2}})|(\d{{4}}|\d{{2}})[ \-/]{_MONTH}",
    rf"\d{{4}}[ \-/]?{_PERIOD} ?\d{{1,2}}(-\d)?|{_PERIOD} ?\d{{1,2}}[ \-/.]'?(\d{{4}}|\d{{2}})",
    r"(\d{4}|\pL{2}\d{1,3})年\d{1,2}月(\d{1,2}日)?|\d{4}년 ?\d{1,2}월( ?\d{1,2}일)?",
    r"(19|20)\d{2}[ _]\d{1,2}[ _]\d{1,2}|(0[1-9]|[12]\d|3[01])(0[1-9]|1[0-2])(19|20)\d{2}",
    r"(19|20)\d{2}\. ?\d{1,2}\. ?(\d{1,2}\.?)?|(0?[1-9]|1[0-2])[/\-.](19|20)\d{2}|(19|20)\d{2}/(0?[1-9]|1[0-2])",
    r"(\d{4}-\d{2}-\d{2}|\d{1,2}[./\-]\d{1,2}[./\-]\d{2,4})",
)
_DATED = rf"(?i)^([\pL-]{{2,15}}[.,]{{0,2}} )?({'|'.join(_SHAPES)})(,?[ T]*\d{{1,2}}[:.h时時]\d{{2}}.*)?$"
_MONTHLY = r"^(0?[1-9]|1[0-2])\.(19|20)\d{2}$"
_CLOCKED = r"(?i)^\d{1,3}:\d{2}(:\d{2}([.,]\d+)?)?( ?[ap]\.?m\.?)?$"
_STRAY = 0.25
"""Share of the cells that an earlier table's order may leave unread although another one reads them."""
_LONGEST = 40  # letters of the longest cell that may be a date


class Dates(NamedTuple):
    """A column read as dates.

    Attributes
    ----------
    values
        ``(n,)`` ``datetime64[us]``, NaT where a cell is missing or no date.
    odd
        Cells that are there and no dates, ``(n,)`` bool; those of `codes` among them.
    codes
        Cells that are usual codes for a missing date: -1, -9999, 0000-00-00.
    form
        In which order they are written, as ``strptime`` has it, without the time of day.
    ambiguous
        Whether day and month could be either way round; then the values are not to be used.
    """

    values: Array
    odd: Array
    codes: Array
    form: str
    ambiguous: bool = False


def read_dates(cells: pa.Array, known: str = "", compact: bool = False) -> Dates | None:
    """Clean strings ``(n,)`` (null where missing) as dates, in the order that reads most of them; ``None`` if none is.

    ISO 8601, ``2024/1/31``, ``2024.1.31``, ``2024年1月31日``, ``31.1.2024``, ``31 Jan 2024``, and day/month/year in
    either order, also with two digits of the year, where the values leave one reading.

    Parameters
    ----------
    known
        The order in which an earlier table writes this column: it decides where it reads all cells.
    compact
        Also ``20240131``.
    """
    distinct = pc.replace_substring_regex(cells, r"(\d) ?(UTC|GMT)$", r"\1").dictionary_encode()
    short = pc.less_equal(pc.utf8_length(distinct.dictionary), _LONGEST)
    words = plain_digits(pc.if_else(short, distinct.dictionary, pa.scalar("", pa.large_string())))
    coded = np.asarray(pc.match_substring_regex(words, _CODE), bool)
    # A word without a digit is no date: "now" and "today" would be read from the clock.
    asked = np.asarray(pc.match_substring_regex(words, r"\d"), bool) & ~coded
    found = _read_distinct(pd.Series(words.filter(pa.array(asked)).to_pandas(), dtype="str"), known, compact)
    if found is None:
        return None
    parsed, form, ambiguous = found
    everywhere = np.full(len(asked) + 1, np.datetime64("NaT", "us"))
    everywhere[:-1][asked] = parsed
    codes = pc.fill_null(distinct.indices, -1).to_numpy(zero_copy_only=False)
    there = np.asarray(cells.is_valid())
    return Dates(
        everywhere[codes], there & np.isnat(everywhere[codes]), np.append(coded, False)[codes], form, ambiguous
    )


def looks_dated(cells: pa.Array) -> Array:
    """Which strings have the shape of a date or a month, week or quarter in some language, ``(n,)`` bool."""
    return np.asarray(pc.fill_null(pc.match_substring_regex(cells, _DATED), False))


def looks_monthly(cells: pa.Array) -> bool:
    """Whether all strings are months such as 04.2021, which could be taken for decimals."""
    there = pc.drop_null(cells)
    told = (pc.all(pc.match_substring_regex(some, _MONTHLY), min_count=2) for some in (there.slice(0, 100), there))
    return all(each.as_py() for each in told)


def looks_compact(values: Array) -> bool:
    """Whether numbers ``(n,)`` (NaN where missing) are all dates such as 20210427."""
    days = values[~np.isnan(values)]
    if len(days) < 2 or days.min() < 19000101 or days.max() > 20991231:
        return False
    month, day = days // 100 % 100, days % 100
    return bool(((days % 1 == 0) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())


def looks_clocked(cells: pa.Array) -> bool:
    """Whether all strings are times of day, or durations."""
    return bool(pc.all(pc.match_substring_regex(cells, _CLOCKED)).as_py())


def _read_distinct(values: pd.Series[Any], known: str, compact: bool) -> tuple[Array, str, bool] | None:
    """Distinct cells read in the best order; that order; whether another one reads them otherwise."""
    forms = _forms(values, compact)
    if known and known not in forms:
        forms = (known, *forms)
    found = {form: parsed for form in forms if (parsed := _parsed(values, form)) is not None}
    if not found:
        return None
    odd = {form: int(np.isnat(parsed).sum()) for form, parsed in found.items()}
    fewest = min(odd.values())
    if known in found and odd[known] - fewest <= _STRAY * len(values):
        return found[known], known, False
    best = [form for form in found if odd[form] == fewest]
    alike = [form for form in best if order(known) and order(form) == order(known)]
    chosen = found[(alike or best)[0]]
    ambiguous = not alike and any(not np.array_equal(chosen, found[form], equal_nan=True) for form in best)
    return chosen, (alike or best)[0], ambiguous


def order(form: str) -> str:
    """What comes first where day and month may be either way round: ``"day"`` or ``"month"``; else nothing."""
    return {"%d": "day", "%m": "month"}.get(form[:2], "")


def _forms(values: pd.Series[Any], compact: bool) -> tuple[str, ...]:
    """The orders that some of the first cells have the shape of; the names of months where they have none."""
    cells = pa.array(values.iloc[:1000], pa.large_string())
    known = (*(("%Y%m%d",) if compact else ()), ISO, *_YEAR_FIRST, *_DAY_OR_MONTH_FIRST)
    shapes = {"%Y%m%d": _COMPACT, ISO: _ISO if compact else r"^[+-]?\d{4}-"}
    found = [form for form in known if _any(cells, shapes.get(form) or _shape(form))]
    return tuple(found) or ((NAMED,) if _any(cells, r"\d.*\pL{3}|\pL{3}.*\d") else ())


def _any(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())


def _shape(form: str) -> str:
    """What cells of an order look like, before their time of day."""
    digits = {"%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{1,2}", "%d": r"\d{1,2}"}
    return "^" + "".join(digits.get(part) or re.escape(part) for part in re.split("(%.)", form)) + "($|[^0-9])"


def _parsed(values: pd.Series[Any], form: str) -> Array | None:
    """The cells in one order, at one precision of the time of day; ``None`` where not one of the first is."""
    if form == NAMED:
        return None if _in_digits(values.iloc[:1000]).isna().all() else _parse(_in_digits(values), ISO)
    if form in (ISO, "%Y%m%d"):
        shape = _ISO if form == ISO else _COMPACT
        shaped = pc.match_substring_regex(pa.array(values, pa.large_string()), shape)
        return _parse(values.where(np.asarray(shaped, bool)), form)
    start = values.iloc[:200]
    timed = _any(pa.array(start, pa.large_string()), ":")
    times = [time for time in (_TIMES if timed else _TIMES[:1]) if _parse(start, form + time) is not None]
    read = [parsed for time in times if (parsed := _parse(values, form + time)) is not None]
    return min(read, key=lambda parsed: int(np.isnat(parsed).sum())) if read else None


def _parse(values: pd.Series[Any], pattern: str) -> Array | None:
    found = pd.to_datetime(values, format=pattern, utc=True, errors="coerce")
    return None if found.isna().all() else np.asarray(found.dt.tz_localize(None).to_numpy("datetime64[us]"))


def _in_digits(values: pd.Series[Any]) -> pd.Series[Any]:
    """Dates with the English name of a month in ISO form; missing where a cell is none."""
    return pd.Series([_digits(value) for value in values], values.index, dtype="str")


def _digits(value: str) -> str | None:
    text = value.casefold()
    for pattern in _WRITTEN_OUT:
        found = pattern.fullmatch(text)
        if found:
            break
    else:
        return None
    name = found["month"]
    month = next((i for i, full in enumerate(_MONTHS, 1) if name in (full, full[:3]) or (name, i) == ("sept", 9)), None)
    if month is None:
        return None
    year = int(found["year"])
    year += 0 if len(found["year"]) == 4 else 1900 if year > 68 else 2000
    time = found["time"]
    return f"{year:04d}-{month:02d}-{int(found['day']):02d}" + (
        f"T{time.zfill(len(time) + (time[1] == ':'))}" if time else ""
    )
