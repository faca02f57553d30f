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
