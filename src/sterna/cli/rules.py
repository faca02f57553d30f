"""``sterna rules``: extract rules from a model or from data, look at them, check them, let them predict."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, DomainColumn, Drop, Json, Quiet, Text, Trust, app, print_json
from sterna.cli.once import App
from sterna.errors import RequestError

if TYPE_CHECKING:
    from sterna.domains import Domain
    from sterna.rules import Extraction, Judgement, RuleSet
    from sterna.tasks import Task

rules = App(help="Extract readable rules from a model or from data, check them, let them predict.")
app.add_typer(rules, name="rules")

Label = Annotated[str | None, typer.Option(metavar="NAME", help="Target column.")]
TargetDomain = Annotated[str | None, typer.Option(metavar="VALUE", help="Only the rows of this domain.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="File of rules.")]


@rules.command()
def extract(
    source: Annotated[str, typer.Argument(metavar="RUN_OR_DATA", help="Run folder, or labelled data.")],
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Rows that the run's model predicts; not for labelled data.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; standard output if not given.")] = None,
    label: Label = None,
    text: Text = None,
    drop: Drop = [],  # noqa: B006
    domain_column: DomainColumn = None,
    target_domain: TargetDomain = None,
    depth: Annotated[int, typer.Option(metavar="N", min=1, max=20, help="Most conditions of a rule.")] = 4,
    leaves: Annotated[
        int, typer.Option(metavar="N", min=2, max=500, help="Most leaves of the tree; gaps make several rules of one.")
    ] = 16,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the rows held out.")] = 0,
    trust: Trust = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Extract rules from a run's model (with rows for it to predict), or straight from labelled data.

    Example: sterna rules extract runs/heart heart.csv --label disease --out rules.txt
    """
    from sterna.domains.groups import unit_ids
    from sterna.domains.learnt import Learnt, read_learnt
    from sterna.files import atomic, check_file
    from sterna.rules import extract_rules, format_rules
    from sterna.rules.origin import origin_text

    if out is not None:
        check_file(out)
    reading = {"label": label, "text": text, "drop": drop, "domain_column": domain_column, "domain": target_domain}
    if (Path(source) / "manifest.json").is_file():
        domain, targets, task, what = _by_run(source, data, reading, trust)
        labelled, earlier = False, read_learnt(Path(source))
    else:
        domain, targets, task, what = _by_labels(source, data, reading)
        labelled, earlier = True, None
    found = extract_rules(domain.inputs, targets, task, depth=depth, leaves=leaves, seed=seed, units=unit_ids(domain))
    seen = [domain.inputs.take(found.drawn_from)]
    learnt = Learnt.of(seen if labelled else [], [] if labelled else seen, earlier)
    written = f"{_heading(found, what)}\n{format_rules(found.rules)}\n"
    if out is not None:
        with atomic(out) as temporary:
            temporary.write_text(f"{written}\n{origin_text(learnt)}\n", encoding="utf-8")
    if json:
        about = {"rules": format_rules(found.rules).split("\n"), "fidelity": found.fidelity, "rows": found.rows,
                 "held_out": found.held_out, "out": None if out is None else str(out)}  # fmt: skip
        print_json(about)
    elif out is None:
        sys.stdout.write(written)
    elif not quiet:
        print(f"{len(found.rules)} rules in {out}; {found.words()}")


def _heading(found: Extraction, what: str) -> str:
    return f"# {len(found.rules)} rules extracted from {found.rows:,} rows of {what}; {found.words()}.".replace(
        "\n", " "
    )


def _by_run(run: str, data: str | None, reading: dict[str, Any], trust: list[str]) -> tuple[Domain, Any, Task, str]:
    """Rows, and what the model of a run predicts for them."""
    from sterna.experiment import load_transfer

    if data is None:
        raise RequestError(f"{run} is a run: name rows for its model to predict, such as: extract {run} heart.csv.")
    transfer = load_transfer(run, trust=trust)
    try:
        domain = transfer.read(data, **reading)
    except RequestError:
        if any(reading.values()):
            raise
        domain = transfer.read_inputs([Path(data)])  # rows without labels will do
    outputs = transfer.outputs(domain)
    targets = transfer.task.encode(transfer.task.answers(outputs))
    return domain, targets, transfer.task, f"{domain.name}, predicted by the run {Path(run).name}"


def _by_labels(spec: str, data: str | None, reading: dict[str, Any]) -> tuple[Domain, Any, Task, str]:
    """Labelled rows, and their labels; those of a test split that came with them are left out."""
    import numpy as np

    if data is not None:
        raise RequestError(f"{spec} is no run folder, so its own labels make the rules; leave out {data!r}.")
    domain, task = _labelled(spec, reading)
    what = f"{domain.name} without its test split" if "test" in domain.splits else domain.name
    domain = domain.take(np.setdiff1d(np.arange(len(domain)), domain.splits.get("test", ())))
    assert domain.labels is not None
    return domain, task.matched(domain)[0], task, what


def _labelled(spec: str, reading: dict[str, Any]) -> tuple[Domain, Task]:
    """The labelled rows of a Domain, and their task, in the user's units."""
    import numpy as np

    from sterna.domains import load_domain
    from sterna.tasks import infer_task

    domain = load_domain(spec, **reading)
    keep = domain.labelled()
    if not keep.any():
        raise RequestError(f"{domain.name} has no labelled row; name the target column with --label.")
    domain = domain.take(np.flatnonzero(keep))
    return domain, infer_task(domain).fitted(np.zeros(0))


