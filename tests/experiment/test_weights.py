"""A run whose rows are weighted: what it learns, what it scores, what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from sterna import Domain, RequestError, Source, load_domain, load_transfer, transfer


def frame(rows=120, seed=0):
    """The label follows x in rows that weigh much, and its opposite in the others."""
    random = np.random.default_rng(seed)
    x, heavy = random.normal(size=(rows, 2)), random.random(rows) < 0.5
    label = np.where((x[:, 0] > 0) == heavy, "a", "b")
    return pd.DataFrame({"x": x[:, 0], "z": x[:, 1], "w": np.where(heavy, 5.0, 0.5), "label": label})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weighted")
    frame().to_csv(folder / "t.csv", index=False)
    return transfer(
        None, folder / "t.csv", weight="w", method="target-only", control="none", seeds=1, out=folder / "run"
    )


def test_training_follows_the_weights_and_scores_are_weighted(run):
    answers = pd.read_parquet(run.folder.path / "predictions.parquet")
    data = frame().iloc[answers["row"].astype(int)]
    right = (answers["answer"] == answers["label"]).to_numpy()
    assert run.scores["accuracy"].value == pytest.approx(np.average(right, weights=data["w"]))
    expected = sk.balanced_accuracy_score(answers["label"], answers["answer"], sample_weight=data["w"])
    assert run.scores["balanced_accuracy"].value == pytest.approx(expected)
    assert right[data["w"] > 1].mean() > 0.8 > 0.5 > right[data["w"] < 1].mean()


def test_the_record_says_so_and_new_rows_are_weighted_too(run):
    assert run.evidence.target.reading["weight"] == "w"
    assert any(note.startswith("Rows are weighted by 'w', up to") for note in run.evidence.target.notes)
    again = load_transfer(run.folder.path)
    new = frame(seed=1)
    answers = again.predict(new)
    assert (answers == again.predict(new.drop(columns=["w", "label"]))).all() and not again.input_notes
    found = again.score(new)["accuracy"].value
    assert found == pytest.approx(np.average(answers == new["label"], weights=new["w"]))
    found = again.score(new.drop(columns="w"))["accuracy"].value
    assert found == pytest.approx((answers == new["label"]).mean())
    assert any("here they weigh alike" in note for note in again.input_notes)


def test_equal_weights_change_nothing(tmp_path):
    data = frame()
    runs = [
        transfer(None, load_domain(some, **more), method="target-only", control="scratch", seeds=1, epochs=2)
        for some, more in ((data.drop(columns="w"), {}), (data.assign(w=0.3), {"weight": "w"}))
    ]
    assert runs[0].scores == runs[1].scores and runs[0].gain == runs[1].gain


def test_weights_of_a_source_are_those_of_a_weighted_ridge_regression():
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(60, 3)), random.exponential(size=60)
    y = x @ [1.0, -2.0, 0.5] + random.normal(size=60)
    data = Domain.from_arrays(x, y, weights=weights)
    ours = random.normal(size=(30, 3)) + 1
    target = Domain.from_arrays(ours, random.normal(size=30), splits={"train": range(20), "test": range(20, 30)})
    result = transfer(Source("other", data=data), target, method="domain-scaling", labels=0, control="none")
    alpha = result.evidence.chosen[0]["penalty"] * 60 / 2
    seen = StandardScaler().fit(ours[:20])
    by_hand = Ridge(alpha=alpha).fit(
        StandardScaler().fit_transform(x), (y - y.mean()) / y.std(), weights / weights.mean()
    )
    expected = by_hand.predict(seen.transform(ours)) * y.std() + y.mean()
    np.testing.assert_allclose(result.predict(ours), expected, rtol=1e-4, atol=1e-4)
    assert any("source's data are weighted" in note for note in result.evidence.target.notes)


@pytest.mark.parametrize("method", ["domain-scaling", "coral", "example-weighting", "prototypes"])
def test_rows_of_a_source_that_weigh_nothing_teach_nothing(method):
    source, target = (
        frame(seed=2),
        frame(seed=3)[["x", "z", "label"]].assign(label=lambda t: np.where(t.x > 0, "a", "b")),
    )
    weights = np.where(source["w"] > 1, 1.0, 0.0)
    data = Domain.from_arrays(source[["x", "z"]], source["label"], weights=weights)
    result = transfer(
        Source("other", data=data), Domain.from_arrays(target, "label"), method=method, labels=0, control="none"
    )
    assert result.scores["accuracy"].value > 0.85


def test_weights_of_a_domain_are_its_own():
    with pytest.raises(RequestError, match="weights="):
        transfer(None, Domain.from_arrays(np.eye(4), list("abab")), weight="w")
