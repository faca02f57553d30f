"""``sterna fuse``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterna.cli.app import Debug, Json, Quiet, app, print_json
from sterna.cli.wording import say
from sterna.errors import RequestError


@app.command()
def fuse(
    source: Annotated[Path, typer.Argument(metavar="A", help="The source: a .safetensors file, or a run folder.")],
    target: Annotated[Path, typer.Argument(metavar="B", help="The target: the same, of the same architecture.")],
    out: Annotated[Path, typer.Option(help="The file or run folder to write.", metavar="C")],
    alpha: Annotated[float, typer.Option(help="Share of A in the fused weights, from 0 to 1.", metavar="NUMBER")] = 0.5,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")] = False,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the weighted mean of two networks' weights: alpha times A, and the rest B.

    Example: sterna fuse pretrained.safetensors tuned.safetensors --alpha 0.3 --out fused.safetensors

    Both must be of one architecture, and B should have been tuned from A (or both from the same weights). Of run
    folders the bodies are fused under B's head, which may be of other classes or units than A's. Number types,
    metadata and whole numbers are those of B. Statistics of batch normalisation are averaged like weights, since
    there are no inputs here: the method weight-fusion takes them anew.
    """
    from sterna.store.fusing import fuse_files
    from sterna.store.layout import check_there

    for path in (source, target):
        check_there(path)
    if source.is_dir() != target.is_dir():
        folder, file = (source, target) if source.is_dir() else (target, source)
        raise RequestError(f"{str(folder)!r} is a folder and {str(file)!r} a file; give two files, or two run folders.")
    if source.is_dir():
        from sterna.store.fusing_runs import fuse_runs

        found = fuse_runs(source, target, alpha, out, overwrite=overwrite)
    else:
        found = fuse_files(source, target, alpha, out, overwrite=overwrite)
    if json:
        about = {"alpha": alpha, "tensors": found.tensors, "bytes": found.bytes, "notes": list(found.notes)}
        print_json({"out": str(found.out), **about})
    elif not quiet:
        print(f"{found.tensors} tensors, {found.bytes / 1e6:,.1f} MB, alpha {alpha:g}: {found.out}")
    if not quiet:
        for note in found.notes:
            say(f"note: {note}")
