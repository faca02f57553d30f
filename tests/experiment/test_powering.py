"""Rows without labels that are kept aside to narrow the intervals of the scores."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, load_transfer, transfer
from sterna.domains.groups import unit_ids
from sterna.experiment.plan import make_plan
from sterna.methods.method import make_method
from sterna.record.request import Request


def table(n=400, seed=0, labels=None, **more):
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    x = random.normal(size=(n, 3)) + 1.2 * y[:, None]
    labels = np.array(["a", "b"])[y] if labels is None else labels
    return Domain.from_arrays(pd.DataFrame(x, columns=list("uvw")), labels, name="t", **more)


def plan(domain, **asked):
    asked = {"labels": 30, "control": ("none",), "interval": "ppi", **asked}
    return make_plan([], domain, make_method("target-only"), Request(**asked))


def test_no_draw_sees_them_nor_others_of_their_group_or_content():
    groups = np.repeat([f"p{i}" for i in range(100)], 4)
    domain = table(groups=groups)
    found = plan(domain, seeds=2, labels=20)
    units = unit_ids(domain)
    aside = [set(map(tuple, found.exam.unlabelled.inputs.frame.to_numpy()))] * len(found.splits)
    for each, kept in zip(found.splits, aside, strict=True):
        rows = np.array([i for i, row in enumerate(domain.inputs.frame.to_numpy()) if tuple(row) in kept])
        assert set(rows) <= set(each.left_out)
        seen = np.concatenate([each.train, each.validation, each.test, each.unlabelled])
        assert not set(seen) & set(rows)
        assert not set(units[rows]) & set(units[seen])
        assert len(rows) > 40 and len(each.unlabelled) > 40
    assert any("rest on" in note and f"{len(found.exam.unlabelled):,} rows without labels" in note
               for note in found.notes)  # fmt: skip
    assert plan(domain, interval="rows").exam.unlabelled is None


def test_a_run_has_narrower_intervals_of_scores_and_the_same_gains(tmp_path):
    some = {"method": "target-only", "control": "constant", "labels": 60, "seeds": 1, "test_size": 60}
    plain = transfer(None, table(3000), **some)
    more = transfer(None, table(3000), **some, interval="ppi", out=tmp_path / "r")
    wide, narrow = plain.scores["accuracy"], more.scores["accuracy"]
    assert narrow.high - narrow.low < 0.97 * (wide.high - wide.low)
    assert more.gains["constant"] == plain.gains["constant"]  # target-only learns from no unlabelled row
    assert load_transfer(tmp_path / "r").evidence.scores == more.evidence.scores
    assert "rows without labels" in " ".join(more.evidence.target.notes + more.evidence.messages)


@pytest.mark.parametrize(
    ("domain", "asked", "words"),
    [
        ({}, {"labels": None}, "t has none to keep aside; labels=N uses N"),
        ({}, {"labels": None, "labels_per_class": 10}, "labels_per_class= takes labels by class; give labels=N"),
        ({}, {"test_repeats": 3}, "leave out test_repeats="),
        ({"splits": {"test": range(40)}}, {}, "the splits test came with the data; leave it out"),
        ({"times": np.arange(400.0)}, {}, "the last in time"),
        ({"labels": np.arange(400.0)}, {}, "for a classification of one class a row, but this is a regression"),
    ],
)
def test_rows_that_are_not_like_the_test_rows_are_refused(domain, asked, words):
    with pytest.raises(RequestError, match=words):
        plan(table(**domain), **asked)
