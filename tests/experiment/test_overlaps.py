"""Test rows that something learnt from all the same: found, counted, left out or said."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, Source, load_source, transfer
from sterna.cli.transfer import read_sources, read_target
from sterna.domains import TextInputs
from sterna.domains.learnt import Learnt, read_learnt
from sterna.domains.splits import make_splits
from sterna.evaluation import score
from sterna.experiment.overlaps import learnt_of, overlap_notes, unseen
from sterna.experiment.problem import make_exam
from sterna.methods.method import make_method
from sterna.record.request import Request
from sterna.tasks import infer_task


def coins(seed=0, patients=30, each=4, name="p"):
    """Labels are a coin for each patient, so nothing that has not seen a patient can know them."""
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), each)
    frame = pd.DataFrame(random.normal(size=(patients, 4))[patient] + 0.1 * random.normal(size=(len(patient), 4)))
    frame.columns = list("abcd")
    labels = np.where(random.integers(0, 2, patients)[patient] > 0, "well", "ill")
    return frame, labels, [f"{name}{i}" for i in patient]


@pytest.fixture
def target():
    frame, labels, groups = coins()
    return Domain.from_arrays(frame, labels, name="ward", groups=groups)


def held_back(domain):
    task = infer_task(domain)
    return make_splits(domain, task.encode(domain.labels), seed=0).test


def test_rows_of_a_tested_group_are_left_out_of_the_source(target):
    test = held_back(target)
    more, labels, _ = coins(seed=1)
    source = Source("old", data=Domain.from_arrays(more, labels, groups=[*target.groups[:-3], None, "q", None]))
    left, notes = unseen(source, target, test)
    keep = ~np.isin(np.asarray(source.data.groups, dtype=object), list(set(target.groups[test])))
    assert len(left.data) == keep.sum() < len(source.data)
    assert list(left.data.groups) == list(source.data.groups[keep])
    assert notes == (f"{(~keep).sum()} rows of the source's data are of groups with test rows, and were left out.",)


def test_a_source_of_test_rows_alone_is_refused(target):
    test = held_back(target)
    with pytest.raises(
        RequestError, match=rf"data ward is left .*: {len(test)} rows of the source's data are rows of the"
    ):
        unseen(Source("old", data=target.take(test)), target, test)


def test_a_source_without_groups_is_said(target):
    more, labels, _ = coins(seed=1)
    source = Source("old", data=Domain.from_arrays(more, labels))
    left, notes = unseen(source, target, held_back(target))
    assert left is source and len(notes) == 1 and notes[0].startswith("The source's data name no groups")
    assert unseen(source, replace(target, groups=None), held_back(target)) == (source, ())


def test_groups_are_known_in_other_case_with_spaces_and_with_zeros_before():
    groups = [f"P {i}" if i % 2 else str(i) for i in range(8)]
    written = [f" p{i}" if i % 2 else f"{i:04d}" for i in range(8)]
    rows = np.random.default_rng(0).normal(size=(2, 8, 3))
    here = Domain.from_arrays(rows[0], ["a", "b"] * 4, groups=groups)
    source = Source("old", data=Domain.from_arrays(rows[1], ["a", "b"] * 4, groups=written))
    left, _ = unseen(source, here, np.array([0, 1, 2]))
    assert list(left.data.groups) == written[3:]


@pytest.mark.parametrize(("ours", "theirs"), [("P-003", "p3"), ("site 1/07", "site1-7"), ("A_12", "a12")])
def test_groups_are_known_with_other_marks_between_their_parts(ours, theirs):
    frame, labels, _ = coins(patients=3, each=1)
    domain = Domain.from_arrays(frame, labels, groups=[ours, "q-1-13", "q-2"])
    more, known, _ = coins(seed=1, patients=3, each=1)
    source = Source("old", data=Domain.from_arrays(more, known, groups=[theirs, "q11-3", "q9"]))
    assert list(unseen(source, domain, np.arange(2))[0].data.groups) == ["q11-3", "q9"]


def test_groups_that_share_numbers_alone_are_said(target):
    test = held_back(target)
    more, labels, groups = coins(seed=1, name="")
    source = Source("old", data=Domain.from_arrays(more, labels, groups=groups))
    left, notes = unseen(source, target, test)
    assert left is source and "(such as '0', in the target 'p0'), though their numbers are the same" in notes[0]
    others = source.with_data(Domain.from_arrays(more, labels, groups=[f"{int(group) + 500}" for group in groups]))
    assert unseen(others, target, test)[1] == ()


def test_near_copies_and_copies_are_counted_apart(target):
    test = held_back(target)
    rows, frame = target.inputs.frame.iloc[test], coins(seed=1)[0]
    data = pd.concat([frame, rows.iloc[:3], rows.iloc[3:10].round(2)], ignore_index=True)
    source = Source("old", data=Domain.from_arrays(data, ["well", "ill"] * (len(data) // 2)))
    left, notes = unseen(source, replace(target, groups=None), test)
    assert len(left.data) == len(frame) and np.array_equal(left.data.inputs.frame, frame)
    assert [note.split(" rows ")[0] for note in notes] == ["3", "7"] and "near copies" in notes[1]


def test_the_group_column_is_read_in_the_source_too(tmp_path):
    for name, seed in (("new", 0), ("old", 1)):
        frame, labels, groups = coins(seed=seed)
        frame.assign(label=labels, patient=groups).to_csv(tmp_path / f"{name}.csv", index=False)
    frame.assign(label=labels).to_csv(tmp_path / "bare.csv", index=False)
    asked = Request(target=str(tmp_path / "new.csv"), label="label", group="patient")
    here = read_target(asked)
    (source,) = read_sources(replace(asked, source_data=(str(tmp_path / "old.csv"),)))
    assert set(source.data.groups) == set(here.groups) and source.data.inputs.columns == here.inputs.columns
    assert len(unseen(source, here, held_back(here))[0].data) == len(here) - len(held_back(here))
    (bare,) = read_sources(replace(asked, source_data=(str(tmp_path / "bare.csv"),)))
    assert bare.data.groups is None and len(bare.data) == 120
    with pytest.raises(Exception, match="nothing: old.csv has no such column"):
        read_sources(replace(asked, source_data=(str(tmp_path / "old.csv"),), source_label="nothing"))


def test_rows_without_a_group_are_of_no_common_group(tmp_path):
    for name in ("new", "old"):
        frame, labels, groups = coins(seed=len(name) + (name == "old"))
        frame.assign(label=labels, patient=[None, *groups[1:]]).to_csv(tmp_path / f"{name}.csv", index=False)
    asked = Request(target=str(tmp_path / "new.csv"), label="label", group="patient")
    here, (source,) = read_target(asked), read_sources(replace(asked, source_data=(str(tmp_path / "old.csv"),)))
    assert here.groups[0] is None
    assert unseen(source, here, np.array([0])) == (source, ())


def test_a_source_of_the_same_patients_does_not_help(tmp_path):
    frame, labels, groups = coins(patients=60)
    target = Domain.from_arrays(frame, labels, groups=groups)
    source = Source("old", data=Domain.from_arrays(frame + 0.05, labels, groups=groups))  # measured again
    result = transfer(source, target, method="pooled", control="target-only", out=tmp_path / "r", seeds=1)
    assert result.scores[result.evidence.task.metric].value < 0.8
    assert any("of groups with test rows" in note for note in result.evidence.target.notes)
    kept = pd.read_parquet(tmp_path / "r" / "predictions.parquet")
    named = [groups[row] for row in kept["row"]]
    assert len(set(zip(kept["group"], named, strict=True))) == len(set(named)) == kept["group"].nunique()


def test_copies_between_given_splits_are_counted_and_scored_without(tmp_path):
    frame, labels, _ = coins(patients=120, each=1)
    frame.loc[80:99], labels[80:100] = frame.loc[:19].to_numpy(), labels[:20]  # 20 of 40 test rows: copies
    frame.loc[90:99] = frame.loc[90:99].round(3)  # 10 of them rounded
    domain = Domain.from_arrays(frame, labels, splits={"train": range(80), "test": range(80, 120)})
    task = infer_task(domain)
    exam = make_exam(domain, task, make_splits(domain, task.encode(domain.labels), seed=0))
    assert np.array_equal(exam.fresh, np.arange(40) >= 20)
    result = transfer(None, domain, method="target-only", control="none", out=tmp_path / "r", seeds=1)
    (note,) = [note for note in result.evidence.target.notes if "copies" in note]
    assert note.startswith("20 of the 40 test rows are copies of training rows, 10 of them near copies")
    assert pd.read_parquet(tmp_path / "r" / "predictions.parquet")["learnt"].tolist() == [True] * 20 + [False] * 20
    rest = domain.take(np.arange(100, 120))
    expected = score(task, [result.outputs(rest)], task.encode(rest.labels))[task.metric].value
    assert f"on the other 20 rows: target-only {expected:.3f} (all rows {result.scores[task.metric].value:.3f})" in note


def test_groups_on_both_sides_of_given_splits_are_counted_and_scored_without():
    frame, labels, groups = coins()
    splits = {"train": range(70), "test": range(70, 120)}  # two rows of p17 on each side
    domain = Domain.from_arrays(frame, labels, groups=groups, splits=splits)
    task = infer_task(domain)
    exam = make_exam(domain, task, make_splits(domain, task.encode(domain.labels), seed=0))
    assert np.array_equal(exam.fresh, np.arange(50) >= 2)
    outputs = {"target-only": [np.eye(2)[exam.targets]]}
    (note,) = overlap_notes(exam.overlaps, task, exam.targets, outputs)
    assert note.startswith("2 of the 50 test rows are of groups with training rows; accuracy on the other 48 rows: ")


def test_made_splits_have_no_copies_and_nothing_is_said(target):
    task = infer_task(target)
    twice = Domain.from_arrays(pd.concat([target.inputs.frame] * 2, ignore_index=True), [*target.labels] * 2)
    exam = make_exam(twice, task, make_splits(twice, task.encode(twice.labels), seed=0))
    assert exam.overlaps == () and exam.fresh.all()
    assert overlap_notes(exam.overlaps, task, exam.targets, {}) == ()


def test_where_every_test_row_is_a_copy_nothing_is_left_to_score(tmp_path):
    frame, labels, _ = coins(patients=40, each=1)
    both = pd.concat([frame, frame[:10]], ignore_index=True)
    domain = Domain.from_arrays(both, [*labels, *labels[:10]], splits={"train": range(40), "test": range(40, 50)})
    result = transfer(None, domain, method="target-only", control="none", out=tmp_path / "r", seeds=1)
    assert any("10 of the 10 test rows are copies" in n and "none is left" in n for n in result.evidence.target.notes)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A run on 80 texts: 40 with labels to learn from, 20 without, which are not looked at, and 20 to test."""
    texts = [f"a text number {i} {'good' if i % 2 else 'bad'}" for i in range(80)]
    splits = {"train": range(40), "test": range(60, 80)}
    labels = [None if 40 <= i < 60 else ["no", "yes"][i % 2] for i in range(80)]
    domain = Domain.from_arrays(texts, labels, splits=splits)
    folder = tmp_path_factory.mktemp("earlier") / "run"
    return domain, transfer(None, domain, method="target-only", control="none", seeds=1, out=folder)


