from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.domains import Domain, Splits, TextInputs, make_splits
from sterna.domains.draws import draw_side, strata_of
from sterna.errors import RequestError

NAMES = ("train", "validation", "test", "unlabelled", "left_out")


def domain_of(targets, contents=None, **more) -> Domain:
    contents = np.arange(len(targets)) if contents is None else contents
    return Domain("d", TextInputs([f"text {c}" for c in contents]), **more)


def equal(a: Splits, b: Splits) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in NAMES)


def check_partition(splits: Splits, n: int) -> None:
    parts = [getattr(splits, name) for name in NAMES]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))  # disjoint, and all rows
    assert all(part.dtype == np.int64 and np.all(np.diff(part) > 0) for part in parts)


def check_together(splits: Splits, units: np.ndarray, labelled: np.ndarray) -> None:
    sides = [set(units[getattr(splits, name)]) for name in ("train", "validation", "test")]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert not sides[2] & set(units[splits.unlabelled])
    assert not labelled[splits.left_out].any()


@st.composite
def classified(draw):
    """Codes with every class at least twice, contents with copies, groups or none."""
    k = draw(st.integers(2, 4))
    codes = np.array(
        draw(st.lists(st.integers(-1, k - 1), min_size=0, max_size=50)) + list(range(k)) * 2, dtype=np.int64
    )
    n = len(codes)
    contents = np.array(draw(st.lists(st.integers(0, draw(st.sampled_from([5, 1000]))), min_size=n, max_size=n)))
    groups = draw(st.none() | st.lists(st.sampled_from(["a", "b", "c", "d", "e", None]), min_size=n, max_size=n))
    return codes, contents, groups


@given(classified(), st.integers(2, 6), st.sampled_from([None, 0.1, 0.15]))
@settings(deadline=None, max_examples=40)
def test_several_test_splits_share_no_unit_and_test_all_rows_where_they_may(case, repeats, fraction):
    codes, contents, groups = case
    domain = domain_of(codes, contents, groups=groups)
    more = {"test_repeats": repeats, "test_fraction": fraction}
    try:
        several = [make_splits(domain, codes, seed=1, test_split=number, **more) for number in range(repeats)]
    except RequestError as error:
        assert "would be empty" in str(error)
        return
    share = min(0.2, 1 / repeats) if fraction is None else fraction
    assert equal(several[0], make_splits(domain, codes, seed=1, test_fraction=share))
    tested = np.concatenate([splits.test for splits in several])
    assert len(np.unique(tested)) == len(tested)
    for splits in several:
        check_partition(splits, len(codes))
        check_together(splits, contents, codes >= 0)
        assert not set(contents[splits.test]) & set(contents[np.setdiff1d(tested, splits.test)])
    if fraction is None and repeats >= 5:
        assert len(tested) == (codes >= 0).sum()


def test_five_test_splits_have_the_shares_of_the_classes():
    codes = np.repeat([0, 1, 2], [100, 50, 13])
    several = [make_splits(domain_of(codes), codes, seed=0, test_repeats=5, test_split=n).test for n in range(5)]
    counts = np.array([np.bincount(codes[test], minlength=3) for test in several])
    assert (counts[:, 0] == 20).all() and (counts[:, 1] == 10).all() and set(counts[:, 2]) == {2, 3}


@pytest.mark.parametrize("sizes", [(20, 20, 20), (10, 40, 70), (5, 5)])
def test_as_many_test_splits_as_groups_test_each_group_once(sizes):
    groups, codes = np.repeat(np.arange(len(sizes)), sizes), np.arange(sum(sizes)) % 2
    domain = domain_of(codes, groups=list(groups.astype(str)))
    more = {"seed": 0, "test_repeats": len(sizes)}
    several = [make_splits(domain, codes, test_split=number, **more) for number in range(len(sizes))]
    tested = [np.unique(groups[splits.test]) for splits in several]
    assert sorted(map(tuple, tested)) == [(number,) for number in range(len(sizes))]
    assert all(len(splits.train) + len(splits.validation) == sum(sizes) - len(splits.test) for splits in several)
    with pytest.raises(RequestError, match=f"number {len(sizes) + 1} would be empty"):
        make_splits(domain, codes, seed=0, test_repeats=len(sizes) + 1, test_split=len(sizes))


