"""Runs beside each other: sorted, each with its difference to the best on the rows that both have, or why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sterna.evaluation.gain import gains
from sterna.evaluation.scores import score
from sterna.report import paired
from sterna.report.comparison import Comparison, compare
from sterna.report.paired import Unpaired, difference
from sterna.report.run import read_run
from sterna.report.view import view
from sterna.tasks.classification import Classification
from sterna.tasks.multilabel import MultiLabel
from sterna.tasks.regression import Regression
from sterna.tasks.task import Task

CLASSES = Classification(("no", "yes"), "accuracy")
ROWS = 60
Make = Callable[..., Path]


def truth(task: Task) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(0)
    if task.one_number:
        return random.normal(size=ROWS)
    return random.integers(0, 2, ROWS) if task.one_class else random.integers(0, 2, (ROWS, task.outputs)).astype(float)


def outputs_of(task: Task, strength: float, seed: int) -> np.ndarray[Any, Any]:
    """Outputs that are right the more often the stronger they are."""
    right = truth(task)
    centre = right[:, None] if task.one_number else 2 * (np.eye(2)[right] if task.one_class else right) - 1
    noise = np.random.default_rng([seed, round(100 * strength)]).normal(size=centre.shape)
    return np.asarray(strength * centre + noise)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a run whose record and predictions agree: ``make("a", strength=2.0, seeds=(0, 1))``."""

    def write(
        name: str,
        strength: float = 1.0,
        *,
        task: Task = CLASSES,
        seeds: Sequence[int] = (0, 1),
        rows: slice = slice(None),
        controls: Sequence[str] = ("target-only",),
        verdict: str = "helps",
        change: Callable[[dict[str, Any], pd.DataFrame], None] | None = None,
        **known: Any,
    ) -> Path:
        right, own = truth(task)[rows], [outputs_of(task, strength, seed)[rows] for seed in seeds]
        scores = {metric: vars(found) for metric, found in score(task, own, right).items()}
        gain = {"metric": task.metric, "value": 0.1, "low": 0.05, "high": 0.15, "verdict": verdict}
        manifest = {
            "method": name,
            "task": task.state(),
            "target": {"name": "t", "kind": "table", "splits": {"train": 40, "validation": 10, "test": len(right)}},
            "scores": scores,
            "controls": {control: scores for control in controls},
            "gain": {**gain, "control": controls[0]} if controls else None,
            "seeds": list(seeds),
        }
        frames = []
        for seed, outputs in zip(seeds, own, strict=True):
            columns = {"seed": seed, "row": 100 + np.arange(ROWS)[rows], "name": np.arange(ROWS)[rows].astype(str)}
            columns |= {"label": task.told(task.decode(right)), "answer": task.told(task.answers(outputs))}
            if task.classes:
                likely = task.probabilities(outputs).T
                columns |= {f"p_{c}": p for c, p in zip(task.classes, likely, strict=True)}
            columns |= {key: value[rows] for key, value in known.items()}
            frames.append(pd.DataFrame(columns))
        frame = pd.concat(frames, ignore_index=True)
        if change is not None:
            change(manifest, frame)
        folder = tmp_path / name
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(manifest))
        frame.to_parquet(folder / "predictions.parquet", index=False)
        return folder

    return write


def compared(*folders: Path) -> Comparison:
    runs = [read_run(folder) for folder in folders]
    return compare([(run, view(run)) for run in runs])


def between(folder: Path, best: Path, metric: str = "accuracy") -> paired.Difference:
    return difference(read_run(folder), read_run(best), metric)


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        (CLASSES, "accuracy"),
        (CLASSES, "auroc"),
        (CLASSES, "log_loss"),
        (MultiLabel(("a", "b", "c")), "macro_f1"),
        (Regression("rmse"), "rmse"),
        (Regression("r2"), "r2"),
    ],
)
def test_the_difference_is_the_gain_of_one_run_over_the_other(task: Task, metric: str, make: Make) -> None:
    found = between(make("weak", 0.4, task=task), make("strong", 1.5, task=task), metric)
    weak, strong = ([outputs_of(task, strength, seed) for seed in (0, 1)] for strength in (0.4, 1.5))
    expected = gains(task, weak, {"strong": strong}, truth(task), metric=metric)[0]["strong"]
    shown = (found.gain.value, found.gain.low, found.gain.high)
    assert shown == pytest.approx((expected.value, expected.low, expected.high), rel=1e-6)
    assert found.gain.verdict == expected.verdict and (found.rows, found.draws) == (ROWS, 2)