def test_a_run_says_which_rows_it_learnt_from(earlier):
    domain, run = earlier
    labelled, without = read_learnt(run.folder.path).among(domain.inputs)
    assert np.array_equal(labelled, np.arange(80) < 40) and not without.any()
    sentence = "40 of the 60 rows are rows that the run learnt from, with their labels"
    with pytest.warns(UserWarning, match=sentence):
        run.score(domain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.score(domain.take(np.arange(60, 80)))
    (run.folder.path / "learnt.npz").rename(run.folder.path / "aside")
    assert run.learnt_from(domain) == ()  # as runs of older versions
    (run.folder.path / "learnt.npz").write_bytes(b"PK")
    with pytest.raises(RequestError, match="is damaged"):
        run.learnt_from(domain)
    (run.folder.path / "aside").rename(run.folder.path / "learnt.npz")


def test_the_command_says_it_too(earlier, tmp_path, capsys):
    domain, run = earlier
    frame = pd.DataFrame({"text": [domain.inputs[i] for i in range(30, 80)], "label": ["no", "yes"] * 25})
    frame.to_csv(tmp_path / "t.csv", index=False)
    from sterna.cli import main

    with pytest.raises(SystemExit) as end, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "sys.argv", ["sterna", "score", str(run.folder.path), str(tmp_path / "t.csv"), "--label", "label"]
        )
        main()
    assert end.value.code in (0, None)
    assert "note: 10 of the 50 rows are rows that the run learnt from, with their labels" in capsys.readouterr().err