@given(classified(), st.integers(0, 3))
@settings(deadline=None, max_examples=150)
def test_made_splits_are_a_partition_that_keeps_copies_and_groups_together(case, seed):
    codes, contents, groups = case
    domain = domain_of(codes, contents, groups=groups)
    splits = make_splits(domain, codes, seed=seed)
    check_partition(splits, len(codes))
    check_together(splits, contents, codes >= 0)
    if groups is not None:
        named = np.array([g if g is not None else f"row {i}" for i, g in enumerate(groups)], dtype=object)
        check_together(splits, named, codes >= 0)
    for name in ("train", "validation", "test"):
        assert (codes[getattr(splits, name)] >= 0).all()
    assert equal(splits, make_splits(domain, codes, seed=seed))
    assert np.array_equal(splits.test, make_splits(domain, codes, seed=seed + 1).test)


@given(classified(), st.integers(1, 3), st.integers(0, 3))
@settings(deadline=None, max_examples=100)
def test_k_labels_a_class_are_kept_and_all_others_hidden(case, k, seed):
    codes, contents, groups = case
    domain = domain_of(codes, contents, groups=groups)
    full = make_splits(domain, codes, seed=seed)
    pool = np.union1d(full.train, full.validation)
    present, counts = np.unique(codes[pool], return_counts=True)
    if not len(counts) or counts.min() < k:
        with pytest.raises(RequestError, match=f"labels_per_class={k} needs"):
            make_splits(domain, codes, seed=seed, labels_per_class=k)
        return
    splits = make_splits(domain, codes, seed=seed, labels_per_class=k)
    check_partition(splits, len(codes))
    kept = np.concatenate([splits.train, splits.validation])
    assert np.array_equal(np.bincount(codes[kept], minlength=present.max() + 1)[present], np.full(len(present), k))
    assert np.array_equal(splits.test, full.test)
    assert not set(contents[splits.train]) & set(contents[splits.validation])


@given(st.lists(st.integers(4, 40), min_size=2, max_size=5), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 9))
@settings(deadline=None)
def test_distinct_rows_are_stratified_to_the_nearest_row(counts, fraction, seed):
    codes = np.repeat(np.arange(len(counts)), counts)
    splits = make_splits(domain_of(codes), codes, seed=0, split_seed=seed, test_fraction=fraction)
    for code, count in enumerate(counts):
        assert abs((codes[splits.test] == code).sum() - max(1, fraction * count)) <= 0.5
        left = count - (codes[splits.test] == code).sum()
        assert abs((codes[splits.validation] == code).sum() - max(1, 0.2 * left)) <= 0.5


def test_two_seeds_draw_differently_and_split_seed_alone_moves_the_test():
    codes = np.repeat([0, 1], 50)
    domain = domain_of(codes)
    first, second = make_splits(domain, codes, seed=0), make_splits(domain, codes, seed=1)
    assert np.array_equal(first.test, second.test) and not np.array_equal(first.validation, second.validation)
    other = make_splits(domain, codes, seed=0, split_seed=1)
    assert not np.array_equal(first.test, other.test)


def test_a_pool_grows_with_more_labels():
    """The labels at k are among those at a larger k, so that a learning curve adds and does not replace."""
    codes = np.repeat([0, 1, 2], 40)
    kept = []
    for k in (2, 5, 20):
        splits = make_splits(domain_of(codes), codes, seed=3, labels_per_class=k)
        kept.append(set(splits.train) | set(splits.validation))
    assert kept[0] < kept[1] < kept[2]


def test_few_labels_are_not_spent_on_copies():
    contents = np.r_[np.zeros(50, int), np.arange(1, 5), np.arange(100, 140)]
    codes = np.r_[np.zeros(54, int), np.ones(40, int)]
    splits = make_splits(domain_of(codes, contents), codes, seed=0, labels_per_class=3)
    kept = np.concatenate([splits.train, splits.validation])
    assert len(set(contents[kept])) == 6


@pytest.mark.parametrize("labels", [0, 2, 7, 40])
def test_labels_in_all(labels):
    codes = np.repeat([0, 1, 2], [60, 30, 10])
    splits = make_splits(domain_of(codes), codes, seed=0, labels=labels)
    kept = np.concatenate([splits.train, splits.validation])
    assert len(kept) == labels
    if labels >= 3:
        counts = np.bincount(codes[kept], minlength=3)
        assert counts.min() >= 1 and counts[0] > counts[1] >= counts[2]
    assert len(splits.train) + len(splits.validation) + len(splits.test) + len(splits.unlabelled) == 100
    if not labels:
        assert not len(splits.train) and not len(splits.validation) and len(splits.test) == 20


def given_splits(**rows) -> dict:
    return {name: np.arange(*span) for name, span in rows.items()}


