"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from sterna.errors import RequestError
from sterna.files import atomic, explained
from sterna.record.hashes import MANIFEST
from sterna.record.reading import reading
from sterna.report import words
from sterna.report.comparison import compare
from sterna.report.language import LANGUAGES, Language, language_of
from sterna.report.run import Run, read_run
from sterna.report.view import View, view

if TYPE_CHECKING:
    import jinja2


def write_report(
    runs: Sequence[Path], out: Path, *, lang: str | None = None, noted: Callable[[str], str] = str
) -> Path:
    """Make one self-contained HTML file from run folders alone.

    The file asks the network for nothing and holds no script; it reads well on a phone, on paper, in light and dark.

    Parameters
    ----------
    runs
        Folders that a transfer has written; several are compared before each is shown.
    out
        The HTML file to write; one that is there is replaced.
    lang
        Its language, ``"en"`` or ``"zh"``; told from the environment (``LANG``) if not given. What a run noted stays in
        English.
    noted
        How a sentence that a run noted is said: they name options as in Python.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    RequestError
        If no run is given, one cannot be read, there is no such language, or `out` is a folder or ends as another sort
        of file does.
    RunError
        If the file cannot be written.
    """
    say = language_of(lang)
    if not runs:
        raise RequestError("No run was given to report on: give at least one folder that a transfer has written.")
    out = Path(out)
    with explained(out):
        folder = out.is_dir()
    if folder:
        raise RequestError(
            f"{str(out)!r} is a folder: give the name of an HTML file, such as {str(out / 'report.html')!r}."
        )
    if out.suffix.lower() not in (".html", ".htm", ""):
        raise RequestError(
            f"The report is one HTML file, but its name is {str(out)!r}: give one that ends in .html (a browser prints "
            "it as PDF)."
        )
    shown = [_viewed(Path(run), say, noted) for run in runs]
    comparison = compare(shown, say) if len(shown) > 1 else None
    views = [row.view for row in comparison.rows] if comparison else [shown[0][1]]
    page = _environment(say.code).get_template("page.html.jinja").render(views=views, comparison=comparison)
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out


def _viewed(folder: Path, say: Language, noted: Callable[[str], str]) -> tuple[Run, View]:
    """A run and what the page shows of it; a record whose numbers cannot be is said to be damaged."""
    run = read_run(folder)
    with reading(folder / MANIFEST):
        return run, view(run, say, noted)


@cache
def _environment(code: str) -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sterna.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    say = LANGUAGES[code]
    environment.globals["say"] = say
    environment.filters["day"] = partial(words.day, say=say)
    return environment
