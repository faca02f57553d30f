"""A whole transfer: seeds, rows, tasks, balance, curve."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, r2_score

from sterna import Domain, RequestError, Source, load_transfer, transfer
from sterna.data import demo_path

TIMES = {"seconds", "created", "peak_memory_bytes", "run", "name"}
CHANGING = {"history.json", "network/network.json"}  # seconds of epochs; the mark of a body that lives in this program


def steady(record):
    files = {name: kept for name, kept in record["files"].items() if name not in CHANGING}
    return {key: value for key, value in record.items() if key not in TIMES} | {"files": files}


def predictions(result):
    return pd.read_parquet(result.folder.path / "predictions.parquet")


@pytest.mark.parametrize("method", ["feature-extraction", "fine-tuning", "scratch", "target-only"])
def test_the_same_seed_gives_the_same_record(source, digits, method):
    settings = {"feature-extraction": {"blocks": "last"}, "fine-tuning": {"linear_probe": False}}.get(method, {})
    results = [
        transfer(source, digits(150), method=method, settings=settings, epochs=1, seed=3, control="scratch", seeds=1)
        for _ in range(2)
    ]
    assert steady(results[0].record) == steady(results[1].record)
    pd.testing.assert_frame_equal(*(predictions(result) for result in results))


def test_seeds_draw_anew_but_share_the_test_rows(digits):
    result = transfer(None, digits(300), method="scratch", epochs=1, seeds=3, labels_per_class=8, control="none")
    splits = pd.read_parquet(result.folder.path / "splits.parquet")
    by_seed = {seed: part.set_index("row")["split"] for seed, part in splits.groupby("seed")}
    tests = [frozenset(part.index[part == "test"]) for part in by_seed.values()]
    trains = [frozenset(part.index[part == "train"]) for part in by_seed.values()]
    assert len(set(tests)) == 1 and len(set(trains)) == 3
    table = predictions(result)
    assert set(table["seed"]) == {0, 1, 2} and all(
        part["row"].tolist() == sorted(tests[0]) for _, part in table.groupby("seed")
    )
    answers = [part["answer"].tolist() for _, part in table.groupby("seed")]
    assert answers[0] != answers[1]
    accuracy = (table["answer"] == table["label"]).groupby(table["seed"]).mean()
    assert result.scores["accuracy"].value == pytest.approx(accuracy.mean())


def test_the_order_of_rows_changes_nothing_that_it_should_not(source, digits_arrays):
    images, labels = (part[:240] for part in digits_arrays)
    random = np.random.default_rng(1)
    order = random.permutation(240)
    given = {"train": np.arange(150), "test": np.arange(150, 240)}
    moved = {name: np.flatnonzero(np.isin(order, rows)) for name, rows in given.items()}
    settings = {"blocks": "last", "penalty": 0.1}
    plain = transfer(
        source, Domain.from_arrays(images, labels, splits=given), method="feature-extraction", settings=settings,
        control="none", seeds=1,
    )  # fmt: skip
    other = transfer(
        source,
        Domain.from_arrays(images[order], labels[order], splits=moved),
        method="feature-extraction",
        settings=settings,
        control="none",
        seeds=1,
    )
    a = predictions(plain).set_index("row")
    b = predictions(other).assign(row=lambda t: order[t["row"]]).set_index("row").sort_index()
    assert (a["label"] == b["label"]).all()
    columns = [c for c in a if c.startswith("p_")]
    np.testing.assert_allclose(a[columns], b[columns], atol=2e-3)
    assert plain.scores["accuracy"].value == pytest.approx(other.scores["accuracy"].value, abs=0.02)


@pytest.mark.parametrize("method", ["feature-extraction", "target-only", "scratch"])
def test_a_regression_is_scored_in_the_users_units(source, digits_arrays, method):
    images = digits_arrays[0][:250]
    wanted = images[:, :, 4:].mean(axis=(1, 2)) * 1000 + 1e6
    domain = Domain.from_arrays(images, wanted)
    settings = {"blocks": "last"} if method == "feature-extraction" else {}
    result = transfer(
        source, domain, method=method, settings=settings, task="regression", seeds=2, control="none", epochs=2
    )
    table = predictions(result)
    each = [r2_score(part["label"], part["answer"]) for _, part in table.groupby("seed")]
    assert result.scores["r2"].value == pytest.approx(np.mean(each), rel=1e-6)
    errors = [np.abs(part["label"] - part["answer"]).mean() for _, part in table.groupby("seed")]
    assert result.scores["mae"].value == pytest.approx(np.mean(errors), rel=1e-6)
    first = table[table["seed"] == 0]
    np.testing.assert_allclose(result.predict(images[first["row"]]), first["answer"], rtol=1e-6)
    again = result.score(Domain.from_arrays(images[first["row"]], wanted[first["row"]]))
    assert again["r2"].value == pytest.approx(each[0], rel=1e-5)


def test_several_labels_a_row_end_to_end(source, digits_arrays, tmp_path):
    images, labels = (part[:300] for part in digits_arrays)
    wanted = np.stack([labels % 2 == 0, labels > 4, np.isin(labels, (0, 6, 8, 9))], axis=1).astype(float)
    wanted[::25, 1] = np.nan  # a label that nobody knows
    domain = Domain.from_arrays(images, wanted, classes=["even", "large", "round"])
    result = transfer(
        source,
        domain,
        method="feature-extraction",
        settings={"blocks": "last"},
        control=["target-only", "scratch"],
        epochs=2,
        out=tmp_path / "run",
        seeds=1,
    )
    table = predictions(result)
    test = wanted[table["row"]]
    assert result.record["task"]["metric"] == "macro_f1"
    f1 = []
    for i, name in enumerate(("even", "large", "round")):
        known = ~np.isnan(test[:, i])
        f1.append(f1_score(test[known, i], table[f"p_{name}"][known] >= 0.5))
    assert result.scores["macro_f1"].value == pytest.approx(np.mean(f1))
    assert result.scores["macro_f1"].value > 0.6
    answers = ["|".join(c for c in ("even", "large", "round") if row[f"p_{c}"] >= 0.5) for _, row in table.iterrows()]
    assert table["answer"].tolist() == answers
    assert load_transfer(tmp_path / "run").predict(images[:5]).shape == (5, 3)


@pytest.mark.parametrize("method", ["feature-extraction", "scratch"])
def test_weights_of_classes_raise_the_recall_of_the_rare_one(source, method):
    from sterna import load_domain

    every = load_domain(demo_path("pneumonia"))
    train, test = every.splits["train"], every.splits["test"]
    rare = [row for row in train if every.labels[row] == "normal"][:40]
    often = [row for row in train if every.labels[row] != "normal"][:200]
    domain = every.take(np.r_[rare, often, test[::4]])  # X-rays, few of them normal
    settings = {"blocks": "last", "penalty": 0.1} if method == "feature-extraction" else {}
    runs = {
        balance: transfer(
            source, domain, method=method, settings=settings, balance=balance, control="none", epochs=3, seeds=1
        )
        for balance in ("none", "auto")
    }
    assert {name: run.record["balance"] for name, run in runs.items()} == {"none": "none", "auto": "weights"}
    recall = {name: run.scores["recall[normal]"].value for name, run in runs.items()}
    assert recall["auto"] > recall["none"] + 0.1


@pytest.mark.parametrize("balance", ["weights", "sampler"])
def test_a_class_that_training_lacks_is_no_obstacle(source, digits_arrays, balance):
    images, labels = digits_arrays
    rows = {c: np.flatnonzero(labels == c) for c in (0, 1, 2)}
    seen = [rows[0][:40], rows[1][:40], rows[2][:10], rows[0][60:108], rows[1][60:108]]  # validates, and is not joined
    keep = np.concatenate([*seen, rows[0][40:60], rows[1][40:60]])
    given = {"train": range(80), "validation": range(80, 186), "test": range(186, 226)}
    domain = Domain.from_arrays(images[keep], [str(v) for v in labels[keep]], splits=given)
    result = transfer(source, domain, method="scratch", epochs=10, balance=balance, control="none", seeds=1)
    assert result.scores["accuracy"].value > 0.9 and result.scores["recall[2]"].value == 0
    assert set(result.predict(images[keep[186:]])) == {"0", "1"}


def test_a_curve_repeats_the_run_and_keeps_each_point(source, digits, tmp_path):
    options = {"method": "feature-extraction", "settings": {"blocks": "last"}, "control": "target-only", "seeds": 2}
    result = transfer(source, digits(300), curve=[2, 6], out=tmp_path / "curve", **options)
    points = result.record["curve"]
    assert [p["labels_per_class"] for p in points] == [2, 6]
    for k, point in zip((2, 6), points, strict=True):
        alone = transfer(source, digits(300), labels_per_class=k, **options)
        assert point["scores"] == alone.record["scores"]
        assert point["gain"] == alone.record["gain"]
    assert result.record["scores"] == points[1]["scores"]
    assert load_transfer(tmp_path / "curve" / "curve" / "2").record["scores"] == points[0]["scores"]


def test_a_curve_may_begin_without_labels(digits):
    whole = digits(300)
    source, target = Source("first", data=whole.take(np.arange(150))), whole.take(np.arange(150, 300))
    options = {"method": "domain-scaling", "control": "source-only", "seeds": 1}
    points = transfer(source, target, curve=[0, 3], **options).record["curve"]
    assert [point["labels_per_class"] for point in points] == [0, 3]
    assert points[0]["scores"] == transfer(source, target, labels=0, **options).record["scores"]
    assert points[1]["scores"] == transfer(source, target, labels_per_class=3, **options).record["scores"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"curve": [2, 2]}, "name each number of labels once"),
        ({"curve": [-1]}, "0 or more"),
        ({"curve": [2], "labels": 5}, "leave out labels"),
        ({"labels": 3, "labels_per_class": 2}, "give one of them"),
        ({"labels": -1}, "labels=-1"),
        ({"epochs": 0}, "epochs=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"balance": "some"}, "balance is 'some'"),
        ({"labels_per_class": 1000}, "labels_per_class=1000"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'"),
        ({"task": "regresion"}, "Did you mean 'regression'"),
        ({"method": "fine-tuning"}, "fine-tuning needs a source model"),
        ({"labels": 0}, "labels=0 hides every target label, but scratch learns from them"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"resume": True, "out": None}, "resume=True needs out="),
    ],
)
def test_a_wrong_request_is_one_sentence_and_leaves_nothing(digits, tmp_path, options, words):
    options = {"method": "scratch", "out": tmp_path / "run", **options}
    with pytest.raises(RequestError, match=words):
        transfer(None, digits(100), **options)
    assert not list(tmp_path.iterdir())