def test_three_given_splits_are_used_as_they_are():
    codes = np.tile([0, 1], 15)
    splits = make_splits(
        domain_of(codes, splits=given_splits(train=(0, 10), validation=(10, 20), test=(20, 28))), codes, seed=0
    )
    assert splits.given == ("train", "validation", "test")
    assert (splits.train.tolist(), splits.validation.tolist(), splits.test.tolist()) == (
        list(range(10)), list(range(10, 20)), list(range(20, 28)),
    )  # fmt: skip
    assert splits.unlabelled.tolist() == [28, 29]


@pytest.mark.parametrize("second", ["test", "validation"])
def test_of_two_given_splits_the_second_is_the_test(second):
    codes = np.tile([0, 1], 15)
    splits = make_splits(domain_of(codes, splits=given_splits(train=(0, 20), **{second: (20, 30)})), codes, seed=0)
    assert splits.test.tolist() == list(range(20, 30))
    assert len(splits.validation) == 4 and set(splits.validation) <= set(range(20))
    assert set(splits.given) == {"train", "test"} and bool(splits.notes) is (second == "validation")


def test_a_test_split_without_labels_leaves_the_test_to_validation():
    codes = np.r_[np.tile([0, 1], 15), np.full(10, -1)]
    rows = given_splits(train=(0, 20), validation=(20, 30), test=(30, 40))
    splits = make_splits(domain_of(codes, splits=rows), codes, seed=0)
    assert splits.test.tolist() == list(range(20, 30)) and splits.unlabelled.tolist() == list(range(30, 40))
    assert any("test split has no labels" in note for note in splits.notes)


def test_few_labels_of_given_splits_come_from_train_and_validation_together():
    codes = np.tile([0, 1], 30)
    rows = given_splits(train=(0, 30), validation=(30, 45), test=(45, 60))
    splits = make_splits(domain_of(codes, splits=rows), codes, seed=0, labels_per_class=5)
    assert np.bincount(codes[np.r_[splits.train, splits.validation]]).tolist() == [5, 5]
    assert np.bincount(codes[splits.validation]).tolist() == [1, 1]
    assert splits.test.tolist() == list(range(45, 60)) and len(splits.unlabelled) == 35


def test_few_large_groups_of_mixed_classes_come_near_the_fraction():
    random = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(12)], 25)
    codes = random.integers(0, 3, 300)
    splits = make_splits(domain_of(codes, groups=groups), codes, seed=0)
    assert 0.1 < len(splits.test) / 300 < 0.3
    assert not set(groups[splits.test]) & set(groups[splits.train])
    shares = np.bincount(codes[splits.test]) / np.bincount(codes)
    assert shares.max() - shares.min() < 0.15


def test_groups_and_copies_tie_rows_through_each_other():
    # 0 and 1 share a group, 1 and 2 a content, 2 and 3 a group: all four are one unit.
    codes = np.tile([0, 1], 10)
    contents = np.arange(20)
    contents[2] = contents[1]
    groups = np.array([f"g{i}" for i in range(20)], dtype=object)
    groups[1], groups[3] = groups[0], groups[2]
    for seed in range(8):
        splits = make_splits(domain_of(codes, contents, groups=groups), codes, seed=seed, split_seed=seed)
        side = {row: name for name in NAMES for row in getattr(splits, name).tolist()}
        assert len({side[row] for row in range(4)}) == 1


def test_unlabelled_rows_of_a_tested_group_are_left_out():
    codes = np.tile([0, 1, -1], 10)
    groups = np.repeat([f"g{i}" for i in range(10)], 3)
    splits = make_splits(domain_of(codes, groups=groups), codes, seed=0)
    assert set(groups[splits.left_out]) == set(groups[splits.test]) and (codes[splits.left_out] == -1).all()
    assert len(splits.unlabelled) == 10 - len(splits.left_out)


def test_numbers_are_stratified_by_quantile():
    targets = np.random.default_rng(0).lognormal(size=500)
    targets[::10] = np.nan
    splits = make_splits(domain_of(targets), targets, seed=0)
    check_partition(splits, 500)
    assert np.isnan(targets[splits.unlabelled]).all() and len(splits.unlabelled) == 50
    counts = np.histogram(targets[splits.test], np.nanquantile(targets, [0, 0.2, 0.4, 0.6, 0.8, 1]))[0]
    assert counts.tolist() == [18] * 5
    assert len(strata_of(np.array([1.0, 2.0]))) == 2
    few = make_splits(domain_of(targets), targets, seed=0, labels=12)
    assert len(few.train) + len(few.validation) == 12