def test_a_source_that_learnt_from_test_rows_is_said_and_passes_it_on(earlier, tmp_path):
    """The first run's training rows are this one's test rows, and the next one's again, through a chain of two."""
    domain, run = earlier
    turned = Domain.from_arrays(
        [domain.inputs[i] for i in range(80)], ["no", "yes"] * 40,
        splits={"train": range(44, 80), "test": range(30, 44)},
    )  # fmt: skip
    source = load_source(f"run:{run.folder.path}")
    second = transfer(source, turned, method="source-only", control="none", out=tmp_path / "second")
    (note,) = [each for each in second.evidence.target.notes if "learnt from" in each]
    assert note.startswith(f"10 of the 14 test rows are rows that the source run:{run.folder.path} learnt from, with")
    rest = turned.take(np.arange(40, 44))
    task = infer_task(turned)
    expected = score(task, [second.outputs(rest)], task.encode(rest.labels))[task.metric].value
    assert f"on the other 4 rows: source-only {expected:.3f}" in note
    # source-only learns from no row of its target, so the second run knows what the first one knew
    again = load_source(f"run:{tmp_path / 'second'}").learnt
    assert np.array_equal(again.labelled, source.learnt.labelled) and len(again.labelled) == 40


def test_what_two_models_learnt_from_is_joined():
    def learnt(first, second):
        return Learnt.of([TextInputs(first)], [TextInputs(second)])

    both = learnt(["a", "b"], ["c", "d"]).joined(learnt(["c"], ["e", "a"]))
    labelled, without = both.among(TextInputs(["A ", "b", "c", "d", "e", "f"]))
    assert labelled.tolist() == [True, True, True, False, False, False]
    assert without.tolist() == [False, False, False, True, True, False]
    again = Learnt.of([TextInputs(["d"])], [], both)
    assert again.among(TextInputs(["d", "e"]))[0].tolist() == [True, False] and len(again.unlabelled) == 1


