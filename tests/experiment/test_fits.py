"""Several test splits, whose rows are scored together; how long what is left takes."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sterna import Domain, RequestError, transfer
from sterna.cli.transfer import show
from sterna.evaluation import gains, score
from sterna.experiment import fits
from sterna.experiment.fits import time_left
from sterna.experiment.units import fit_unit
from sterna.report.paired import difference
from sterna.report.run import read_run
from sterna.tasks import Classification


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return x + np.random.default_rng(0).normal(size=x.shape) * 0.8, y


def run(iris, method="prototypes", repeats=5, **more):
    return transfer(
        None, Domain.from_arrays(*iris), method=method, control="none", test_repeats=repeats, **{"seeds": 2, **more}
    )


@pytest.fixture(scope="module")
def five(iris):
    return run(iris)


def predictions(result):
    return pd.read_parquet(result.folder.path / "predictions.parquet")


def one_hot(frame, draws, classes=3):
    return [np.eye(classes)[frame[frame.seed == seed].answer.astype(int)] for seed in range(draws)]


def test_five_test_splits_predict_every_row_once_as_scikit_learn_does(iris, five):
    (x, y), table = iris, predictions(five)
    for _, draw in table.groupby("seed"):
        draw = draw.set_index("row").sort_index()
        assert draw.index.tolist() == list(range(150))
        folds = PredefinedSplit(draw.test_split.to_numpy())
        expected = cross_val_predict(make_pipeline(StandardScaler(), NearestCentroid()), x, y, cv=folds)
        assert (draw.answer.astype(int) == expected).all()
    assert five.scores["accuracy"].value == pytest.approx((expected == y).mean())
    sizes = table[table.seed == 0].groupby("test_split").size()
    assert five.evidence.target.test_splits == tuple(sizes) and sizes.sum() == 150
    splits = pd.read_parquet(five.folder.path / "splits.parquet")
    tested = splits[(splits.split == "test") & (splits.seed == 1)].set_index("row").test_split.sort_index()
    assert tested.tolist() == table[table.seed == 1].set_index("row").test_split.sort_index().tolist()


def test_the_interval_allows_for_rows_that_are_learnt_from_in_another_test_split(iris, five):
    task, outputs = Classification(("0", "1", "2"), "accuracy"), one_hot(predictions(five), 2)
    targets = iris[1][predictions(five).row[:150]]
    found, plain = five.scores["accuracy"], score(task, outputs, targets)["accuracy"]
    # Nadeau and Bengio: variance times 1 + J n_test / n_train = 1 + 5 · 30 / 120; both draws agree, so none is theirs.
    assert five.evidence.target.variance_factor == pytest.approx(2.25)
    assert found.high - found.low == pytest.approx(1.5 * (plain.high - plain.low), rel=1e-6)


def test_the_network_is_that_of_the_first_test_split_which_is_that_of_a_run_with_one(iris, five):
    one, table = run(iris, repeats=1), predictions(five)
    assert one.evidence.target.test_splits == () and "test_split" not in predictions(one)
    first = table[table.test_split == 1].drop(columns="test_split").reset_index(drop=True)
    pd.testing.assert_frame_equal(first, predictions(one))
    assert (five.predict_proba(iris[0]) == one.predict_proba(iris[0])).all()


def test_a_run_that_was_stopped_fits_only_what_is_missing(iris, five, tmp_path, monkeypatch):
    known, stop = [], [7]

    def counted(name, method, problem, exam, folder, means, **more):
        if len(known) in stop:
            raise KeyboardInterrupt
        known.append(folder.load_unit(problem.seed, name) is not None)
        return fit_unit(name, method, problem, exam, folder, means, **more)

    monkeypatch.setattr(fits, "fit_unit", counted)
    with pytest.raises(KeyboardInterrupt):
        run(iris, out=tmp_path / "run")
    assert known == [False] * 7
    known.clear(), stop.clear()
    again = run(iris, out=tmp_path / "run", resume=True)
    assert known == [True] * 7 + [False] * 3  # two draws on each of five test splits
    pd.testing.assert_frame_equal(predictions(again), predictions(five))
    assert not (tmp_path / "run" / "work").exists()
    again.folder.path.joinpath("manifest.json").unlink()
    with pytest.raises(RequestError, match="another test_repeats"):
        run(iris, repeats=4, out=tmp_path / "run", resume=True)


def test_two_runs_are_compared_with_the_interval_of_several_test_splits(iris, five):
    other = run(iris, settings={"normalize": True})
    found = difference(read_run(five.folder.path), read_run(other.folder.path), "accuracy")
    task = Classification(("0", "1", "2"), "accuracy")
    sides = [one_hot(predictions(each).sort_values("row"), 2) for each in (five, other)]
    _, expected = gains(task, sides[0], {"prototypes": sides[1]}, iris[1], variance_factor=2.25)
    assert (found.rows, found.draws) == (150, 2)
    assert (found.gain.value, found.gain.low, found.gain.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_the_terminal_and_the_report_count_the_rows_of_all_test_splits(five, capsys, tmp_path):
    show(five)
    assert "test 30; the first of 5 test splits of 150 rows in all; draws of the labels: 2" in capsys.readouterr().out
    page = five.report(tmp_path / "page.html", lang="en").read_text(encoding="utf-8")
    assert "Scored once on 150 test rows kept aside" in page and "5 test splits without common rows" in page


def test_controls_are_scored_on_all_test_splits_and_one_draw_of_few_labels_decides_nothing(iris):
    domain = Domain.from_arrays(*iris, groups=np.arange(150) // 5)
    few = transfer(
        None, domain, method="prototypes", control="target-only", labels_per_class=3, seeds=1, test_repeats=2,
        test_size=50,
    )  # fmt: skip
    table = predictions(few)
    n = sum(few.evidence.target.test_splits)
    assert len(table) == n >= 90 and table.groupby("group").test_split.nunique().max() == 1
    right = (table["control_target-only"] == table.label).mean()
    assert few.controls["target-only"]["accuracy"].value == pytest.approx(right)
    assert few.gain.verdict == "unclear" and sum(map(sum, few.evidence.confusion)) == n


@pytest.mark.parametrize(
    ("domain", "more", "sentence"),
    [
        (
            {"splits": {"train": range(50), "test": range(50, 150)}},
            {},
            "arrays brings its own test split; leave it out",
        ),
        ({"times": np.arange(150.0)}, {}, "arrays is split by time; leave it out"),
        ({}, {"curve": [2, 3]}, r"test_repeats=5 on several test splits; give one of them"),
        (
            {},
            {"test_size": 0.3},
            "would test rows twice, but each is tested once; lower test_repeats to 3, or test_size",
        ),
        ({}, {"test_repeats": 0}, "test_repeats=0; expected a number above zero"),
        ({"groups": np.repeat(range(3), 50)}, {}, "too few rows or groups of a class for test_repeats=5 test splits"),
    ],
)
def test_what_several_test_splits_cannot_do_is_one_sentence(iris, domain, more, sentence):
    with pytest.raises(RequestError, match=sentence):
        transfer(
            None, Domain.from_arrays(*iris, **domain), method="prototypes", control="none",
            **{"test_repeats": 5, **more},
        )  # fmt: skip


def test_what_is_left_is_told_from_a_fit_that_was_measured(iris, monkeypatch, capsys):
    assert time_left("scratch", 62.4, 1, 5) == "scratch: fit 1 of 5 took 62 s; about 4 min for the others"
    assert time_left("x", 9.6, 2, 3, ["a"]) == (
        "x: fit 2 of 3 took 10 s; about 10 s for the others; then the controls, not measured yet: a"
    )
    monkeypatch.setattr(fits, "WORTH_SAYING", 0.0)
    run(iris, repeats=2, progress=True)
    said = [line for line in capsys.readouterr().err.splitlines() if "for the others" in line]
    assert len(said) == 1 and said[0].startswith("prototypes: fit 1 of 4 took 0 s")
