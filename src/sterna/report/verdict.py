"""The verdict in words that a doctor or a shop owner understands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sterna.record.record import Record
from sterna.record.scores import Gain
from sterna.report.language import ENGLISH, Language
from sterna.report.words import (
    control_meaning,
    interval,
    metric_meaning,
    metric_name,
    places,
    plain,
    rows_name,
)
from sterna.tasks.infer import smaller_is_better

WORDS = {"helps": "Helps", "unclear": "Unclear", "hurts": "Hurts", "none": "No verdict"}
ADVICE = {
    "helps": "The whole interval lies above zero, against every control: better than chance alone would explain.",
    "unclear": "The interval includes zero: these test rows cannot tell whether the transfer helps or hurts.",
    "hurts": "The whole interval lies below zero: use the control instead.",
    "none": "Of a transfer this gain says nothing; the notes say why.",
}
TOO_FEW = "There are too few test rows, or draws of the labels, to tell whether the transfer helps or hurts."


@dataclass(frozen=True)
class Verdict:
    """What the page says first.

    Attributes
    ----------
    kind
        ``"helps"``, ``"unclear"``, ``"hurts"``; ``"none"`` where nothing was compared, or no verdict is given.
    word
        The verdict in a word.
    gain
        The gain as it is printed; empty where nothing was compared.
    sentence, advice
        What was found, and what it means.
    plainly
        The same for a hundred rows; empty for a metric that does not count rows.
    """

    kind: str
    word: str
    gain: str
    sentence: str
    advice: str
    plainly: str = ""


def judge(record: Record, say: Language = ENGLISH) -> Verdict:
    """The verdict of a run."""
    gain = record.gain
    if gain is None:
        metric = record.task.metric
        score = record.scores.get(metric)
        reached = score.value if score is not None else None
        return Verdict(
            "none", say("Not compared"), "",
            say("{metric} is {value} on the test split; no control was run beside it.",
                metric=_capital(metric_name(metric, say)), value=plain(reached, places([reached]))),
            say("Without a control nothing can be said about what the transfer was worth."),
        )  # fmt: skip
    decimals = gain_places(record, gain.metric)
    value = plain(gain.value, decimals, signed=True)
    if record.no_verdict is not None:
        return Verdict("none", say(WORDS["none"]), "", _sentence(record, gain, decimals, say), say(ADVICE["none"]))
    return Verdict(
        gain.verdict,
        say(WORDS[gain.verdict]),
        value,
        _sentence(record, gain, decimals, say),
        say(_advice(gain)),
        _plainly(record, gain, say),
    )


def gain_places(record: Record, metric: str) -> int:
    """Decimals of the scores that a gain is made of; more where the gains are too small for those."""
    sides = [record.scores, *record.controls.values()]
    scores = [side[metric].value for side in sides if metric in side]
    gains = [v for gain in (record.gain, *record.gains.values()) if gain for v in (gain.value, gain.low, gain.high)]
    decimals = places(scores)
    largest = max((abs(v) for v in gains if math.isfinite(v)), default=0.0)
    return decimals if largest == 0.0 or largest >= 10.0 ** (1 - decimals) else places(gains)


def gain_look(record: Record, gain: Gain) -> tuple[int, str]:
    """Decimals of a gain, and its verdict; ``"none"`` where the run gives none."""
    return gain_places(record, gain.metric), "none" if record.no_verdict is not None else gain.verdict


def both_values(record: Record, gain: Gain) -> tuple[float | None, float | None]:
    """The metric of the gain for the transfer and for the gain's control."""
    mine = record.scores.get(gain.metric)
    other = record.controls.get(gain.control, {}).get(gain.metric)
    return (mine.value if mine else None), (other.value if other else None)


def _sentence(record: Record, gain: Gain, decimals: int, say: Language) -> str:
    mine, other = both_values(record, gain)
    score_places = places([mine, other])
    meaning = control_meaning(gain.control, say)
    metric = _capital(metric_name(gain.metric, say))
    if not gain.higher_is_better or smaller_is_better(record.task.id, gain.metric):
        metric = say("{metric} (smaller is better)", metric=metric)
    lost = say("a loss of {value}") if gain.verdict == "hurts" else say("a gain of {value}")
    between = interval(gain.low, gain.high, decimals, signed=True, say=say).replace(" ", "\u00a0")
    return say(
        "{metric} is {mine} with {method} and {other} with the control to beat, {control}: {gain} "
        "(95 % interval {interval}).",
        metric=metric,
        mine=plain(mine, score_places),
        method=record.method,
        other=plain(other, score_places),
        control=say("{control} ({meaning})", control=gain.control, meaning=meaning) if meaning else gain.control,
        gain=lost.format(value=plain(gain.value, decimals, signed=True)),
        interval=between,
    )


def _advice(gain: Gain) -> str:
    return TOO_FEW if gain.verdict == "unclear" and not gain.low <= 0 <= gain.high else ADVICE[gain.verdict]


def _plainly(record: Record, gain: Gain, say: Language) -> str:
    mine, other = both_values(record, gain)
    if gain.metric not in ("accuracy", "balanced_accuracy"):
        meaning = metric_meaning(gain.metric, say)
        name = _capital(metric_name(gain.metric, say))
        return say("{metric}: {meaning}.", metric=name, meaning=meaning) if meaning else ""
    if mine is None or other is None or not (math.isfinite(mine) and math.isfinite(other)):
        return ""
    decimals = 0 if round(100 * mine) != round(100 * other) else 1
    rows = rows_name(record.target.kind, say)
    if gain.metric == "balanced_accuracy":
        rows = say("{rows}, with every class counted equally,", rows=rows)
    return say(
        "Of 100 new {rows} about {mine} are predicted right instead of {other}.",
        rows=rows,
        mine=plain(100 * mine, decimals),
        other=plain(100 * other, decimals),
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
