"""Several runs side by side: which scored best, how surely, and what each was worth beside its controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sterna.record.record import Record
from sterna.record.scores import Gain
from sterna.report.charts import Bar, gain_bars
from sterna.report.language import ENGLISH, Language
from sterna.report.paired import Difference, Unpaired, difference
from sterna.report.run import Run
from sterna.report.verdict import both_values, gain_look, gain_places
from sterna.report.view import View
from sterna.report.words import count, interval, labels_used, metric_name, places, plain
from sterna.tasks.infer import smaller_is_better

BEST = "Difference to {name}: {value}, 95 % interval {interval}"
APART = {"helps": "better", "unclear": "may be chance", "hurts": "worse"}

TARGETS = "The targets differ, so scores are compared within each target only."


@dataclass(frozen=True, eq=False)
class Compared:
    """One run in the comparison.

    Attributes
    ----------
    view
        All that is shown of it below.
    labels
        How many labels of the target it used.
    score, interval, metric
        By the metric that the runs on its target share, or by its own where they share none.
    best
        Whether it is the best of several on its target.
    apart
        How it differs from the best on common test rows, drawn; ``None`` where this cannot be told.
    said
        On how many rows and draws, or why it cannot be told.
    controls
        What it stood beside.
    gain
        The gain over the best of these, drawn.
    """

    view: View
    labels: str
    score: str
    interval: str
    metric: str
    best: bool
    apart: Bar | None
    said: str
    controls: str
    gain: Bar | None


@dataclass(frozen=True)
class Comparison:
    """The runs, the best of each target first, and what is said of all of them."""

    rows: list[Compared]
    sentence: str
    scored_by: str
    axis: Markup | None
    gain_axis: Markup | None


def compare(runs: Sequence[tuple[Run, View]], say: Language = ENGLISH) -> Comparison:
    """Several runs, sorted by score on each target, with the difference of each to the best."""
    targets = dict.fromkeys(run.record.target.name for run, _ in runs)
    groups = [_Group([each for each in runs if each[0].record.target.name == name], say) for name in targets]
    ordered = [(run, view, group) for group in groups for run, view in group.runs]
    records = [run.record for run, _, _ in ordered]
    found = [group.apart(run) for run, _, group in ordered]
    apart, axis = _drawn([each if isinstance(each, Difference) else None for each in found], records, say)
    gains = [(record, record.gain) for record in records if record.gain is not None]
    bars, gain_axis = gain_bars(
        [(f"{gain.control} ({r.method})", "", gain, *gain_look(r, gain)) for r, gain in gains], say
    )
    drawn = iter(bars)
    rows = [
        Compared(
            view=view,
            labels=count(labels_used(run.record)),
            **group.score(run.record),
            best=len(group.runs) > 1 and group.metric is not None and run is group.runs[0][0],
            apart=bar,
            said=_said(each, say),
            controls=say(", ").join(_controls(run.record, say)),
            gain=next(drawn) if run.record.gain is not None else None,
        )
        for (run, view, group), each, bar in zip(ordered, found, apart, strict=True)
    ]
    metrics = {group.metric for group in groups}
    return Comparison(
        rows,
        say(" ").join([_verdicts(records, say), *([say(TARGETS)] if len(groups) > 1 else [])]),
        say(" ").join(dict.fromkeys(group.scored_by for group in groups if group.scored_by)),
        axis if len(metrics) == 1 and any(apart) else None,
        gain_axis if len({gain.metric for _, gain in gains}) == 1 else None,
    )


class _Group:
    """The runs on one target, by the metric that they share, the best first."""

    def __init__(self, runs: Sequence[tuple[Run, View]], say: Language) -> None:
        records = [run.record for run, _ in runs]
        wanted = [name for name, _ in Counter(map(_primary, records)).most_common()]
        alike = len({record.task.id for record in records}) == 1
        shared = [name for name in wanted if alike and all(name in record.scores for record in records)]
        self.metric = shared[0] if shared else None
        self.runs = sorted(runs, key=self._order) if self.metric is not None else list(runs)
        self.scored_by = self._scored_by(records, say) if len(runs) > 1 else ""
        self._say = say

    def _scored_by(self, records: Sequence[Record], say: Language) -> str:
        wanted = list(dict.fromkeys(metric_name(_primary(record), say) for record in records))
        names = say(", ").join(wanted)
        if self.metric is None:
            return say("The runs share no metric ({names}), so their scores are not compared.", names=names)
        by = metric_name(self.metric, say)
        if len(wanted) > 1:
            return say("The runs were judged by different metrics ({names}): here all by {metric}.",
                       names=names, metric=by)  # fmt: skip
        return say("By {metric} on the test split.", metric=by)

    def _order(self, each: tuple[Run, View]) -> float:
        record = each[0].record
        value = record.scores[str(self.metric)].value
        if value != value:
            return float("inf")
        return value if smaller_is_better(record.task.id, str(self.metric)) else -value

    def score(self, record: Record) -> dict[str, str]:
        """The score as it is printed: value, interval and metric."""
        metric = self.metric or _primary(record)
        score = record.scores.get(metric)
        gain = record.gain
        sides = both_values(record, gain) if gain is not None and gain.metric == metric else ()
        decimals = places([score.value if score else None, *sides])
        return {
            "score": plain(score.value if score else None, decimals),
            "interval": interval(score.low, score.high, decimals, say=self._say) if score else "",
            "metric": metric_name(metric, self._say),
        }

    def apart(self, run: Run) -> Difference | str:
        """How a run differs from the best, or why this cannot be told; empty of the best itself."""
        best = self.runs[0][0]
        if len(self.runs) == 1:
            return self._say("the only run on its target")
        if self.metric is None or run is best:
            return ""
        try:
            return difference(run, best, self.metric)
        except Unpaired as why:
            return self._say(str(why))


def _primary(record: Record) -> str:
    return record.gain.metric if record.gain is not None else record.task.metric


def _drawn(
    found: Sequence[Difference | None], records: Sequence[Record], say: Language
) -> tuple[list[Bar | None], Markup]:
    """The differences on one axis."""
    gains: list[tuple[str, str, Gain, int, str]] = []
    for each, record in zip(found, records, strict=True):
        if each is not None:
            decimals = gain_places(record, each.gain.metric)
            gains.append((each.gain.control, "", each.gain, decimals, each.gain.verdict))
    bars, axis = gain_bars(gains, say, title=BEST)
    drawn = iter(bars)
    return [next(drawn) if each is not None else None for each in found], axis


def _said(found: Difference | str, say: Language) -> str:
    if isinstance(found, str):
        return found
    verdict, rows = say(APART[found.gain.verdict]), count(found.rows)
    if found.draws == 1:
        return say("{verdict}; {rows} common rows", verdict=verdict, rows=rows)
    return say("{verdict}; {rows} common rows, {n} draws of the labels", verdict=verdict, rows=rows, n=found.draws)


def _controls(record: Record, say: Language = ENGLISH) -> list[str]:
    """What a run stood beside; the ablation of one method is not that of another."""
    ablation = say("ablation of {method}", method=record.method)
    return sorted(ablation if name == "ablation" else name for name in record.controls)


def _verdicts(records: Sequence[Record], say: Language) -> str:
    """How many runs help, where all stood beside the same controls."""
    if len({tuple(_controls(record)) for record in records}) > 1:
        return say("The runs stood beside different controls, so their verdicts are not counted together.")
    if not any(record.controls for record in records):
        return say("No run stood beside a control.")
    if len({(record.target.name, labels_used(record)) for record in records}) > 1:
        return say("The controls learnt from other labels in each run, so the verdicts are not counted together.")
    helped = sum(record.gain is not None and record.gain.verdict == "helps" for record in records)
    if helped == 0:
        return say("None of {total} help.", total=len(records))
    if helped == 1:
        return say("1 of {total} helps.", total=len(records))
    return say("{n} of {total} help.", n=helped, total=len(records))
