"""Fills the table of docs/benchmarks.md from the measurements that are checked in, benchmarks/results/*.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

MARK = "<!-- benchmarks -->"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the mark by one table for each file."""
    return markdown.replace(MARK, tables(RESULTS)) if MARK in markdown else markdown


def tables(folder: Path) -> str:
    """One section for each measurement: what was measured on what, a table, and the command that repeats it."""
    sections = [section(json.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.json"))]
    return "\n\n".join(sections) or "*(no measurement is checked in yet / 尚无测量结果)*"


def section(result: dict[str, Any]) -> str:
    """Title, table, command, and where and when it ran."""
    columns = list(dict.fromkeys(name for row in result["rows"] for name in row))
    lines = [f"## {result['title']}", ""]
    lines += ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(name)) for name in columns) + " |" for row in result["rows"]]
    lines += [
        "",
        f"```\n{result['command']}\n```",
        "",
        f"{result.get('machine', '')} {result.get('created', '')}".strip(),
    ]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A number to three places, a score as ``value [low, high]``, the rest as it is."""
    if isinstance(value, dict) and {"value", "low", "high"} <= value.keys():
        return f"{cell(value['value'])} [{cell(value['low'])}, {cell(value['high'])}]"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value).replace("|", "\\|")


def on_page_content(html: str, **_: Any) -> str:
    """Show the formulas of docstrings as they are written: no script is fetched to typeset them."""
    html = re.sub(r":math:<code>(.*?)</code>", r"<code>\1</code>", html, flags=re.DOTALL)
    return re.sub(r"<p>\.\. math::\s*(.*?)</p>", r"<pre><code>\1</code></pre>", html, flags=re.DOTALL)
