"""Numbers that stay as they are while the code is changed: every method on small data of every kind it takes.

``python -m benchmarks.golden [NAME ...]`` runs the cases whose names hold one of the words (all by default) and says of
each whether it is equal to the bit to `benchmarks/results/golden.json`, or what differs and by how much; it ends with 1
if something differs. ``--write`` writes the cases into the file instead, ``--list`` names them.

Of each case: every score of the method and of its controls with its interval, every gain and its verdict, which labels
chose what, the validation scores, and of the network of the first seed a hash of its weights with their names, one
without the names (so that a renamed part can be told from another value), their norm, and hash and norm of its answers
to all rows of the target. A change in rounding moves the hashes and the last digits of the norms; any other moves more.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order, on any number of cores; before numpy is imported

import hashlib
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.golden_data import NUMBER_RULES, PAIRS, TABLE_RULES, TEXT_RULES, folder

FILE = Path(__file__).parent / "results" / "golden.json"
EPOCHS = 2
SHOWN = 12
"""Differences of a case that are printed; the others are counted."""

Case = Mapping[str, Any]
Array = np.ndarray[Any, Any]


# -- cases ------------------------------------------------------------------------------------------

MODEL = ("feature-extraction", "fine-tuning", "knowledge-propagation", "weight-fusion", "transfer-network")
TRAINED = ("joint-training", "dan", "dann", "deep-coral")
FITTED = ("coral", "domain-scaling", "feature-mapping", "example-mining", "example-weighting")
TWO = (*TRAINED, "parameter-sharing", *FITTED, "task-nesting")
GIVEN = ("label-propagation", "prototypes")
CONTROLS = ("constant", "pooled", "scratch", "source-only", "target-only")
RULES = ("rule-head", "rule-penalty", "weak-labels")
BLIND = ("source-only", "coral", "dan", "dann", "deep-coral", "domain-scaling", "example-weighting", "prototypes")
"""Methods that need no label of the target."""


def cases() -> dict[str, Case]:
    """What is run, by name: METHOD/PAIR, and what is unlike the rest after a comma."""
    found: dict[str, Case] = {}

    def add(methods: Sequence[str], pairs: Sequence[str], more: str = "", **options: Any) -> None:
        for pair in pairs:
            for method in methods:
                name = f"{method}/{pair}" + (f",{more}" if more else "")
                assert name not in found, name
                main = pair in MAIN and not more
                first = not main and all(case["pair"] != pair for case in found.values())
                beside_all = first or (main and method in BESIDE_ALL)
                control = "auto" if beside_all or options.get("labels") == 0 else BESIDE.get(pair, "scratch")
                about = {"seeds": 3 if main else 1, "control": "auto" if method == control else control}
                found[name] = {"pair": pair, "method": method, "labels": 30, **about, **options}

    _of_images(add)
    _of_tables(add)
    _of_texts_and_audio(add)
    return found


MAIN = ("grey", "table", "text", "text-run", "audio")
"""Pairs that every method of their kind runs on, with three seeds; one seed for the others."""

BESIDE_ALL = ("joint-training", "coral", "rule-head")
"""They run beside all controls of ``auto``, which are the same whatever the method; as does the first of another pair.
The other methods have one cheap control."""

BESIDE = {pair: "target-only" for pair in ("text", "text-numbers", "text-labels", "text-run", "minilm")}
"""The control of the others, where it is not ``scratch``."""


def _of_images(add: Callable[..., None]) -> None:
    add((*CONTROLS, *MODEL, *TWO, *GIVEN), ("grey",))
    add(MODEL, ("chosen",), labels=None)
    add(BLIND, ("grey",), "blind", labels=0)
    add(("label-propagation",), ("grey",), "blind", labels=0, settings={"neighbours": 40})
    add(("scratch", "fine-tuning", "weight-fusion", "transfer-network", *TRAINED, "parameter-sharing"), ("colour",))
    add((*TRAINED, "parameter-sharing", "pooled"), ("mixed",))
    add(("pooled", "joint-training", "dann", "parameter-sharing", "task-nesting", "prototypes"), ("pictures",))
    add(("joint-training", "parameter-sharing", "task-nesting"), ("others",))
    add(("fine-tuning", "weight-fusion", "joint-training", "dan", "coral"), ("ink",))
    add(("feature-extraction", "knowledge-propagation", "transfer-network", "example-mining", "dan"), ("signs",))
    add(("source-only", "fine-tuning", "weight-fusion", "task-nesting", "dan"), ("run",))
    add(("fine-tuning", "task-nesting"), ("run-others",))
    add(("fine-tuning",), ("module",), "frozen", settings={"freeze_until": "block1", "gradual": False, "share": 0.5})
    add(("fine-tuning",), ("module",), "plain", settings={"linear_probe": False, "average": False, "augment": False})
    add(("fine-tuning",), ("module",), "weights", balance="weights")
    add(("fine-tuning",), ("module",), "sampler", balance="sampler")
    add(("fine-tuning",), ("module",), "curve", labels=None, curve=(2, 5))
    add(("feature-extraction",), ("module",), "last", settings={"blocks": "last", "penalty": 0.1}, labels_per_class=5,
        labels=None)  # fmt: skip
    add(("weight-fusion",), ("module",), "half", settings={"alpha": 0.5, "epochs_after": 1})
    add(("transfer-network",), ("module",), "gate", settings={"join": "gate", "train_source": True})
    add(("joint-training",), ("grey",), "upgrad", settings={"aggregator": "upgrad"})
    add(("parameter-sharing",), ("grey",), "fixed", settings={"mode": "fixed"})
    add(("parameter-sharing",), ("grey",), "gradients", settings={"mode": "gradients"})
    add(("prototypes",), ("grey",), "directions", settings={"normalize": True})
    add(("example-mining",), ("grey",), "odds", settings={"by": "odds"})


def _of_tables(add: Callable[..., None]) -> None:
    add((*CONTROLS, *TWO, *GIVEN, *RULES), ("table",))
    add(("source-only", "coral", "dan", "domain-scaling", "rule-head", "weak-labels"), ("table",), "blind", labels=0)
    add(("scratch", "pooled", "source-only", *TRAINED, "parameter-sharing", "example-mining", "task-nesting",
         *RULES), ("table-numbers",))  # fmt: skip
    add(("scratch", "pooled", "source-only", "dan", "parameter-sharing", "example-weighting", "task-nesting"),
        ("table-labels",))  # fmt: skip
    add((*MODEL, "task-nesting", "rule-head"), ("table-run",))
    add(("parameter-sharing", "feature-mapping"), ("columns",))
    add(("parameter-sharing",), ("columns-numbers",))
    add(("parameter-sharing",), ("columns",), "fixed", settings={"mode": "fixed"})
    add(("parameter-sharing",), ("columns",), "gradients", settings={"mode": "gradients"})
    named = {"columns": "age=years,pressure=mmHg,ward=unit"}
    add(("rule-head", "weak-labels"), ("renamed",), settings=named, labels=0)
    add(RULES, ("table",), "written", settings={"rules": TABLE_RULES})
    add(RULES, ("table-numbers",), "written", settings={"rules": NUMBER_RULES})


def _of_texts_and_audio(add: Callable[..., None]) -> None:
    add((*CONTROLS, *TRAINED, "parameter-sharing", "task-nesting"), ("text",))
    add((*MODEL, *FITTED, *GIVEN, "source-only"), ("text-run",))
    add(("source-only", "dann"), ("text",), "blind", labels=0)
    add(("coral", "prototypes"), ("text-run",), "blind", labels=0)
    add(("rule-head", "rule-penalty", "weak-labels"), ("text",), "written", settings={"rules": TEXT_RULES})
    add(("source-only", "joint-training", "task-nesting"), ("text-numbers",))
    add(("pooled", "deep-coral", "task-nesting"), ("text-labels",))
    add(("coral", "feature-extraction", "prototypes", "task-nesting"), ("minilm",))
    add(("fine-tuning",), ("minilm",), epochs=1)
    add((*CONTROLS, *TWO, *GIVEN), ("audio",))
    add(("dan", "prototypes"), ("audio",), "blind", labels=0)
    add(("joint-training", "source-only", "task-nesting"), ("audio-numbers",))
    add((*MODEL, "source-only", "coral"), ("audio-run",))
    add(("feature-extraction", "fine-tuning", "dann", "prototypes"), ("speech",))


# -- what is kept of a run --------------------------------------------------------------------------


def run(case: Case) -> dict[str, Any]:
    """One transfer, and what of it must stay as it is."""
    import torch

    from sterna import transfer

    source, target = PAIRS[case["pair"]]()
    options = {"epochs": EPOCHS, "device": "cpu", **case}
    options = {name: value for name, value in options.items() if name != "pair"}
    torch.manual_seed(0)
    np.random.seed(0)
    result = transfer(source, target, **options)
    record, task = result.record, result.task
    answers = result.predict(target) if task.id == "regression" else result.predict_proba(target)
    kept = {
        "metric": record["task"]["metric"],
        "score": result.scores[record["task"]["metric"]].value,
        "scores": {name: _interval(found) for name, found in result.scores.items()},
        "controls": {
            control: {name: _interval(found) for name, found in scores.items()}
            for control, scores in result.controls.items()
        },
        "gain": None if result.gain is None else [result.gain.control, *_interval(result.gain), result.gain.verdict],
        "gains": {control: [*_interval(gain), gain.verdict] for control, gain in result.gains.items()},
        "selected_by": result.selected_by,
        "control_selected_by": record["control_selected_by"],
        "chosen": record["chosen"],
        "seeds": record["seeds"],
        "curve": [[point["labels_per_class"], point["scores"], point["gain"]] for point in record.get("curve", ())],
        "network": weights_of(result.network.state_dict()),
        "answers": {"sha256": _hash([answers]), "norm": float(np.linalg.norm(np.asarray(answers, dtype=np.float64)))},
    }
    return dict(json.loads(json.dumps(kept)))  # as it will be read


def _interval(found: Any) -> list[float]:
    return [found.value, found.low, found.high]


def weights_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes of weights with and without their names, the norm of all that are no whole numbers, and their number."""
    arrays = {name: state[name].detach().cpu().contiguous().numpy() for name in sorted(state)}
    named = hashlib.sha256()
    for name, values in arrays.items():
        named.update(name.encode() + b"\0" + values.tobytes())
    floats = [values.astype(np.float64).ravel() for values in arrays.values() if values.dtype.kind == "f"]
    return {
        "sha256": named.hexdigest(),
        "sha256_without_names": hashlib.sha256(b"".join(sorted(_digest(v) for v in arrays.values()))).hexdigest(),
        "norm": float(np.sqrt(sum(float(values @ values) for values in floats))),
        "weights": int(sum(values.size for values in arrays.values())),
    }


