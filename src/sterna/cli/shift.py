"""``sterna shift``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, DomainColumn, Drop, Json, Quiet, Text, Trust, app, print_json
from sterna.errors import RequestError, closest, listed
from sterna.files import user_path

if TYPE_CHECKING:
    import pandas as pd

    from sterna.domains import Domain
    from sterna.domains.reader import Options


@app.command()
def shift(
    source: Annotated[
        str, typer.Argument(help="Folder or zip of images or audio, CSV/TSV/Parquet/JSON Lines, or .npz.")
    ],
    target: Annotated[str, typer.Argument(help="The same kind of data.")],
    body: Annotated[
        str | None,
        typer.Option("--source", metavar="SPEC", help="Compare the features of this model, such as packaged/NAME."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of labels, which are not compared; a file may lack it.")
    ] = None,
    text: Text = None,
    drop: Drop = [],  # noqa: B006
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column (a patient, say) whose rows are not independent.")
    ] = None,
    domain_column: DomainColumn = None,
    source_domain: Annotated[str | None, typer.Option(metavar="VALUE", help="Rows of SOURCE to compare.")] = None,
    target_domain: Annotated[str | None, typer.Option(metavar="VALUE", help="Rows of TARGET to compare.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the sample and the test.")] = 0,
    trust: Trust = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure how far apart the inputs of two domains are; labels are not looked at.

    Example: sterna shift heart.csv heart.csv --domain-column hospital --source-domain a --target-domain b
    """
    from sterna.selection.shift import shift as measure
    from sterna.sources import load_source

    if seed < 0:
        raise RequestError(f"--seed is {seed}; expected 0 or more.")
    if domain_column is not None and source_domain is None and target_domain is None:
        raise RequestError(
            f"--domain-column is {domain_column!r}, but no domain is named; add --source-domain or --target-domain."
        )
    domains = read_pair(
        (source, target), (source_domain, target_domain), label=label, text=text, drop=drop,
        domain_column=domain_column, group=group,
    )  # fmt: skip
    known = None if body is None else load_source(body, trust=trust)
    found = measure(*domains, body=known, seed=seed, progress=not quiet)
    if json:
        print_json(found.record())
    elif not quiet:
        print(f"{found.source} → {found.target}: {found.rows} rows of each, {found.features}")
        if found.columns:
            print(f"compared: {listed(found.columns, 12)}")
        if found.left_out:
            print(
                f"left out, since only one has them, or they hold another kind or nothing: {listed(found.left_out, 12)}"
            )
        if found.groups:
            print(f"groups: {found.groups[0]} and {found.groups[1]}, exchanged and held out whole")
        print(f"proxy A-distance  {found.proxy_a_distance:.3f}  (0 the same, 2 apart)")
        print(f"MMD²              {found.mmd2:.5f}  (p = {found.p_value:.3f}, {found.permutations} permutations)")
        print(found.sentence())


def read_pair(
    specs: tuple[str, str],
    values: tuple[str | None, str | None],
    *,
    label: str | None,
    text: str | None,
    drop: list[str],
    domain_column: str | None,
    group: str | None = None,
) -> list[Domain]:
    """Both domains; of two tables, either may lack the label column or one to drop, but not both."""
    from sterna.domains import load_domain
    from sterna.domains.reader import Options
    from sterna.domains.table_files import read_table
    from sterna.domains.table_names import is_table

    paths = [user_path(spec) for spec in specs]
    tables = {path: read_table(path) for path in dict.fromkeys(paths) if path.is_file() and is_table(path)}
    columns = list(dict.fromkeys(str(name) for frame, _ in tables.values() for name in frame.columns))
    labels = [] if label is None else [label] if label in columns else [part.strip() for part in label.split(",")]
    for option, name in [*(("--label", name) for name in labels), *(("--drop", name) for name in drop)]:
        if name not in columns and all(path in tables for path in paths):
            raise RequestError(f"{option} is {name!r}, but no table has such a column.{closest(name, columns)}")

    def read(path: Path, value: str | None, schema: Mapping[str, Any] | None = None) -> Domain:
        column = domain_column if value else None
        if path in tables:
            asked = Options(text=text, schema=schema, domain_column=column, domain=value, group=group)
            return _rows(*tables[path], path, {*drop, *labels}, label is None, asked)
        return load_domain(path, label=label, text=text, drop=drop, domain_column=column, domain=value, group=group)

    first = read(paths[0], values[0])
    return [first, read(paths[1], values[1], first.reading.get("schema"))]


def _rows(frame: pd.DataFrame, notes: list[str], path: Path, without: set[str], guess: bool, asked: Options) -> Domain:
    """A table's rows without their labels: the columns named, or else the one column that is called as labels are."""
    from sterna.domains.table_domains import table_domain
    from sterna.domains.table_labels import LABEL_NAMES

    called = [str(name) for name in frame.columns if str(name).strip().lower() in LABEL_NAMES]
    if guess and len(called) == 1 and called[0] not in (asked.text, asked.domain_column):
        without = {*without, called[0]}
    named = [str(name) for name in frame.columns if str(name) in without]
    return table_domain(frame, replace(asked, drop=tuple(named)), path.name, notes)
