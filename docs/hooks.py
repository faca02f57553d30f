"""Fills in what other files say: the list of methods and their pages, and the tables of docs/benchmarks.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

MARK, WORTH = "<!-- benchmarks -->", "<!-- worth -->"
METHODS = "<!-- methods -->"
PAGES = Path(__file__).parent / "methods"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

KINDS = {
    "choice": "选择", "parameters": "参数", "networks": "网络", "features": "特征", "examples": "样例", "rules": "规则",
    "controls": "基线",
}  # fmt: skip
NEEDS = {
    "SOURCE_MODEL": ("source model", "源模型"),
    "SOURCE_ANSWERS": ("source that does the task", "已能完成该任务的源"),
    "SOURCE_TASK": ("source with a head or data", "有 head 或有数据的源"),
    "SOURCE_DATA": ("source data", "源数据"),
    "TARGET_LABELS": ("target labels", "目标标签"),
    "UNLABELLED_TARGET": ("target rows", "目标的行"),
    "SAME_TASK": ("the same classes", "同样的类别"),
    "SAME_INPUTS": ("the same columns", "同样的列"),
    "LABELS": ("some labels", "一些标签"),
    "ANSWERED": ("labels, or a source that does the task", "标签，或已能完成该任务的源"),
}


@event_priority(100)  # before the translations copy the navigation
def on_config(config: Any) -> Any:
    """A page for each method, in the order of the list."""
    for entry in config["nav"]:
        if "Methods" in entry:
            entry["Methods"] += [{name: f"methods/{name}.md"} for name, _ in methods()]
    return config


def methods() -> list[tuple[str, str]]:
    """Id and kind of every method of Sterna's own, kind by kind, the controls last."""
    from sterna.methods.method import method_ids

    ours = {name: module for name, module in method_ids().items() if module.startswith("sterna.methods.")}
    kinds = {name: module.split(".")[-2] for name, module in ours.items()}
    return sorted(kinds.items(), key=lambda each: list(KINDS).index(each[1]))


def methods_table(chinese: bool) -> str:
    """Id, kind, needs, and the first sentence of each method's page."""
    from sterna.methods.method import method_class

    head = ("id", "种类", "需要", "") if chinese else ("id", "kind", "needs", "")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, kind in methods():
        needs = [NEEDS[str(need.name)][chinese] for need in method_class(name).needs]
        text = (PAGES / f"{name}{'.zh' if chinese else ''}.md").read_text("utf-8").splitlines()[2]
        sentence = re.split(r"(?<=[.。])\s*", text.removeprefix("*Control.* ").removeprefix("*基线。* "))[0]
        words = KINDS[kind] if chinese else kind
        cells = (f"[`{name}`]({name}.md)", words, ("、" if chinese else ", ").join(needs), sentence)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the marks: by the list of methods, by one table of all transfers, by one table for each other file."""
    markdown = markdown.replace(METHODS, methods_table(page.file.src_uri.endswith(".zh.md")))
    if MARK not in markdown:
        return markdown
    results = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    results = [result for result in results if "rows" in result]  # golden.json holds no measurement
    pairs = [result for result in results if "pair" in result["rows"][0]]
    others = [result for result in results if result not in pairs]
    return markdown.replace(WORTH, worth(pairs)).replace(MARK, tables(others))


def worth(results: list[dict[str, Any]]) -> str:
    """One table of all transfers: what moved, from where, and what it was worth beside its control."""
    from sterna.methods.method import method_class

    head = ("source → target", "labels", "method", "what moves", "score", "its control", "gain [95 %]", "verdict")
    lines, above = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)], ("", "")
    for row in (row for result in results for row in result["rows"]):
        metric, control, gain = row["metric"], row["over"], row["gain"]
        pair = f"{row['pair']} ({metric.replace('_', ' ')})", row["labels"]
        settings = "".join(f", {name} {value}" for name, value in row.get("settings", {}).items())
        against = f"{control} {row[f'{control} {metric}']['value']:.3f}" if control else ""
        worth = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]" if control else ""
        kind = method_class(row["method"]).kind().replace("controls", "(control)")
        values = ("", "") if pair == above else pair
        values = (*values, row["method"] + settings, kind, f"{row[metric]['value']:.3f}", against, worth)
        lines.append("| " + " | ".join(map(cell, values)) + f" | **{row['verdict']}** |".replace("****", ""))
        above = pair
    about = [f"- {r['title']}: `{r['command']}`, {drawn(r['rows'][0])}, {r['created']}" for r in results]
    return "\n".join([*lines, "", *about])


def drawn(row: dict[str, Any]) -> str:
    """How often the labels were drawn; tables of before say seeds."""
    return f"{row['draws']} draws" if "draws" in row else f"{row['seeds']} seeds"


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
    """Show the formulas of docstrings as they are written: no script is fetched to typeset them; of a reference the name."""
    html = re.sub(r":(?:attr|class|func|meth|mod):<code>(?:~[\w.]*\.|\.)?([\w.]+)</code>", r"<code>\1</code>", html)
    html = re.sub(r":math:<code>(.*?)</code>", r"<code>\1</code>", html, flags=re.DOTALL)
    return re.sub(r"<p>\.\. math::\s*(.*?)</p>", r"<pre><code>\1</code></pre>", html, flags=re.DOTALL)
