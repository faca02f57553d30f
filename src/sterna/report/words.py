"""Numbers and names as a person reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from markupsafe import Markup

from sterna.kinds.kind import KINDS, kind_of
from sterna.record.record import Record
from sterna.report.language import ENGLISH, Language

NOTHING = "–"

METRICS = {
    "accuracy": ("accuracy", "share of right predictions"),
    "balanced_accuracy": ("balanced accuracy", "share of right predictions, every class counted equally"),
    "macro_f1": ("macro F1", "precision and recall in one number, every class counted equally"),
    "mcc": ("Matthews correlation", "how far truth and prediction go together: 1 always, 0 as by chance"),
    "micro_f1": ("micro F1", "precision and recall in one number over all labels"),
    "precision": ("precision", "how often a class is right when it is predicted"),
    "recall": ("recall", "how many rows of a class are found"),
    "macro_precision": ("macro precision", "how often a prediction is right, averaged over classes"),
    "macro_recall": ("macro recall", "how many rows are found, averaged over classes"),
    "f1": ("F1", "precision and recall in one number"),
    "auroc": ("AUROC", "chance that a positive row is ranked above a negative one"),
    "average_precision": ("average precision", "precision, averaged over all thresholds"),
    "log_loss": ("log loss", "how surprised the model is by the truth"),
    "ece": ("calibration error", "gap between confidence and share of right predictions"),
    "expected_calibration_error": ("calibration error", "gap between confidence and share of right predictions"),
    "subset_accuracy": ("subset accuracy", "share of rows with every label right"),
    "hamming_loss": ("Hamming loss", "share of wrong labels"),
    "mse": ("MSE", "mean squared error, in squared units of the target"),
    "rmse": ("RMSE", "typical error, in units of the target"),
    "mae": ("MAE", "mean absolute error, in units of the target"),
    "r2": ("R²", "share of the variation explained; 0 is as good as the mean"),
}
CONTROLS = {
    "constant": "one prediction for all rows",
    "scratch": "the same network from a random start",
    "target-only": "the best cheap learner on the target’s labels alone",
    "source-only": "the source as it is",
    "pooled": "source and target rows together",
    "ablation": "this method without the knowledge it moves",
}

_CHOICE = re.compile(r"([^:]+): (\d+) labelled (target|source|source and target) examples(?: \((.*)\))?", re.DOTALL)
_SMALLEST = re.compile(r"the smallest of the gains over (\d+) controls")
RECORDED = (
    "cross-validation", "validation", "leave-one-out", "training", "log loss", "cross-validation on spread labels",
    "target", "source", "source and target", "without target labels", "nothing was selected: fixed settings",
    "no control", "the only control", "train", "test", "unlabelled", "origin", "licence", "parameters", "epochs",
    "steps", "seconds", "batch size", "not asked for", "platform", "cores",
)  # fmt: skip
"""What records hold in so many words, and pages say in their own language."""


def metric_name(metric: str, say: Language = ENGLISH) -> str:
    """A metric as a person calls it: ``"macro_f1"`` → ``"macro F1"``."""
    return say(METRICS[metric][0]) if metric in METRICS else metric.replace("_", " ")


def metric_meaning(metric: str, say: Language = ENGLISH) -> str:
    """What a metric says, in a few words; empty for one that is not known here."""
    return say(METRICS[metric][1]) if metric in METRICS else ""


def control_meaning(control: str, say: Language = ENGLISH) -> str:
    """What a control is, in a few words; empty for one that is not known here."""
    return say(CONTROLS.get(control, ""))


def labels_used(record: Record) -> int | None:
    """How many labels of the target a draw learns from or chooses by; ``None`` where the record does not say."""
    splits = record.target.splits
    return splits.get("train", 0) + splits.get("validation", 0) if splits else None


def tested(record: Record) -> int | None:
    """How many test rows were scored, those of all test splits; ``None`` where the record does not say."""
    return sum(record.target.test_splits) or record.target.splits.get("test")


def repeats(record: Record) -> str:
    """What a run has several of: draws of the labels, or seeds alone where it used no labels, or does not say."""
    return "draws of the labels" if labels_used(record) else "seeds"


def repeated(record: Record, times: int, say: Language = ENGLISH) -> str:
    """``"5 draws of the labels"``, or ``"5 seeds"``."""
    return say("{n} draws of the labels", n=times) if labels_used(record) else say("{n} seeds", n=times)


def rows_name(kind: str, say: Language = ENGLISH) -> str:
    """What a person calls the rows of a domain of this kind; of a kind whose package is not installed, rows."""
    return say(kind_of(kind).counted if kind in KINDS else "rows")


def pictured(kind: str) -> bool:
    """Whether the rows of a domain of this kind are pictures."""
    return kind in KINDS and kind_of(kind).pictured


def places(values: Iterable[float | None]) -> int:
    """Decimals that show these values to about four digits: 3 up to 10, then 2, 1, 0; more for tiny ones.

    >>> places([0.87, 0.9]), places([201.3, 20.1]), places([0.0012])
    (3, 1, 5)
    """
    largest = max((abs(v) for v in values if v is not None and math.isfinite(v)), default=1.0)
    if largest == 0.0:
        return 3
    exponent = math.floor(math.log10(largest))
    return min(8, 2 - exponent) if exponent < -2 else max(0, min(3, 3 - exponent))


def plain(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """A number with a true minus sign; ``"–"`` where there is none.

    >>> plain(-0.1234, 3), plain(0.5, 2, signed=True), plain(None, 3), plain(-0.0001, 3, signed=True)
    ('−0.123', '+0.50', '–', '0.000')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        return text.lstrip("-")
    return ("+" + text if signed and value > 0 else text).replace("-", "−")


