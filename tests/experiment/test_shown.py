"""How an outcome shows itself."""

import re

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, list_methods, transfer
from sterna.evaluation import Score
from sterna.experiment.shown import curve_lines, with_interval
from sterna.record.scores import Gain


@pytest.fixture(scope="module")
def result():
    x = np.random.default_rng(0).normal(size=(80, 3))
    domain = Domain.from_arrays(pd.DataFrame(x, columns=list("abc")), np.where(x[:, 0] > 0, "<yes>", "no"))
    return transfer(None, domain, method="scratch", steps=2, control="target-only", seeds=1)


def test_scores_and_methods_are_a_line_each(result):
    lines = repr(result.scores).splitlines()
    assert len(lines) == len(result.scores) and max(map(len, lines)) <= 60
    found = result.scores["accuracy"]
    assert f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]" in next(
        w for w in lines if w.startswith("accuracy")
    )
    assert dict(result.scores) == result.scores
    again = result.score(pd.DataFrame({"a": [1.0, -1], "b": 0.0, "c": 0.0, "label": ["<yes>", "no"]}))
    assert len(repr(again).splitlines()) == len(again)
    assert [line.split()[0] for line in repr(list_methods()).splitlines()] == [a["id"] for a in list_methods()]


def test_a_learning_curve_is_a_line_for_each_number_of_labels(result):
    record = result.evidence
    assert curve_lines(record) == []
    lines = curve_lines(record.model_copy(update={"curve": (record.at(5), record.at(20))}))
    metric = record.task.metric
    scores = ", ".join(
        f"{name} {with_interval(found[metric])}"
        for name, found in (("scratch", result.scores), ("target-only", result.controls["target-only"]))
    )
    assert lines == [f"{k} labels a class: {scores}" for k in (5, 20)]


def test_a_notebook_shows_scores_beside_controls_and_the_verdict(result):
    rows = [re.findall("<t[hd]>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", result._repr_html_())]
    assert rows[0] == ["test score", "scratch", "target-only"]
    metric = result.evidence.task.metric
    (row,) = [each for each in rows if each[0] == f"{metric} *"]
    assert row[2].startswith(f"{result.controls['target-only'][metric].value:.3f} [")
    assert result._repr_html_().endswith(f"{metric}: no verdict</p>")
    assert "<yes>" not in result._repr_html_()


def test_what_rounds_to_zero_has_no_sign():
    assert with_interval(Score(0.0, -1e-17, 0.25)) == "0.000 [0.000, 0.250]"
    assert with_interval(Score(-0.5, -1.0, -0.0004)) == "-0.500 [-1.000, 0.000]"
    gain = Gain(metric="accuracy", control="scratch", value=-0.0004, low=-0.1, high=0.1, verdict="unclear")
    assert with_interval(gain, "+") == "+0.000 [-0.100, +0.100]"