def test_methods_that_look_at_unlabelled_rows_keep_them_apart():
    domain = Domain.from_arrays([f"text {i}" for i in range(40)], ["a", "b"] * 20)
    splits = make_splits(domain, np.tile([0, 1], 20), seed=0, labels=10)
    old = Source("old", data=Domain.from_arrays([f"old {i}" for i in range(9)], [*"abababab", None]))
    spread = learnt_of([old], domain, make_method("label-propagation"), splits)
    assert (len(spread.labelled), len(spread.unlabelled)) == (10 + 8, len(splits.unlabelled))
    only = learnt_of([old], domain, make_method("source-only"), splits)
    assert (len(only.labelled), len(only.unlabelled)) == (8, 0)
    fitted = learnt_of([], domain, make_method("target-only"), splits)
    assert (len(fitted.labelled), len(fitted.unlabelled)) == (10, 0)


def test_rows_of_a_table_are_known_beside_other_columns(tmp_path):
    frame = coins(patients=50, each=1)[0]
    bare = frame[["a", "b"]]
    learnt = Learnt.of([Domain.from_arrays(frame[:20]).inputs, Domain.from_arrays(bare[20:30]).inputs], [])
    learnt.save(tmp_path)
    wide = frame.assign(more=np.arange(50) % 9 * 1.5).round(12)
    found = read_learnt(tmp_path).among(Domain.from_arrays(wide).inputs)[0]
    assert np.array_equal(found, np.arange(50) < 30)
    narrow = read_learnt(tmp_path).among(Domain.from_arrays(bare).inputs)[0]
    assert np.array_equal(narrow, (np.arange(50) >= 20) & (np.arange(50) < 30))  # too little to know the others by
    assert not read_learnt(tmp_path).among(Domain.from_arrays(frame[["c"]]).inputs)[0].any()


@pytest.mark.parametrize("columns", [1, 2])
def test_rows_of_few_numbers_are_not_known_by_chance(tmp_path, columns):
    numbers = np.random.default_rng(0).normal(size=(8000, columns)).cumsum(axis=1).round(9)
    inputs = Domain.from_arrays(pd.DataFrame(numbers, columns=list("ab")[:columns])).inputs
    Learnt.of([inputs.take(np.arange(4000))], []).save(tmp_path)
    found = read_learnt(tmp_path).among(inputs.take(np.arange(3900, 8000)))[0]
    assert np.flatnonzero(found).tolist() == list(range(100))