def exact(value: float | None, decimals: int) -> Markup:
    """A number as it is read, with the exact one in its ``value`` attribute."""
    known = "" if value is None or not math.isfinite(value) else repr(float(value))
    return Markup('<data value="{}">{}</data>').format(known, plain(value, decimals))


def interval(
    low: float | None, high: float | None, decimals: int, *, signed: bool = False, say: Language = ENGLISH
) -> str:
    """``"0.84 to 0.90"``; ``"–"`` where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return NOTHING
    return say("{low} to {high}", low=plain(low, decimals, signed=signed), high=plain(high, decimals, signed=signed))


def count(value: float | None) -> str:
    """A whole number with thousands apart."""
    return NOTHING if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,}"


def duration(seconds: float | None, say: Language = ENGLISH) -> str:
    """Seconds as ``"0.4 s"``, ``"42 s"``, ``"3 min 12 s"``, ``"1 h 04 min"``."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 9.95:
        return say("{seconds} s", seconds=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 60:
        return say("{seconds} s", seconds=whole)
    if whole < 3600:
        return say("{minutes} min {seconds} s", minutes=whole // 60, seconds=f"{whole % 60:02d}")
    return say("{hours} h {minutes} min", hours=whole // 3600, minutes=f"{whole % 3600 // 60:02d}")


def size(amount: float | None) -> str:
    """Bytes as ``"512 MiB"`` or ``"1.2 GiB"``."""
    if amount is None:
        return NOTHING
    return f"{amount / 2**20:,.0f} MiB" if amount < 2**30 else f"{amount / 2**30:,.1f} GiB"


def day(created: str, say: Language = ENGLISH) -> str:
    """An ISO time as ``"21 November 2026, 07:15"``; what is no time stays as it is."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return created
    parts = {"day": moment.day, "name": f"{moment:%B}", "month": moment.month, "year": moment.year}
    return say("{day} {name} {year}, {time}", time=f"{moment:%H:%M}", **parts)


LONGEST = 4000
"""Characters of a setting, a label or an answer that are shown."""


def said(value: Any, say: Language = ENGLISH) -> str:
    """A setting, a label or an answer in words."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, float):
        return plain(value, 0) if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}".replace("-", "−")
    if isinstance(value, dict):
        return ", ".join(f"{key}: {said(item, say)}" for key, item in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(said(item, say) for item in value) or NOTHING
    words = str(value) or NOTHING
    if len(words) <= LONGEST:
        return words
    return say("{words} … ({n} more characters)", words=words[:LONGEST], n=count(len(words) - LONGEST))


def selection(chose: str, say: Language = ENGLISH) -> str:
    """Which labels chose the model, as a sentence without its full stop.

    Examples
    --------
    >>> selection("without target labels")
    'selected without target labels'
    """
    told = say("; ").join(_chosen(part, say) for part in chose.split("; "))
    if chose.startswith("nothing"):
        return told
    return say("selected {how}", how=told) if chose.startswith("without") else say("selected by {what}", what=told)


def _chosen(part: str, say: Language) -> str:
    """One part of what `sterna.record.choice.selected_by` wrote; what was written otherwise stays as it is."""
    found = _CHOICE.fullmatch(part)
    if found is None:
        return say(part)
    by, labels, of, what = found.groups()
    told = say("{by}: {labels} labelled {of} examples", by=say(by), labels=labels, of=say(of))
    return f"{told} ({what})" if what else told


def found_by(chose: str, say: Language = ENGLISH) -> str:
    """How the control of the headline was found."""
    several = _SMALLEST.fullmatch(chose)
    if several is None:
        return say("; ").join(_chosen(part, say) for part in chose.split("; "))
    return say("the smallest of the gains over {n} controls", n=several[1])
