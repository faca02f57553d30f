"""Rows without labels that are kept aside to narrow the intervals of the scores."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, Source, load_transfer, transfer
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


def places(domain, found):
    """Rows of the domain that are kept aside."""
    kept = set(map(tuple, found.exam.unlabelled.inputs.frame.to_numpy()))
    return np.array([i for i, row in enumerate(domain.inputs.frame.to_numpy()) if tuple(row) in kept])


def test_no_draw_sees_them_nor_others_of_their_group_or_content():
    domain = table(1200, groups=np.repeat([f"p{i}" for i in range(300)], 4))
    found, units = plan(domain, seeds=4, labels=200), unit_ids(domain)
    rows = places(domain, found)
    assert len(rows) == len(found.exam.unlabelled) > 400
    for each in found.splits:
        seen = np.concatenate([each.train, each.validation, each.test, each.unlabelled])
        assert set(rows) <= set(each.left_out) and not set(units[rows]) & set(units[seen])
        assert len(each.train) + len(each.validation) == 200 and len(each.unlabelled) > 100
    assert any(f"rest on {len(rows):,} rows without labels" in note for note in found.notes)
    assert plan(domain, interval="rows").exam.unlabelled is None


def test_groups_of_any_size_are_kept_aside_alike():
    """Those with many rows are not left out because a label of theirs was drawn."""
    sizes = np.tile([1, 15], 150)
    domain = table(sizes.sum(), groups=np.repeat(np.arange(300), sizes).astype(str))
    shares = []
    for seed in range(4):
        rows = places(domain, plan(domain, labels=200, seeds=3, split_seed=seed))
        shares.append((np.repeat(sizes, sizes)[rows] == 15).mean())
    assert 0.9 < np.mean(shares) < 0.97  # of all rows 15 of 16


def test_the_test_rows_are_those_of_a_run_without():
    domain = table(400)
    assert np.array_equal(plan(domain).splits[0].test, plan(domain, interval="rows").splits[0].test)


def test_a_source_does_not_hold_them(monkeypatch):
    domain = table(400)
    known = Source("known", data=Domain.from_arrays(domain.inputs.frame[::-1], domain.labels[::-1]))
    method = make_method("pooled")
    found = make_plan([known], domain, method, Request(labels=30, control=("none",), interval="ppi"))
    left = found.sources[0].data.inputs.frame
    kept = set(map(tuple, found.exam.unlabelled.inputs.frame.to_numpy()))
    assert len(left) and not kept & set(map(tuple, left.to_numpy()))


def test_a_run_has_narrower_intervals_of_scores_and_the_same_gains(tmp_path):
    some = {"method": "target-only", "control": "constant", "labels": 60, "seeds": 1, "test_size": 60}
    plain = transfer(None, table(3000), **some)
    more = transfer(None, table(3000), **some, interval="ppi", out=tmp_path / "r")
    wide, narrow = plain.scores["accuracy"], more.scores["accuracy"]
    assert narrow.high - narrow.low < 0.97 * (wide.high - wide.low)
    assert (60 * more.gains["constant"].value) % 1 == pytest.approx(0)  # of the 60 test rows alone
    assert 0.01 < (60 * more.scores["accuracy"].value) % 1 < 0.99
    assert load_transfer(tmp_path / "r").evidence.scores == more.evidence.scores
    assert "rows without labels" in " ".join(more.evidence.target.notes + more.evidence.messages)


@pytest.mark.parametrize(
    ("domain", "asked", "words"),
    [
        (
            {},
            {"labels": None},
            "needs 100 rows without labels or more .* has 0 that no label is used of",
        ),
        ({}, {"labels": None, "labels_per_class": 10}, "labels_per_class= takes labels by class; give labels=N"),
        ({}, {"labels": None, "curve": (5, 10)}, "curve= takes labels by class"),
        ({}, {"interval": "PPI"}, "interval='PPI'; expected rows or ppi"),
        ({"groups": np.repeat([f"p{i}" for i in range(40)], 10)}, {}, "has 32 that no label is used of"),
        ({}, {"test_repeats": 3}, "leave out test_repeats="),
        ({"splits": {"test": range(40)}}, {}, "the splits test came with the data; leave it out"),
        ({"times": np.arange(400.0)}, {}, "the last in time"),
        ({"labels": np.arange(400.0)}, {}, "for a classification of one class a row, but this is a regression"),
    ],
)
def test_rows_that_are_not_like_the_test_rows_are_refused(domain, asked, words):
    with pytest.raises(RequestError, match=words):
        plan(table(**domain), **asked)