def test_only_rows_and_draws_that_both_have_count(make: Make) -> None:
    found = between(
        make("a", 0.4, rows=slice(0, 40), seeds=(0, 1, 2)), make("b", 1.5, rows=slice(20, 60), seeds=(2, 1))
    )
    right = truth(CLASSES)[20:40]
    share = [
        np.mean([(outputs_of(CLASSES, strength, seed)[20:40].argmax(1) == right).mean() for seed in (1, 2)])
        for strength in (0.4, 1.5)
    ]
    assert found.gain.value == pytest.approx(share[0] - share[1]) and (found.rows, found.draws) == (20, 2)


def test_rows_of_a_group_stay_together_and_rows_that_were_learnt_from_are_left_out(make: Make) -> None:
    groups, learnt = np.arange(ROWS) // 10, np.arange(ROWS) < 5
    alone = between(make("a", 0.4), make("b", 1.5))
    grouped = between(make("c", 0.4, group=groups), make("d", 1.5))
    weak, strong = ([outputs_of(CLASSES, strength, seed) for seed in (0, 1)] for strength in (0.4, 1.5))
    expected = gains(CLASSES, weak, {"d": strong}, truth(CLASSES), groups=groups)[0]["d"]
    assert (grouped.gain.low, grouped.gain.high) == pytest.approx((expected.low, expected.high))
    assert (grouped.gain.low, grouped.gain.high) != pytest.approx((alone.gain.low, alone.gain.high))
    assert between(make("e", 0.4), make("f", 1.5, learnt=learnt)).rows == ROWS - 5


def weighted(manifest: dict[str, Any], frame: pd.DataFrame) -> None:
    right = (frame["label"] == frame["answer"]).to_numpy(float)
    manifest["scores"]["accuracy"]["value"] = float(np.average(right, weights=frame["weight"]))


