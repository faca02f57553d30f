"""Every phrase of the report has its Chinese twin, and a page in Chinese holds no English sentence of the templates."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter

import pytest

import sterna.report
from sterna.errors import RequestError
from sterna.kinds.kind import KINDS, kind_of
from sterna.report import charts, comparison, paired, verdict, words, write_report
from sterna.report.language import CHINESE, ENGLISH, language_of
from sterna.tasks.infer import TASKS, task_type

MakeRun = Callable[..., Path]
ROOM, PHRASES = Path(sterna.report.__file__).parent, CHINESE.phrases


def literals(node: ast.expr) -> Iterator[str]:
    """The words that an expression may be: ``"a"``, ``"a" if x else "b"``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def phrases() -> set[str]:
    """All that is said: in modules, in templates, and in the tables that are looked up."""
    found: set[str] = set()
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith(("say", "say.html")):
                found |= set(literals(node.args[0]))
    for path in (ROOM / "templates").glob("*.jinja"):
        found |= set(re.findall(r'\bsay(?:\.html)?\("([^"]*)"', path.read_text(encoding="utf-8")))
    found |= {each for pair in words.METRICS.values() for each in pair} | set(words.CONTROLS.values())
    found |= {*verdict.WORDS.values(), *verdict.ADVICE.values(), verdict.TOO_FEW, *comparison.APART.values()}
    found |= {comparison.BEST, comparison.TARGETS, charts.GAIN, *words.RECORDED}
    found |= {value for name, value in vars(paired).items() if name.isupper() and isinstance(value, str)}
    ours = ("classification", "multilabel", "regression")
    found |= {task_type(name).asks for name in TASKS.names() if name in ours}
    return found | {kind_of(name).counted for name in KINDS.names() if name in ("images", "table", "text", "audio")}


def fields(phrase: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}


def test_every_phrase_has_its_chinese_twin_with_the_same_values_and_elements() -> None:
    said = phrases()
    assert said - PHRASES.keys() == set() and PHRASES.keys() - said == set()
    for english, chinese in PHRASES.items():
        named = {"name", "month"} if "{month}" in chinese else set()  # a month has a name in one, a number in the other
        assert fields(chinese) - named == fields(english) - named, english
        assert re.findall(r"</?\w+>", chinese) == re.findall(r"</?\w+>", english)


def test_templates_hold_no_words_of_their_own() -> None:
    for path in (ROOM / "templates").glob("*.jinja"):
        source = path.read_text(encoding="utf-8")
        for attribute in re.findall(r'(?:aria-label|alt|title)="((?:\{\{.*?\}\}|[^"{])*)"', source):
            assert attribute.startswith("{{"), (path.name, attribute)
        bare = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", source, flags=re.S)
        bare = re.sub(r"<[^>]*>", " ", bare, flags=re.S)
        assert set(re.findall(r"[A-Za-z]{2,}", bare)) <= {"Sterna"}, path.name


@pytest.mark.parametrize("kind", ["medical", "flowers", "bikes", "chinese", "bare"])
def test_a_page_in_chinese_says_nothing_in_english(kind: str, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(kind)
    pages = [write_report([run], tmp_path / "one.html", lang="zh")]
    pages.append(write_report([run, make_run("medical", "b")], tmp_path / "two.html", lang="zh_CN.UTF-8"))
    for page in pages:
        source = page.read_text(encoding="utf-8")
        assert '<html lang="zh">' in source
        text = re.sub(r"<style>.*?</style>|<[^>]+>", "\n", source, flags=re.S).replace("\u00a0", " ")
        titles = "\n".join(re.findall(r'(?:title>|aria-label="|alt="|data-name=")([^<"]+)', source))
        for phrase, chinese in PHRASES.items():
            parts = [part.strip() for part in re.split(r"\{\w+\}|<[^>]+>", phrase)]
            for part in (part for part in parts if len(part.split()) > 2 and part not in chinese):
                assert part not in text and part not in titles, phrase
    assert "结论" in pages[1].read_text(encoding="utf-8")


def test_the_verdict_in_chinese(make_run: MakeRun, tmp_path: Path) -> None:
    page = write_report([make_run("medical")], tmp_path / "r.html", lang="zh").read_text(encoding="utf-8")
    for said in (
        "有益", "feature-extraction 为 0.832，要超过的基线 target-only（只用目标标签的最好的廉价学习器） 为 0.746",
        "增益 +0.085（95\u00a0% 区间 +0.052\u00a0至\u00a0+0.120）。", "2026 年 11 月 21 日 07:15", "42 秒",
        "3 images could not be decoded",  # what the run noted stays
    ):  # fmt: skip
        assert said in page, said


def test_the_language_is_that_of_the_environment_unless_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert language_of() is ENGLISH
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert language_of() is CHINESE and language_of("en") is ENGLISH
    monkeypatch.setenv("LC_ALL", "C")
    assert language_of() is ENGLISH and language_of("zh-Hans") is CHINESE
    with pytest.raises(RequestError, match="no report in the language 'fr'; there are en, zh"):
        language_of("fr")
