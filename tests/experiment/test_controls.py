"""Which controls run, how often the labels are drawn, and what the verdict is of."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sterna import Domain, RequestError, Source, transfer


@pytest.fixture(scope="module")
def few():
    """400 rows of a table; the first column tells the class in nine of ten."""
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    labels = np.where(x[:, 0] + 0.5 * random.normal(size=400) > 0, "yes", "no")
    return Domain.from_arrays(x, labels)


@pytest.fixture(scope="module")
def several(few):
    """A default run of few labels."""
    return transfer(None, few, method="scratch", labels=30, epochs=2)


def acting(monkeypatch, right):
    """Make every fit of a run answer this share of the test rows right, by its id."""
    from sterna.experiment import units

    def fit(name, method, problem, exam, folder, means, keep=False):
        random = np.random.default_rng([problem.seed, len(name)])
        codes = np.asarray(exam.targets)
        good = random.random(len(codes)) < right[name]
        outputs = np.eye(2)[np.where(good, codes, 1 - codes)] * 3.0
        return replace(real(name, method, problem, exam, folder, means, keep=keep), outputs=outputs)

    real = units.fit_unit
    monkeypatch.setattr("sterna.experiment.fits.fit_unit", fit)


def test_the_headline_is_the_smallest_gain_and_helps_is_above_every_control(few, monkeypatch):
    acting(monkeypatch, {"coral": 0.95, "target-only": 0.94, "source-only": 0.6})
    source = Source(spec="other", data=few.take(np.arange(100)))
    run = dict(method="coral", control=["target-only", "source-only"], labels=200, seeds=1)
    result = transfer(source, few.take(np.arange(100, 400)), **run)
    assert result.gains["source-only"].verdict == "helps"
    assert result.gain.control == "target-only" and result.gain.verdict == "unclear"
    assert result.gain.value == min(gain.value for gain in result.gains.values())
    assert result.record["control_selected_by"] == "the smallest of the gains over 2 controls"
    acting(monkeypatch, {"coral": 0.97, "target-only": 0.5, "source-only": 0.6})
    assert transfer(source, few.take(np.arange(100, 400)), **run).gain.verdict == "helps"


def test_few_labels_are_drawn_five_times_and_every_draw_tests_the_same_rows(several):
    assert several.record["seeds"] == [0, 1, 2, 3, 4]
    splits = pd.read_parquet(several.folder.path / "splits.parquet")
    rows = {
        part: [frozenset(some["row"]) for _, some in splits[splits["split"] == part].groupby("seed")]
        for part in ("test", "train")
    }
    assert len(set(rows["test"])) == 1 and len(set(rows["train"])) == 5


def test_a_source_model_that_is_trained_is_drawn_three_times_and_many_labels_once(source, digits, few):
    run = dict(control="none", epochs=1)
    settings = {"linear_probe": False}
    found = transfer(source, digits(90), method="fine-tuning", settings=settings, labels=20, steps=1, control="none")
    assert found.record["seeds"] == [0, 1, 2]
    assert transfer(None, few, method="scratch", labels=101, **run).record["seeds"] == [0]
    assert transfer(None, few, method="scratch", labels=20, seeds=2, **run).record["seeds"] == [0, 1]


def test_one_draw_of_few_labels_decides_nothing(few, monkeypatch):
    acting(monkeypatch, {"coral": 0.97, "target-only": 0.5})
    source, target = Source(spec="other", data=few.take(np.arange(100))), few.take(np.arange(100, 400))
    run = dict(method="coral", control="target-only")
    one = transfer(source, target, labels=30, seeds=1, **run)
    assert one.gain.low > 0 and one.gain.verdict == "unclear"
    assert any("one draw of 30 labels cannot show" in message for message in one.record["messages"])
    many = transfer(source, target, labels=30, seeds=3, **run)
    assert many.gain.verdict == "helps" and not any("cannot show" in each for each in many.record["messages"])


def test_controls_that_do_not_run_are_named_with_the_reason(source, digits, several):
    left = several.record["left_out"]
    assert set(left) == {"source-only", "pooled"} and "labelled source data (source=load_domain(...))" in left["pooled"]
    photos = transfer(
        source, digits(60), method="feature-extraction", settings={"blocks": "last", "penalty": 1.0}, seeds=1
    )
    assert (
        set(photos.controls) == {"constant", "target-only"}
        and "control='scratch' runs it" in photos.record["left_out"]["scratch"]
    )
    run = dict(method="feature-extraction", settings={"blocks": "last", "penalty": 1.0}, seeds=1, steps=1)
    assert set(transfer(source, digits(60), **run).controls) == {
        "constant",
        "target-only",
        "scratch",
    }  # a budget bounds it
    asked = transfer(source, digits(60), **{**run, "control": "target-only"})
    assert asked.record["left_out"]["scratch"] == "not asked for"


def test_the_gain_is_that_of_the_predictions(source, digits):
    """Recomputed from predictions.parquet alone: Student's paired interval, and what the rows need not have shown."""
    settings = {"blocks": "last", "penalty": 0.1}
    result = transfer(
        source, digits(600), method="feature-extraction", settings=settings, control="scratch", epochs=2, seeds=1
    )
    table = pd.read_parquet(result.folder.path / "predictions.parquet")
    ours = (table["answer"] == table["label"]).to_numpy(float)
    theirs = (table["control_scratch"] == table["label"]).to_numpy(float)
    gain, apart = result.gain, ours - theirs
    assert gain.metric == "accuracy" and gain.value == pytest.approx(apart.mean(), abs=1e-12)
    plain = stats.t.interval(0.95, len(apart) - 1, apart.mean(), apart.std(ddof=1) / np.sqrt(len(apart)))
    assert plain[1] - plain[0] <= gain.high - gain.low <= 1.5 * (plain[1] - plain[0])
    expected = "helps" if gain.low > 0 else "hurts" if gain.high < 0 else "unclear"
    assert gain.verdict == expected


def test_a_control_that_is_none_is_refused(digits):
    with pytest.raises(RequestError, match="control 'fine-tuning' is not one of the controls: .*scratch"):
        transfer(None, digits(100), method="scratch", control="fine-tuning", seeds=1)


def test_the_method_itself_is_no_control_and_none_leaves_no_gain(digits):
    result = transfer(None, digits(100), method="scratch", control=["none"], epochs=1, seeds=1)
    assert result.gain is None and result.controls == {}
