"""Rules on the source's columns as rules on the target's: a map that the user gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sterna.errors import RequestError, closest, quoted
from sterna.rules.ruleset import RuleSet
from sterna.untrusted import read_yaml_file


def column_map(given: str | Mapping[str, str] | None) -> dict[str, str]:
    """Names of the source's columns and what the target calls them.

    Parameters
    ----------
    given
        A mapping; ``"LIMIT_BAL=credit_amount,AGE=age"``; or the path of a JSON or YAML file with a mapping.

    Raises
    ------
    RequestError
        If it is none of these, or two columns would get one name.

    Examples
    --------
    >>> column_map("AGE=age, LIMIT_BAL = credit_amount")
    {'AGE': 'age', 'LIMIT_BAL': 'credit_amount'}
    """
    if not given:
        return {}
    if isinstance(given, str):
        given = _pairs(given) if "=" in given else _file(Path(given))
    names = {str(ours): str(theirs) for ours, theirs in given.items()}
    counts = Counter(names.values())
    twice = [name for name in names.values() if counts[name] > 1]
    if twice:
        both = [ours for ours, theirs in names.items() if theirs == twice[0]]
        raise RequestError(
            f"columns maps {' and '.join(map(repr, both))} to {twice[0]!r}; give each a column of its own."
        )
    return names


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for part in text.split(","):
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if not (ours and equals and theirs):
            raise RequestError(f"columns has {part.strip()!r}; expected OURS=THEIRS pairs, such as AGE=age,SEX=sex.")
        found[ours] = theirs
    return found


def _file(path: Path) -> dict[str, str]:
    try:
        found = read_yaml_file(path)
    except FileNotFoundError:
        raise RequestError(f"columns is {str(path)!r}: no such file, and no pair such as AGE=age.") from None
    except ValueError as error:
        raise RequestError(f"columns: {str(path)!r} is no JSON or YAML ({error}).") from error
    if not isinstance(found, dict) or not all(isinstance(v, str | int | float) for v in found.values()):
        raise RequestError(f"columns: {str(path)!r} must map names to names, one a line, such as 'AGE: age'.")
    return found


def check_names(names: Mapping[str, str], ours: Collection[str], theirs: Collection[str]) -> None:
    """Refuse a map that names a column which is on neither side.

    Parameters
    ----------
    names
        From the source's columns to the target's.
    ours
        Columns of the source, and those that written rules speak of.
    theirs
        Columns of the target.

    Raises
    ------
    RequestError
        With the name and those that come near it.
    """
    for first, second in names.items():
        if first not in ours:
            raise RequestError(f"columns maps {first!r}, which the source has not.{near(first, ours)}")
        if second not in theirs:
            raise RequestError(f"columns maps {first!r} to {second!r}, which the target has not.{near(second, theirs)}")


def counterpart(name: str, names: Mapping[str, str]) -> str | None:
    """What the target calls a column of the source; ``None`` where the map gives that name to another column.

    Examples
    --------
    >>> [counterpart(name, {"income": "salary"}) for name in ("income", "age", "salary")]
    ['salary', 'age', None]
    """
    return names[name] if name in names else None if name in names.values() else name


def near(name: str, known: Collection[str]) -> str:
    """Say which columns are called almost so; first of all one that differs in capitals alone."""
    same = [other for other in known if other.casefold() == name.casefold()]
    return f" Did you mean {same[0]!r}?" if same else closest(name, known)


@dataclass(frozen=True)
class Translation:
    """Rules on the target's columns.

    Attributes
    ----------
    rules
        Those that speak only of columns with a counterpart in the target.
    dropped
        How many others there were.
    lacking
        The columns they speak of that have none, by the source's names.
    """

    rules: RuleSet
    dropped: int
    lacking: tuple[str, ...]

    def note(self) -> str | None:
        """One sentence on the rules that were dropped, if any."""
        if not self.dropped:
            return None
        total = self.dropped + len(self.rules)
        where = "columns without a counterpart in the target"
        return f"{self.dropped} of {total} rules speak of {where} ({quoted(self.lacking, 5)}) and were dropped."


def translated(rules: RuleSet, names: Mapping[str, str], theirs: Collection[str]) -> Translation:
    """Rename the columns of rules, and drop the rules that the target cannot answer.

    Parameters
    ----------
    rules
        On the source's columns.
    names
        From the source's columns to the target's; a column that is not in it keeps its name, unless that is taken.
    theirs
        Columns of the target.

    Raises
    ------
    RequestError
        If no rule is left.
    """
    lacking = tuple(name for name in rules.columns if counterpart(name, names) not in theirs)
    kept = rules.about(set(rules.columns) - set(lacking))
    if rules.rules and not kept:
        free = [name for name in theirs if name not in names.values()]
        raise RequestError(
            f"None of the {len(rules)} rules speaks only of columns that the target has (lacking: "
            f"{', '.join(map(repr, lacking[:5]))}); map the names, such as settings={{'columns': "
            f"'NAME=name'}}.{near(lacking[0], free)}"
        )
    return Translation(RuleSet(kept, rules.otherwise).renamed(names), len(rules) - len(kept), lacking)