def test_weights_of_rows_count(make: Make) -> None:
    weights = np.arange(ROWS) % 4
    some = {"weight": weights, "change": weighted}
    found = between(make("a", 0.4, **some), make("b", 1.5, **{**some, "weight": 3.0 * weights}))
    weak, strong = ([outputs_of(CLASSES, strength, seed) for seed in (0, 1)] for strength in (0.4, 1.5))
    expected = gains(CLASSES, weak, {"b": strong}, truth(CLASSES), weights=weights.astype(float))[0]["b"]
    assert (found.gain.value, found.gain.low) == pytest.approx((expected.value, expected.low))
    with pytest.raises(Unpaired, match="weight their rows differently"):
        between(make("c", 0.4), make("d", 1.5, **some))
    other = {"weight": np.r_[np.ones(ROWS // 2), np.zeros(ROWS - ROWS // 2)], "change": weighted}
    with pytest.raises(Unpaired, match="share no test rows"):  # those that both have weigh nothing
        between(make("e", 0.4, **other), make("f", 1.5, rows=slice(ROWS // 2, ROWS)))


def relabelled(share: float) -> Callable[[dict[str, Any], pd.DataFrame], None]:
    """Another target whose rows have the same numbers: a share of them has another label, and the record knows."""

    def change(manifest: dict[str, Any], frame: pd.DataFrame) -> None:
        some = frame["row"] < 100 + share * ROWS
        frame.loc[some, "label"] = frame.loc[some, "label"].map({"no": "yes", "yes": "no"})
        manifest["scores"]["accuracy"]["value"] = float((frame["label"] == frame["answer"]).mean())

    return change


def test_rows_are_matched_by_place_and_label(make: Make) -> None:
    best = make("best", 1.5)
    assert between(make("corrected", change=relabelled(0.05)), best).rows == ROWS - 3
    with pytest.raises(Unpaired, match="different names or labels"):
        between(make("other", change=relabelled(0.5)), best)


def renamed(manifest: dict[str, Any], frame: pd.DataFrame) -> None:
    frame["name"] = "other" + frame["name"]


def scored_otherwise(manifest: dict[str, Any], frame: pd.DataFrame) -> None:
    manifest["scores"]["accuracy"]["value"] += 0.1


def of_other_classes(manifest: dict[str, Any], frame: pd.DataFrame) -> None:
    manifest["task"]["classes"] = ["yes", "no"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": slice(30, 60)}, paired.NO_ROWS),
        ({"rows": slice(0, 30), "learnt": np.ones(ROWS, dtype=bool)}, paired.NO_ROWS),
        ({"rows": slice(0, 30), "change": renamed}, paired.OTHER_DATA),
        ({"rows": slice(0, 30), "seeds": (5, 6)}, paired.OTHER_DRAWS),
        ({"rows": slice(0, 30), "seeds": (0,)}, paired.OTHER_DRAWS),
        ({"rows": slice(0, 30), "change": scored_otherwise}, paired.NOT_AGAIN),
        ({"rows": slice(0, 30), "change": of_other_classes}, paired.OTHER_CLASSES),
    ],
)  # fmt: skip
def test_what_cannot_be_paired_gets_a_sentence_instead_of_a_number(
    options: dict[str, Any], said: str, make: Make
) -> None:
    best = make("best", 3.0, rows=slice(0, 30))
    found = compared(best, make("other", 0.2, **options))
    assert [(row.apart, row.said) for row in found.rows] == [(None, ""), (None, said)]
    assert found.axis is None  # where nothing is drawn
    assert compared(best, make("another", 0.2, rows=slice(0, 30))).axis is not None


def test_a_run_without_predictions_is_not_paired(make: Make) -> None:
    best, other = make("best", 3.0), make("other", 0.2)
    (other / "predictions.parquet").unlink()
    assert compared(best, other).rows[1].said == paired.NO_PREDICTIONS


def test_one_draw_of_few_labels_decides_nothing(make: Make) -> None:
    weak, strong = make("weak", 0.1, seeds=(0,)), make("strong", 4.0, seeds=(0,))
    found = between(weak, strong)
    assert found.gain.high < 0 and found.gain.verdict == "unclear"
    assert compared(weak, strong).rows[1].said == "may be chance; 60 common rows"


def test_runs_are_sorted_by_score_and_errors_from_below(make: Make) -> None:
    runs = [make(name, strength) for name, strength in (("b", 1.0), ("c", 0.2), ("a", 3.0))]
    found = compared(*runs)
    assert [row.view.record.method for row in found.rows] == ["a", "b", "c"]
    assert [row.best for row in found.rows] == [True, False, False] and found.rows[0].labels == "50"
    assert found.rows[2].apart is not None and found.rows[2].apart.value.startswith("−")
    task = Regression("rmse")
    rows = compared(make("x", 0.2, task=task), make("y", 1.0, task=task)).rows
    assert [row.view.record.method for row in rows] == ["y", "x"]


def test_runs_with_other_metrics_are_shown_by_one_that_all_have(make: Make) -> None:
    def another(manifest: dict[str, Any], frame: pd.DataFrame) -> None:
        manifest["gain"]["metric"] = manifest["task"]["metric"] = "balanced_accuracy"

    found = compared(make("a"), make("b", 2.0), make("c", 3.0, change=another))
    assert {row.metric for row in found.rows} == {"accuracy"}
    assert "judged by different metrics (accuracy, balanced accuracy): here all by accuracy" in found.scored_by
    number = make("d", task=Regression("rmse"))
    apart = compared(number.with_name("a"), number)
    assert "share no metric (accuracy, RMSE)" in apart.scored_by and not any(row.best for row in apart.rows)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({}, {}, "2 of 2 help."),
        ({}, {"verdict": "unclear"}, "1 of 2 helps."),
        ({}, {"controls": ("target-only", "scratch")}, "different controls"),
        ({"controls": ("ablation",)}, {"controls": ("ablation",)}, "different controls"),  # of two methods
        ({"controls": ()}, {}, "different controls"),
        ({"controls": ()}, {"controls": ()}, "No run stood beside a control."),
        ({"change": lambda m, _: m["target"]["splits"].update(train=90)}, {}, "learnt from other labels"),
        ({"change": lambda m, _: m["target"].update(name="u")}, {}, "The targets differ"),
    ],
)  # fmt: skip
def test_verdicts_are_counted_beside_the_same_controls_alone(
    first: dict[str, Any], second: dict[str, Any], said: str, make: Make
) -> None:
    found = compared(make("a", **first), make("b", **second))
    assert said in found.sentence and (" of 2 " in found.sentence) == (" of 2 " in said)