def _digest(values: Array) -> bytes:
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()


def _hash(arrays: Sequence[Array]) -> str:
    return hashlib.sha256(b"".join(_digest(np.ascontiguousarray(values)) for values in arrays)).hexdigest()


# -- comparing --------------------------------------------------------------------------------------


def differences(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """What differs between two kept runs: where, old and new value, and by how much."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            there = f"{at}.{name}" if at else str(name)
            if name not in old or name not in new:
                yield f"{there}: " + ("is new" if name not in old else "is gone")
            else:
                yield from differences(old[name], new[name], there)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{at}[{i}]")
    elif repr(old) != repr(new):
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (old, new))
        size = f" (by {new - old:+.3g})" if numbers else ""
        yield f"{at}: {_short(old)} → {_short(new)}{size}"


def _short(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else repr(value)


def machine() -> str:
    """What the values hang on beside the code."""
    packages = ("torch", "numpy", "scikit-learn", "scipy", "pandas", "transformers")
    return f"{platform.machine()}, Python {platform.python_version()}; " + ", ".join(
        f"{package} {version(package)}" for package in packages
    )


def write(kept: Mapping[str, Any]) -> None:
    """One line a case, so that a change of a few cases is a change of a few lines."""
    lines = [f" {json.dumps(name)}: {json.dumps(kept[name], ensure_ascii=False)}" for name in sorted(kept)]
    head = f'{{"machine": {json.dumps(machine())},\n"cases": {{\n'
    FILE.write_text(head + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Run the cases that are asked for; 1 if one differs from the file."""
    words = [word for word in arguments if not word.startswith("-")]
    unknown = {word for word in arguments if word.startswith("-")} - {"--write", "--list"}
    chosen = {name: case for name, case in cases().items() if not words or any(word in name for word in words)}
    if unknown or not chosen:
        what = f"no option {unknown.pop()}" if unknown else f"no case with {' or '.join(words)} in its name"
        print(f"There is {what}; usage: python -m benchmarks.golden [--write | --list] [NAME ...]", file=sys.stderr)
        return 2
    if "--list" in arguments:
        print("\n".join(chosen))
        return 0
    os.environ["STERNA_CACHE"] = str(folder() / "cache")
    import threadpoolctl
    import torch

    torch.set_num_threads(1)
    # With one thread there is nothing to limit; looking for it anew before each small fit takes half of the time.
    threadpoolctl.threadpool_limits = nullcontext  # type: ignore[misc,assignment]
    warnings.simplefilter("ignore")
    file = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"machine": machine(), "cases": {}}
    before = file["cases"]
    if file["machine"] != machine():
        print(f"The file was written with {file['machine']}; here are {machine()}: the last digits may differ.")
    counts = _run_all(chosen, before, "--write" in arguments)
    if not words:
        gone = [name for name in before if name not in chosen]
        print("".join(f"{name}: is in the file, but is no case any more\n" for name in gone), end="")
        counts["gone"] = len(gone)
    print(", ".join(f"{count} {what}" for what, count in counts.items()) + f"; {time.process_time():.0f} s of CPU")
    return int(any(count for what, count in counts.items() if what not in ("equal", "written")))


def _run_all(chosen: Mapping[str, Case], before: Mapping[str, Any], writing: bool) -> dict[str, int]:
    """Run each case and say how it compares, or write it; one that raises differs, and stops no other."""
    counts = {"written": 0, "failed": 0} if writing else {"equal": 0, "different": 0, "failed": 0, "new": 0}
    kept = {name: value for name, value in before.items() if name in cases()} if writing else {}
    for name, case in chosen.items():
        started = time.process_time()
        try:
            found = run(case)
        except Exception as error:
            print(f"{name}: failed, {type(error).__name__}: {error}", flush=True)
            counts["failed"] += 1
            continue
        lines = [] if writing or name not in before else list(differences(before[name], found))
        what = "written" if writing else "new" if name not in before else "different" if lines else "equal"
        counts[what] += 1
        print(f"{name}: {what} ({time.process_time() - started:.1f} s)", flush=True)
        print("".join(f"    {line}\n" for line in lines[:SHOWN]), end="")
        if len(lines) > SHOWN:
            print(f"    and {len(lines) - SHOWN} more")
        if writing:
            kept[name] = found
            write(kept)
    return counts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
