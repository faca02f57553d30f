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


WITHOUT = {
    "[`auto`](methods/auto.md)": "the gate (auto)",
    **{f"always `{name}`": f"always {name}" for name in ("domain-scaling", "coral", "example-weighting")},
    **{f"总是 `{name}`": f"always {name}" for name in ("domain-scaling", "coral", "example-weighting")},
    "the mean of all methods": "mean of all", "所有方法的平均": "mean of all",
    **dict.fromkeys(("importance-weighted aggregation", "重要性加权聚合"), "importance-weighted aggregation"),
}  # fmt: skip
"""Lines of the table of choosing without target labels, and what the result calls them."""


@pytest.mark.parametrize("page", ["benchmarks.md", "benchmarks.zh.md"])
def test_the_table_of_choosing_without_labels_is_that_of_the_result(page: str) -> None:
    rows = json.loads((ROOT / "benchmarks/results/without.json").read_text("utf-8"))["rows"]
    known = {row["policy"]: row for row in rows if "policy" in row}
    lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
    found = {cells[1].strip(): cells[2:6] for line in lines if len(cells := line.split("|")) == 7}
    cited = {
        WITHOUT[name]: [each.strip().replace("−", "-") for each in cells]
        for name, cells in found.items()
        if name in WITHOUT
    }
    assert len(cited) == 6
    for name, cells in cited.items():
        gain, *others = (known[name][what] for what in ("gain", "kept", "hurts", "below"))
        assert cells == [f"{gain:+.3f}", *(f"{each:.2f}" for each in others)], name
