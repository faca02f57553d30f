"""What the documentation says is what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CLAIM = re.compile(r"`([a-z-]+)` (\d\.\d{3})[,，] ?`([a-z-]+)` (\d\.\d{3})[:：] ?`(helps|unclear|hurts|none)`")


def measured() -> set[tuple[str, ...]]:
    """Name, method, score, control, its score and verdict of every line of the benchmarks that has a gain."""
    results = [json.loads(path.read_text("utf-8")) for path in (ROOT / "benchmarks/results").glob("*.json")]
    rows = [(row.get("pair", result.get("title")), row) for result in results for row in result.get("rows", [])]
    return {(name, *claim(row)) for name, row in rows if row.get("over")}


def claim(row: dict[str, Any]) -> tuple[str, ...]:
    control = row["over"]
    metric = row.get("metric") or next(name for name in row if f"{control} {name}" in row)
    score, other = (f"{row[name]['value']:.3f}" for name in (metric, f"{control} {metric}"))
    return row["method"], score, control, other, row["verdict"]


@pytest.mark.parametrize("page", ["index.md", "index.zh.md"])
def test_the_table_of_methods_cites_what_was_measured(page: str) -> None:
    lines = (ROOT / "docs/methods" / page).read_text("utf-8").splitlines()
    claims = [(line, found) for line in lines for found in CLAIM.findall(line)]
    assert len(claims) >= 15
    for line, found in claims:
        assert any(name in line for name, *rest in measured() if tuple(rest) == found), found


def scores(part: Any) -> set[str]:
    """Every score with its interval in a result, as pages write it."""
    if isinstance(part, dict) and {"value", "low", "high"} <= part.keys():
        return {f"{part['value']:.3f} [{part['low']:.3f}, {part['high']:.3f}]"}
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return set().union(*map(scores, parts))


@pytest.mark.parametrize(("page", "head"), [("README.md", "## What is measured"), ("README.zh.md", "## 测得的结果")])
def test_the_readme_cites_what_was_measured(page: str, head: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    table = text[text.index(head) :].split("\n## ")[0]
    known = scores([json.loads(path.read_text("utf-8")) for path in (ROOT / "benchmarks/results").glob("*.json")])
    cited = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", table)
    assert len(cited) >= 8 and set(cited) <= known, set(cited) - known