@pytest.mark.parametrize("patients", [5, 8, 10, 12, 20, 30, 45])
def test_groups_of_one_number_each_give_a_fifth_of_the_groups(patients):
    """Of 20 patients with an age each, nearly half were tested, and of 8 none: most bins held one or two of them."""
    ages = np.random.default_rng(patients).permutation(patients).astype(float)
    group = np.repeat(np.arange(patients), 10)
    splits = make_splits(domain_of(ages[group], groups=group), ages[group], seed=0)
    tested = np.unique(group[splits.test])
    assert len(splits.test) == 10 * len(tested) and abs(len(tested) - patients / 5) <= max(1, patients / 15)
    third = patients // 3
    assert patients < 15 or (ages[tested].min() < third and ages[tested].max() >= patients - third)


def test_several_labels_keep_each_label_on_both_sides():
    random = np.random.default_rng(1)
    targets = (random.random((300, 4)) < [0.5, 0.3, 0.1, 0.03]).astype(float)
    targets[:20] = np.nan
    splits = make_splits(domain_of(targets), targets, seed=0)
    check_partition(splits, 300)
    assert splits.unlabelled.tolist() == list(range(20))
    for name in ("train", "validation", "test"):
        assert targets[getattr(splits, name)].sum(0).min() >= 1
    few = make_splits(domain_of(targets), targets, seed=0, labels_per_class=3)
    kept = np.concatenate([few.train, few.validation])
    assert targets[kept].sum(0).min() >= 3 and len(kept) <= 12


def test_one_content_is_never_drawn_apart_even_when_it_is_most_rows():
    strata = np.r_[np.zeros(90, int), np.ones(10, int)]
    units = np.r_[np.zeros(85, int), np.arange(1, 16)]
    side = draw_side(strata, units, 0.2, np.random.default_rng(0))
    assert len(set(side[:85])) == 1 and not side[:85].any()


def test_the_frame_for_the_run_folder_has_every_row_once():
    codes = np.tile([0, 1, -1], 20)
    splits = make_splits(domain_of(codes), codes, seed=0)
    frame = splits.to_frame()
    assert frame["row"].tolist() == list(range(60))
    assert frame["row"][frame["split"] == "test"].tolist() == splits.test.tolist()
    assert set(frame["split"]) == {"train", "validation", "test", "unlabelled"}


@pytest.mark.parametrize(
    ("codes", "more", "message"),
    [
        ([-1, -1], {}, "d has no labels"),
        ([1, 1, 1], {}, "rows of one class only"),
        ([0, 0, 0, 1], {}, "has 1 labelled row, but training and test need at least 2 of each class"),
        ([0] * 9 + [1] * 9, {"labels_per_class": 8}, r"\(7\), .* \(7\) of d .*labels_per_class=8 needs at least 8"),
        ([0] * 9 + [1] * 9, {"labels": 15}, "labels=15 were asked for, but only 14"),
        ([0] * 9 + [1] * 9, {"labels": -1}, "labels=-1 is negative"),
        ([0] * 9 + [1] * 9, {"labels_per_class": 0}, "labels_per_class=0 is too few"),
        ([0] * 9 + [1] * 9, {"labels_per_class": 2, "labels": 2}, "both given"),
        (
            [0] * 9 + [1] * 9,
            {"test_fraction": 1.5},
            "test_size=1.5 is out of range; a share of 0.01 to 0.9, or",
        ),
        ([0.5, 1.5, 2.5], {"labels_per_class": 1}, "is for classes, but the target is a number"),
    ],
)
def test_what_cannot_be_split_is_one_sentence(codes, more, message):
    targets = np.array(codes)
    with pytest.raises(RequestError, match=message):
        make_splits(domain_of(targets), targets, seed=0, **more)


def test_the_class_is_named_as_the_user_knows_it():
    domain = domain_of(range(5), labels=["ant", "ant", "ant", "ant", "bee"])
    with pytest.raises(RequestError, match="Class 'bee' of d has 1 labelled row"):
        make_splits(domain, np.array([0, 0, 0, 0, 1]), seed=0)
    numbers = domain_of([0, 0, 0, 1], labels=np.array([1.0, 1.0, 1.0, 2.5]))
    with pytest.raises(RequestError, match=r"^Class '2\.5' of d has 1 labelled row"):
        make_splits(numbers, np.array([0, 0, 0, 1]), seed=0)
