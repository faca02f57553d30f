"""Two run folders put together as a third: the bodies tensor by tensor, all else is the second run's."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sterna.domains.learnt import read_learnt
from sterna.errors import RequestError
from sterna.files import atomic, copy_files, whole_folder
from sterna.networks.fusing import check_share
from sterna.networks.saved import BODY, BODY_NAMES
from sterna.record.hashes import MANIFEST, check_hashes, check_network, hashes_of_network, hashes_of_run
from sterna.record.reading import damaged, read_object
from sterna.record.record import FORMAT, Record, SourceRecord, read_record
from sterna.store.fusing import Fused, check_layouts, write_fused
from sterna.store.layout import read_layout
from sterna.store.place import alone, check_own, standing

_JSON, _WEIGHTS = "network.json", "model.safetensors"


def fuse_runs(source: Path, target: Path, alpha: float, out: Path, *, overwrite: bool = False) -> Fused:
    r"""Write a run folder whose body has the weights :math:`\alpha W_s + (1 - \alpha) W_t`, under the target's head.

    Head and map are never averaged, as in the method ``weight-fusion``: each was fitted for its own run and did not
    start from the other's. So the runs may answer other classes or other units, and their heads may see other blocks.
    The new folder predicts, and is a source (``run:FOLDER``); its record has no scores until it is scored.

    Parameters
    ----------
    source, target
        Run folders (or folders of saved networks) whose bodies are built alike.
    alpha
        Share of the source, from 0 to 1: at 0 the result is the target's network, at 1 the source's body under the
        target's head, both bit for bit.
    out
        The new run folder, whole or not there.
    overwrite
        Replace a run that is there.

    Raises
    ------
    RequestError
        If a folder holds no network, the bodies differ in more than their weights, or `out` exists.
    RunError
        If the disk is full or cannot be written.
    """
    check_share(alpha)
    folders = _network_folder(source), _network_folder(target)
    described = [read_object(folder / _JSON) for folder in folders]
    files = [BODY if (folder / BODY).exists() else _WEIGHTS for folder in folders]
    ours, theirs = (read_layout(folder / name) for folder, name in zip(folders, files, strict=True))
    check_layouts(ours, theirs, BODY_NAMES)
    for folder, about in zip(folders, described, strict=True):
        if not isinstance(about.get("recipe"), dict):
            raise damaged(folder / _JSON, "it does not say how its body is built")
    _check_bodies(
        f"{str(source)!r} and {str(target)!r}", described, any(n.startswith(BODY_NAMES) for n in theirs.places)
    )
    for run, folder, about in zip((source, target), folders, described, strict=True):
        _check_whole(run, folder, about)
    notes = _notes(target, described)
    _check_out(out, (source, target), overwrite)
    with ExitStack() as stack:
        if out.exists():
            stack.enter_context(alone(out))
        new = stack.enter_context(whole_folder(out))
        (new / "network").mkdir()
        copy_files(folders[1], new / "network", leave=files[1])
        found = write_fused(ours, theirs, alpha, new / "network" / files[1], BODY_NAMES)
        about = {k: v for k, v in described[1].items() if k != "files"}
        about["files"] = hashes_of_network(new / "network")
        with atomic(new / "network" / _JSON) as temporary:
            temporary.write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
        notes = (*notes, *found.notes)
        learnt = [found for found in map(read_learnt, (source, target)) if found is not None]
        if learnt:
            learnt[0].joined(learnt[-1]).save(new)
        if (target / MANIFEST).exists():
            record = _record(source, target, alpha, out, notes)
            record = record.model_copy(update={"files": hashes_of_run(new)})
            with atomic(new / MANIFEST) as temporary:
                temporary.write_text(record.to_json(), encoding="utf-8")
    return Fused(out, found.tensors, found.bytes, notes)


def _check_whole(run: Path, folder: Path, about: dict[str, Any]) -> None:
    """Refuse a run whose network is not as it was written."""
    check_hashes(folder, about.get("files", {}), _JSON)
    if (run / MANIFEST).exists() and folder != run:
        check_network(run, read_record(run / MANIFEST).files)


def _network_folder(path: Path) -> Path:
    folder = path / "network" if (path / "network").is_dir() else path
    if not (folder / _JSON).is_file():
        raise RequestError(f"{str(path)!r} is not a run folder: it holds no {_JSON}; give runs, or .safetensors files.")
    return folder


def _check_bodies(names: str, described: list[dict[str, Any]], weights: bool) -> None:
    """Refuse bodies that differ in more than their weights, and those that have no mean."""
    ours, theirs = (_architecture(about) for about in described)
    differ = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    if differ:
        raise RequestError(
            f"The runs {names} cannot be fused, since they differ in how their bodies are built ({', '.join(differ)}); "
            "fuse a run and one that was tuned from it, or two of the same source."
        )
    if not weights or '"estimator"' in json.dumps(theirs):
        held = "hold a fitted scikit-learn estimator, whose parts have no mean" if weights else "have no weights"
        raise RequestError(
            f"The runs {names} cannot be fused: their bodies {held}; fuse runs of networks, such as fine-tuning's."
        )


def _architecture(about: dict[str, Any]) -> dict[str, Any]:
    """A body's recipe without what does not change its weights' shapes, also in the bodies that it is made of."""

    def bare(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: bare(v) for k, v in value.items() if k not in ("kept", "mirror", "views")}

    found: dict[str, Any] = bare(about.get("recipe") or {})
    return found


def _notes(target: Path, described: list[dict[str, Any]]) -> tuple[str, ...]:
    """What a user should know of the fused run."""
    head = f"The bodies were fused; the head (and the map, if there is one) is that of {str(target)!r}."
    if described[0].get("preparation") == described[1].get("preparation"):
        return (head,)
    return head, "The two runs prepare inputs differently; the fused one prepares them as the second does."


def _check_out(out: Path, inputs: tuple[Path, Path], overwrite: bool) -> None:
    """Refuse a place that is an input, lies in one or around one, or is taken."""
    place = out.resolve()
    for path in (p.resolve() for p in inputs):
        if place == path or place in path.parents or path in place.parents:
            raise RequestError(f"out={str(out)!r} is, holds or lies in a run to fuse; name another.")
    if not standing(out) or (out.is_dir() and not any(out.iterdir())):
        return
    check_own(out)
    if not overwrite:
        raise RequestError(f"The run folder {str(out)!r} exists: replace it with overwrite=True, or name another out=.")


def _record(source: Path, target: Path, alpha: float, out: Path, notes: tuple[str, ...]) -> Record:
    """What is known of the fused run: the target's record without what was measured of the target's own network."""
    theirs = read_record(target / MANIFEST)
    return Record(
        format=FORMAT,
        sterna=version("sterna"),
        name=out.name,
        method="fuse",
        settings={"alpha": alpha, "target": f"run:{target}"},
        source=SourceRecord(spec=f"run:{source}", card={}, data=None),
        scores={},
        controls={},
        gain=None,
        gains={},
        selected_by="nothing was selected: the share was given",
        messages=notes,
        run=str(out),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        task=theirs.task,
        target=theirs.target,
        total_parameters=theirs.total_parameters,
        environment=theirs.environment,
    )
