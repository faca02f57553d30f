"""The language of a page: phrases are written in English where they are used, and looked up in another language."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from sterna.errors import RequestError, closest


@dataclass(frozen=True)
class Language:
    """Says a phrase: ``say("{n} transfers compared", n=3)``.

    Attributes
    ----------
    code
        What the page says of itself: ``"en"``, ``"zh"``.
    phrases
        From the English phrase to that of this language; one that is missing stays as it is, as words that a run or a
        package brought do.
    """

    code: str = "en"
    phrases: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, phrase: str, /, **values: object) -> str:
        """The phrase with its values, which may be any words."""
        return self._found(phrase).format(**values) if values else self._found(phrase)

    def html(self, phrase: str, /, **values: object) -> Markup:
        """A phrase that holds elements; its values are escaped."""
        return Markup(self._found(phrase)).format(**values)

    def _found(self, phrase: str) -> str:
        return self.phrases.get(phrase, phrase).replace("95 %", "95\u00a0%")


ENGLISH = Language()
CHINESE = Language("zh", json.loads(Path(__file__).with_name("chinese.json").read_text(encoding="utf-8")))
LANGUAGES = {language.code: language for language in (ENGLISH, CHINESE)}


def language_of(asked: str | None = None) -> Language:
    """The language of this code; of the environment (``LC_ALL``, ``LC_MESSAGES``, ``LANG``) where none is asked for.

    Raises
    ------
    RequestError
        If there is none.
    """
    if asked is None:
        set_ones = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return LANGUAGES.get(_code(next(filter(None, set_ones), "")), ENGLISH)
    if _code(asked) not in LANGUAGES:
        raise RequestError(
            f"There is no report in the language {asked!r}; there are {', '.join(LANGUAGES)}."
            f"{closest(asked, list(LANGUAGES))}"
        )
    return LANGUAGES[_code(asked)]


def _code(name: str) -> str:
    """``"zh_CN.UTF-8"`` → ``"zh"``."""
    return name.lower().replace("-", "_").split("_")[0].split(".")[0]
