"""Fills the tables of docs/benchmarks.md from the measurements that are checked in, benchmarks/results/*.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

MARK, WORTH = "<!-- benchmarks -->", "<!-- worth -->"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks by one table of all transfers, and by one table for each other file."""
    if MARK not in markdown:
        return markdown
    results = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    pairs = [result for result in results if "pair" in result["rows"][0]]
    others = [result for result in results if result not in pairs]
    return markdown.replace(WORTH, worth(pairs)).replace(MARK, tables(others))


def worth(results: list[dict[str, Any]]) -> str:
    """One table of all transfers: what moved, from where, and what it was worth beside its control."""
    from sterna.methods.method import method_class

    head = ("source → target", "target labels", "what moves", "method", "metric", "score", "control", "gain", "verdict")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in (row for result in results for row in result["rows"]):
        metric, control = row["metric"], row["over"]
        against = f"{control} {cell(row[f'{control} {metric}'])}" if control else "none"
        settings = "".join(f", {name} {value}" for name, value in row.get("settings", {}).items())
        kind, method = method_class(row["method"]).kind(), row["method"] + settings
        values = (row["pair"], row["labels"], kind, method, metric, row[metric])
        ends = (against, row["gain"] if control else "", f"**{row['verdict']}**" if control else "")
        lines.append("| " + " | ".join(cell(value) for value in (*values, *ends)) + " |")
    about = [f"- {r['title']}: `{r['command']}`, {r['rows'][0]['seeds']} seeds, {r['created']}" for r in results]
    return "\n".join([*lines, "", *about])


def tables(results: list[dict[str, Any]]) -> str:
    """One section for each measurement: what was measured on what, a table, and the command that repeats it."""
    sections = [section(result) for result in results]
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
