"""What a run says before it trains."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, Source, load_domain, transfer
from sterna.experiment.foreword import foreword
from sterna.experiment.plan import make_plan
from sterna.methods.method import make_method
from sterna.record.request import Request


def lines(domain, **asked):
    request = Request(control=("none",), **asked)
    return foreword(make_plan([], domain, make_method("target-only"), request), domain, request)


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": [f"k{i:03d}" for i in range(100)],
            "a": random.normal(size=100),
            "none": [None] * 100,
            "when": pd.date_range("2023-01-01", periods=100).strftime("%Y-%m-%d"),
            "y": ["no"] * 80 + ["yes"] * 20,
            "price": np.linspace(0, 10, 100),
        }
    )


def test_task_metric_split_shares_columns_and_dates_are_said_in_five_lines(frame):
    assert lines(load_domain(frame, label="y")) == [
        "task: classification (told from the labels of 'y'); metric: balanced_accuracy (the largest class has at least "
        "1.5 times the rows of the smallest); classes weigh alike in training",
        "rows: train 64, validation 16, test 20 (drawn at random, split_seed=0)",
        "classes: no 80%, yes 20%",
        "columns left out: id: a different value in every row; none: without any value",
        "dates: when; the split is random all the same, time='when' tests on the last rows",
    ]


def test_what_was_asked_is_said_as_such(frame):
    assert lines(load_domain(frame, label="y"), test_repeats=10)[1] == (
        "rows: train 72, validation 18, test 10 (drawn at random, split_seed=0; the first of 10 test splits)"
    )
    said = lines(load_domain(frame, label="price", time="when"), task="regression", metric="mae")
    assert said[0] == "task: regression (as asked); metric: mae (as asked)"
    assert said[1].endswith("(the test rows are the last in time)")
    assert said[2] == "labels: 0 to 10, mean 5" and said[-1] == "dates: when"


def test_of_many_classes_the_largest_are_named_and_given_splits_and_groups_are_said():
    x, labels = np.zeros((200, 2)), np.repeat([f"c{i}" for i in range(10)], 20)
    x[:, 0] = range(200)
    given = Domain.from_arrays(x, labels, splits={"train": range(0, 200, 2), "test": range(1, 200, 2)})
    said = lines(given)
    assert said[1] == "rows: train 80, validation 20, test 100 (the test split came with the data)"
    assert said[2] == "classes: " + ", ".join(f"c{i} 10%" for i in range(6)) + " and 4 more"
    assert "metric: accuracy (the classes are about even)" in said[0]
    assert lines(Domain.from_arrays(x, labels, groups=np.arange(200) // 2))[1].endswith(", groups kept whole)")
    for half, words in ((100, "the data, groups kept whole)"), (101, "the data)")):
        given = {"train": range(half), "test": range(half, 200)}
        assert lines(Domain.from_arrays(x, labels, groups=np.arange(200) // 2, splits=given))[1].endswith(words)


def test_several_labels_a_row_have_a_share_each():
    y = np.array([[1, 0], [1, 1], [1, 0], [0, np.nan]] * 20)
    said = lines(Domain.from_arrays(np.random.default_rng(0).normal(size=(80, 2)), y, classes=["a", "b"]))
    assert said[2] == "labels: a 75%, b 33%"


def test_python_says_it_where_progress_is_asked_for(frame, capsys):
    asked = {"label": "y", "control": "none", "method": "scratch", "steps": 1}
    transfer(None, frame, **asked)
    assert capsys.readouterr().err == ""
    transfer(None, frame, progress=True, **asked)
    assert "classes: no 80%, yes 20%" in capsys.readouterr().err


def test_classes_that_only_the_source_has_have_no_share(frame):
    source = Source("known", data=load_domain(frame.assign(y=["no"] * 50 + ["yes"] * 40 + ["never"] * 10), label="y"))
    domain = load_domain(frame.assign(a=frame["a"] + 1, price=frame["price"] * 2), label="y")
    method, request = make_method("source-only"), Request(method="source-only", labels=0)
    plan = make_plan([source], domain, method, request)
    assert "never" in plan.task.classes and "classes: no 80%, yes 20%" in foreword(plan, domain, request)
