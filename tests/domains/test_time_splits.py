"""Splits from past to future."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.domains import Domain, TextInputs, load_domain, make_splits
from sterna.domains.time_splits import last_part
from sterna.errors import RequestError


def domain_of(times, groups=None, contents=None):
    contents = range(len(times)) if contents is None else contents
    return Domain("d", TextInputs([f"text {c}" for c in contents]), times=np.asarray(times), groups=groups)


@st.composite
def dated(draw):
    n = draw(st.integers(12, 60))
    codes = np.array([0, 1] * 3 + draw(st.lists(st.integers(-1, 1), min_size=n - 6, max_size=n - 6)))
    times = np.array(draw(st.lists(st.integers(0, 40), min_size=n, max_size=n)), dtype=float)
    times[draw(st.lists(st.integers(0, n - 1), max_size=3))] = np.nan
    groups = draw(st.none() | st.lists(st.sampled_from([*"abcdefgh", None, None]), min_size=n, max_size=n))
    return codes, times, groups, draw(st.sampled_from([0.0, 3.0]))


@given(dated())
@settings(deadline=None, max_examples=200)
def test_what_is_tested_comes_after_all_that_is_learnt_from(case):
    codes, times, groups, gap = case
    domain = domain_of(times, groups)
    try:
        splits = make_splits(domain, codes, seed=0, gap=gap)
    except RequestError as error:
        assert any(words in str(error) for words in ("of one class", "no row left to learn from", "have one time"))
        return
    parts = [splits.train, splits.validation, splits.test, splits.unlabelled, splits.left_out]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(codes)))
    start = times[splits.test].min()
    future = np.flatnonzero((codes >= 0) & (times >= start))
    assert np.array_equal(splits.test, future)  # every labelled row from then on, in no other part
    for rows in (splits.train, splits.validation, splits.unlabelled):
        assert (times[rows] < start - gap).all()
    if len(splits.validation):
        assert times[splits.train].max() < times[splits.validation].min() - gap
    assert np.isin(np.flatnonzero(np.isnan(times)), splits.left_out).all()
    if groups is not None:
        named = np.array([group or f"row {i}" for i, group in enumerate(groups)])
        tested = set(named[splits.test])
        assert not tested & set(named[np.concatenate([splits.train, splits.validation, splits.unlabelled])])
        assert not set(named[splits.train]) & set(named[splits.validation])


def test_the_last_fifth_is_tested_and_the_fifth_before_it_chooses():
    codes, times = np.tile([0, 1], 50), np.random.default_rng(0).permutation(100).astype(float)
    splits = make_splits(domain_of(times), codes, seed=0)
    assert sorted(times[splits.test]) == list(range(80, 100))
    assert sorted(times[splits.validation]) == list(range(64, 80)) and splits.given == ()
    again = make_splits(domain_of(times), codes, seed=5, split_seed=9)
    assert np.array_equal(again.validation, splits.validation)  # nothing is drawn
    ten = make_splits(domain_of(times), codes, seed=0, test_fraction=10, gap=5)
    assert times[ten.test].min() == 90 and times[ten.validation].max() == 84 and times[ten.train].max() == 62
    few = make_splits(domain_of(times), codes, seed=0, labels=20)
    assert np.array_equal(few.test, splits.test) and len(few.train) + len(few.validation) == 20
    assert times[few.train].max() < times[few.validation].min() < 80
    assert splits.notes == ("Split by time: rows before 80 to learn from, from then on the test split.",)


def test_rows_of_one_time_are_on_one_side():
    """By hand: of 10 rows the last 3 are nearest to two tenths, since those of time 3 come together."""
    times = np.array([1, 1, 1, 1, 2, 2, 2, 3, 3, 3], dtype=float)
    earlier, last = last_part(np.arange(10), times, lambda rows: rows, 0.2, 0.0)
    assert earlier.tolist() == [0, 1, 2, 3, 4, 5, 6] and last.tolist() == [7, 8, 9]


def test_dates_of_a_table_and_their_gap(tmp_path):
    days = pd.date_range("2024-01-01", periods=60).strftime("%d.%m.%Y").to_list()
    days[7] = ""
    frame = pd.DataFrame({"day": days, "x": np.arange(60) * 1.5, "label": ["a", "b", "a"] * 20})
    frame.sample(frac=1, random_state=0).to_csv(tmp_path / "t.csv", index=False)
    domain = load_domain(tmp_path / "t.csv", label="label", time="day")
    codes = (domain.labels == "b").astype(int)
    assert domain.times.dtype == np.dtype("datetime64[us]") and "day" in domain.inputs.columns
    splits = make_splits(domain, codes, seed=0, gap=7)
    first = domain.times[splits.test].min()
    last = domain.times[np.concatenate([splits.train, splits.validation])].max()
    assert first - last == np.timedelta64(8, "D") and len(splits.test) == 12
    missing = int(np.flatnonzero(np.isnat(domain.times))[0])
    assert splits.notes[0].startswith("Split by time: rows before 2024-02-18")
    assert f"1 rows have no time, the first of them row {missing}" in splits.notes[-1]
    frame.loc[3, "day"] = "soon"
    frame.to_csv(tmp_path / "t.csv", index=False)
    odd = load_domain(tmp_path / "t.csv", label="label", time="day")
    assert np.flatnonzero(np.isnat(odd.times)).tolist() == [3, 7]
    assert any("1 values that are no dates, such as 'soon'" in note for note in odd.notes)
    with pytest.raises(RequestError, match="'label' .* cannot be read as dates"):
        load_domain(tmp_path / "t.csv", label="x", time="label")
    with pytest.raises(RequestError, match="use one of them"):
        load_domain(tmp_path / "t.csv", label="label", time="x", test=tmp_path / "t.csv")


def test_a_group_that_goes_on_is_tested_and_its_past_is_left_out():
    times = np.arange(20, dtype=float)
    groups = [f"p{i % 10}" if i in (3, 13, 19) else f"q{i}" for i in range(20)]
    groups[3] = groups[19] = "p"  # known early, and in the test split
    splits = make_splits(domain_of(times, groups), np.tile([0, 1], 10), seed=0)
    assert 19 in splits.test and 3 in splits.left_out
    assert any(note.startswith("1 earlier rows of a group or content with test rows") for note in splits.notes)
    with pytest.raises(RequestError, match="no row left to learn from: .* leave out group or gap"):
        make_splits(domain_of(times, ["a", "b"] * 10), np.tile([0, 1], 10), seed=0)


@pytest.mark.parametrize(
    ("more", "options", "sentence"),
    [
        ({"times": [1.0] * 8}, {}, "All 8 rows to split by time have one time (1)"),
        ({"times": [1.0] * 8, "splits": {"train": [0, 1, 2, 3], "test": [4, 5, 6, 7]}}, {}, "brings the splits train"),
        ({}, {"gap": 2.0}, "gap=2 is for splits by time"),
        ({"splits": {"test": [0, 1]}}, {"test_fraction": 0.3}, "test_size=0.3 was asked for, but d brings its own"),
        ({}, {"test_fraction": 8}, "test_size=8 is more than nine tenths of the 8 labelled rows"),
        ({"times": [0, 1, 2, 3, 4, 5, 6, 7.0]}, {"test_fraction": 6}, "are of one class only"),
    ],
)
def test_what_cannot_be_split_is_one_sentence(more, options, sentence):
    domain = Domain("d", TextInputs([f"text {i}" for i in range(8)]), **more)
    with pytest.raises(RequestError) as error:
        make_splits(domain, np.array([0, 0, 1, 1, 0, 1, 0, 1]), seed=0, **options)
    assert sentence in str(error.value)


@pytest.mark.parametrize("size", [0.1, 0.35, 15, 40])
def test_the_size_of_the_test_split_is_a_share_or_a_number(size):
    codes = np.repeat([0, 1], [70, 30])
    domain = Domain("d", TextInputs([f"text {i}" for i in range(100)]))
    splits = make_splits(domain, codes, seed=0, test_fraction=size)
    count = size if size >= 1 else 100 * size
    assert abs(len(splits.test) - count) <= 1 and abs((codes[splits.test] == 1).sum() - 0.3 * count) <= 0.5


def test_times_must_be_numbers_or_dates():
    with pytest.raises(RequestError, match="numbers or dates"):
        domain_of(["early", "late"])
    with pytest.raises(RequestError, match="2 rows but 3 times"):
        Domain("d", TextInputs(["a", "b"]), times=np.arange(3))
    assert domain_of([np.datetime64("2024-01-01"), None]).take(np.array([1])).times.dtype.kind == "M"
