"""The test split, and hidden labels, are out of reach: for methods, for the metric, for the weights."""

from __future__ import annotations

import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sterna import Domain, Source, transfer
from sterna.domains.splits import make_splits
from sterna.methods.method import make_method
from sterna.tasks import infer_task


def reachable(value, seen=None):
    """Everything that can be reached from a value by attributes, items, and the arrays that arrays are views of."""
    seen = {} if seen is None else seen
    stack = [value]
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, (type, types.ModuleType, types.BuiltinFunctionType)):
            continue
        seen[id(one)] = one
        if isinstance(one, (str, bytes, int, float, bool, type(None), torch.Tensor)):
            continue
        if isinstance(one, np.ndarray):
            stack.append(one.base)
            if one.dtype == object:
                stack.extend(one.ravel().tolist())
        elif isinstance(one, (pd.DataFrame, pd.Series, pd.Index)):
            parts = [one[c] for c in one] if isinstance(one, pd.DataFrame) else []
            stack.extend([*parts, getattr(one, "index", None)])
            if not isinstance(one, pd.DataFrame):
                stack.extend([np.asarray(one), getattr(one, "categories", None), *one.tolist()])
                if isinstance(one.dtype, pd.CategoricalDtype):
                    stack.append(one.dtype.categories if isinstance(one, pd.Index) else one.cat.categories)
            else:
                stack.extend(block.values for block in one._mgr.blocks)
        elif isinstance(one, dict):
            stack.extend([*one.keys(), *one.values()])
        elif isinstance(one, (list, tuple, set, frozenset)):
            stack.extend(one)
        elif isinstance(one, types.FunctionType):
            stack.extend(cell.cell_contents for cell in one.__closure__ or ())
        elif isinstance(one, types.MethodType):
            stack.append(one.__self__)
        else:
            stack.extend(vars(one).values() if hasattr(one, "__dict__") else ())
            for kind in type(one).__mro__:
                names = getattr(kind, "__slots__", ())
                stack.extend(getattr(one, n, None) for n in ([names] if isinstance(names, str) else names))
    return list(seen.values())


def marked(kind, rows, test):
    """Inputs whose test rows carry a mark that nothing else has."""
    random = np.random.default_rng(0)
    if kind == "text":
        return [f"row {i} {'secret' if i in test else 'plain'}{i}" for i in range(rows)]
    if kind == "images":
        images = random.integers(0, 200, (rows, 8, 8), dtype=np.uint8)
        images[sorted(test), 0, 0] = 255
        return images
    frame = pd.DataFrame({"x": random.normal(size=rows), "c": random.choice(["u", "v"], rows)})
    frame["id"] = [f"secret{i}" if i in test else f"plain{i}" for i in range(rows)]
    frame.loc[sorted(test), "x"] = 1e6 + np.arange(len(test))
    frame.loc[sorted(test), "c"] = "secret category"
    return frame


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("kind", ["text", "images", "table"])
def test_nothing_of_a_test_row_can_be_reached_through_a_problem(kind, given, problem_of, source):
    rows = 60
    labels = ["a", "b"] * 30
    plain = Domain.from_arrays(marked(kind, rows, set()), labels)
    targets = infer_task(plain).encode(plain.labels)
    splits = make_splits(plain, targets, seed=0, labels_per_class=10)
    if given:
        splits = replace(splits, test=np.arange(40, 60), train=np.arange(20), validation=np.arange(20, 30),
                         unlabelled=np.arange(30, 40))  # fmt: skip
    test = set(splits.test.tolist())
    domain = Domain.from_arrays(
        marked(kind, rows, test), labels, splits={"test": splits.test} if given else None, groups=np.arange(rows)
    )
    domain = replace(domain, notes=("row secret0 was read",), reading={"test": "secret.csv"})
    problem, _ = problem_of(source, domain, splits=splits)
    everything = reachable(problem)
    assert len(problem.unlabelled) == len(splits.unlabelled) > 0
    assert problem.unlabelled.labels is None
    for value in everything:
        if isinstance(value, str):
            assert "secret" not in value
        if kind == "images" and isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == 3:
            assert not (value[:, 0, 0] == 255).any()
        if isinstance(value, (float, np.floating)):
            assert not value >= 1e6
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
            assert not (value >= 1e6).any()
    assert not any(isinstance(v, np.ndarray) and v.shape[:1] == (rows,) for v in everything)