@rules.command()
def show(
    file: File,
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help="Labelled data to measure the rules on.")] = None,
    label: Label = None,
    text: Text = None,
    drop: Drop = [],  # noqa: B006
    domain_column: DomainColumn = None,
    target_domain: TargetDomain = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show rules as a table; with DATA, how many of its rows each covers, and how often it is right there."""
    reading = {"label": label, "text": text, "drop": drop, "domain_column": domain_column, "domain": target_domain}
    _look(file, data, reading, json=json, quiet=quiet)


@rules.command()
def check(
    file: File,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled data.")],
    label: Label = None,
    text: Text = None,
    drop: Drop = [],  # noqa: B006
    domain_column: DomainColumn = None,
    target_domain: TargetDomain = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check rules: can they be read, does DATA have their columns, how often are they right, and silent?

    A file that cannot be read, or a column that does not exist, ends with exit code 2.
    """
    reading = {"label": label, "text": text, "drop": drop, "domain_column": domain_column, "domain": target_domain}
    judged = _look(file, data, reading, json=json, quiet=quiet)
    if json or quiet or judged is None:
        return
    silent = [str(i) for i, score in enumerate(judged.rules, 1) if not score.rows]
    if silent:
        print(f"never fire: {', '.join(silent)}")
    if judged.against:
        print(f"below even odds, so they speak against their own prediction: {', '.join(judged.against)}")
    print(f"{judged.rows} rows; no rule fires on {judged.abstained:.1%}")
    if judged.accuracy is not None:
        print(f"right where a rule fires: {judged.accuracy:.3f}")
    print(f"{judged.metric} on all rows: {judged.value:.3f}")


def _look(file: Path, data: str | None, reading: dict[str, Any], *, json: bool, quiet: bool) -> Judgement | None:
    """Print the rules of a file, and what each is worth on labelled data if there are any."""
    from sterna.rules import judge, read_rules

    found, judged = read_rules(file), None
    if data is not None:
        domain, task = _labelled(data, reading)
        assert domain.labels is not None
        judged = judge(found, domain.inputs, task.matched(domain)[0], task)
    if json:
        print_json(_record(found, judged))
    elif not quiet:
        _print_table(found, judged)
    return judged


def _record(found: RuleSet, judged: Judgement | None) -> dict[str, Any]:
    """Rules and what was measured of them, as plain values."""
    scores: Sequence[dict[str, Any]] = [{}] * len(found) if judged is None else [asdict(s) for s in judged.rules]
    record: dict[str, Any] = {
        "rules": [
            {"rule": str(rule), "answer": rule.answer, "confidence": rule.confidence, "line": rule.line, **score}
            for rule, score in zip(found.rules, scores, strict=True)
        ],
        "otherwise": None if found.otherwise is None else str(found.otherwise),
        "columns": list(found.columns),
    }
    return record if judged is None else {**record, **{k: v for k, v in asdict(judged).items() if k != "rules"}}


def _print_table(found: RuleSet, judged: Judgement | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    numbers = judged is not None and judged.accuracy is None and judged.metric in ("r2", "rmse", "mae", "mse")
    for name in ("", "if", "then", "confidence"):
        table.add_column(name, justify="left" if name in ("if", "then") else "right")
    for name in ("rows", "covers", "mean error" if numbers else "precision") if judged is not None else ():
        table.add_column(name, justify="right")
    for i, rule in enumerate(found.rules):
        cells = [str(i + 1), escape(rule.when), escape(rule.answer), f"{rule.confidence:g}"]
        if judged is not None:
            score = judged.rules[i]
            cells += [str(score.rows), f"{score.coverage:.1%}", _right(score)]
        table.add_row(*cells)
    if found.otherwise is not None:
        table.add_row("", "otherwise", escape(found.otherwise.answer), f"{found.otherwise.confidence:g}")
    Console().print(table)


def _right(score: Any) -> str:
    if score.error is not None:
        return f"{score.error:.4g}"
    return "" if score.precision is None else f"{score.precision:.2f} [{score.low:.2f}, {score.high:.2f}]"


@rules.command()
def apply(
    file: File,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A table, or texts (also a .txt, one a line).")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Where to; standard output if not given.")
    ] = None,
    text: Text = None,
    drop: Drop = [],  # noqa: B006
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="All classes there are; those of the rules if not given.")
    ] = None,
    numbers: Annotated[bool, typer.Option("--numbers", help="Predictions are numbers, not classes.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict rows: for each the prediction, its probability, and the rules that fired; empty where nothing is said."""
    from sterna.files import atomic, check_file
    from sterna.rules import answer, read_rules
    from sterna.store.answers import csv_of
    from sterna.tasks import Classification, Regression

    if numbers and classes is not None:
        raise RequestError("--numbers and --classes were both given; a rule predicts either a number or a class.")
    if out is not None:
        check_file(out)
    named = None if classes is None else Classification(tuple(part.strip() for part in classes.split(",") if part))
    frame = answer(read_rules(file), _inputs(data, text, drop), Regression() if numbers else named)
    if out is None:
        sys.stdout.write(frame.to_json(orient="records", force_ascii=False, indent=1) if json else csv_of(frame))
        return
    with atomic(out) as temporary:
        temporary.write_text(csv_of(frame), encoding="utf-8")
    if json:
        print_json({"rows": len(frame), "out": str(out)})
    elif not quiet:
        print(f"{len(frame)} predictions in {out}")


def _inputs(data: str, text: str | None, drop: list[str]) -> Any:
    """Rows to predict: a table or its texts, or a file with a text a line."""
    from sterna.domains.table_domains import load_inputs
    from sterna.domains.unlabelled import load_inputs as load_lines

    path = Path(data)
    if path.suffix == ".txt" or not path.is_file():
        return load_lines([path], "text", {}).inputs  # which also says what is wrong with the path
    return load_inputs(path, {"text": text, "drop": drop})[0]