def fitted(domain, source, problem_of, trainer, method, splits, settings=None, metric=None, balance="none"):
    problem, _ = problem_of(source, domain, splits=splits, metric=metric, balance=balance)
    network = make_method(method, settings).fit(problem, trainer(epochs=2)).network
    return problem, network


METHODS = [
    ("feature-extraction", {"blocks": "last"}),
    ("fine-tuning", {"linear_probe": False, "augment": False}),
    ("scratch", {}),
]


@pytest.mark.parametrize(("method", "settings"), METHODS)
@pytest.mark.parametrize("balance", ["none", "auto"])
def test_labels_of_test_and_hidden_rows_never_touch_the_weights(
    source, digits_arrays, problem_of, trainer, method, settings, balance
):
    images, labels = (part[:900] for part in digits_arrays)
    names = np.array([str(v) for v in labels], dtype=object)
    domain = Domain.from_arrays(images, names)
    splits = make_splits(domain, labels.astype(int), seed=0, labels_per_class=55)
    assert len(splits.validation) >= 100  # enough to choose an epoch by the metric
    seen = np.concatenate([splits.train, splits.validation])
    garbage = names.copy()
    hidden = np.setdiff1d(np.arange(900), seen)
    garbage[hidden] = "7"  # of the same classes, very uneven: a metric that looked would change
    found = []
    for some in (names, garbage):
        torch.manual_seed(5)
        problem, network = fitted(
            Domain.from_arrays(images, some), source, problem_of, trainer, method, splits, settings, balance=balance
        )
        found.append((problem.task, network.state_dict()))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_a_regression_is_standardised_by_training_rows_alone(source, digits_arrays, problem_of):
    images = digits_arrays[0][:100]
    wanted = images.mean(axis=(1, 2)).astype(float)
    domain = Domain.from_arrays(images, wanted)
    splits = make_splits(domain, wanted, seed=0, labels=50)
    seen = np.concatenate([splits.train, splits.validation])
    other = np.where(np.isin(np.arange(100), seen), wanted, wanted * 1e3)
    tasks = [
        problem_of(source, Domain.from_arrays(images, y), splits=splits, task="regression")[0].task
        for y in (wanted, other)
    ]
    assert tasks[0] == tasks[1]
    assert tasks[0].mean == pytest.approx(wanted[splits.train].mean())
    assert tasks[0].scale == pytest.approx(wanted[splits.train].std())


@pytest.mark.parametrize(("method", "settings"), METHODS)
def test_a_whole_run_with_shuffled_test_labels_differs_in_its_scores_alone(
    source, digits_arrays, tmp_path, method, settings
):
    images, labels = (part[:200] for part in digits_arrays)
    names = np.array([str(v) for v in labels], dtype=object)
    given = {"train": range(110), "validation": range(110, 140), "test": range(140, 200)}
    shuffled = names.copy()
    shuffled[140:] = np.random.default_rng(0).permutation(names[140:])
    runs = [
        transfer(source, Domain.from_arrays(images, some, splits=given), method=method, settings=settings, epochs=2,
                 control="scratch", out=tmp_path / str(i), seeds=1)
        for i, some in enumerate((names, shuffled))
    ]  # fmt: skip
    weights = [(run.folder.path / "network" / "model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]
    records = [run.record for run in runs]
    for key in ("chosen", "selected_by", "seeds", "left_out", "settings"):
        assert records[0][key] == records[1][key]
    assert list(records[0]["controls"]) == list(records[1]["controls"])
    tables = [pd.read_parquet(run.folder.path / "predictions.parquet") for run in runs]
    pd.testing.assert_frame_equal(tables[0].drop(columns="label"), tables[1].drop(columns="label"))
    assert records[0]["scores"] != records[1]["scores"]


def test_source_rows_that_are_test_rows_are_left_out_and_said(digits):
    target = digits(200, splits=(100, 50))
    result = transfer(
        Source(spec="the same digits", data=digits(180)), target, method="pooled", control="none", epochs=1, seeds=1
    )
    assert "30 rows of the source's data are rows of the test split as well" in result.record["target"]["notes"][-1]
    alone = transfer(
        Source(spec="the same digits", data=digits(150)), target, method="pooled", control="none", epochs=1, seeds=1
    )
    assert result.scores["log_loss"].value == alone.scores["log_loss"].value
