"""What a run says of the classes of source and target, and what it makes of their names."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, Source, transfer
from sterna.cli.transfer import verdict_lines
from sterna.domains.learnt import Learnt
from sterna.domains.splits import Splits
from sterna.experiment.classes import alike_pairs, nothing_to_learn, renamed, said_of_source, said_of_split
from sterna.experiment.plan import make_plan
from sterna.experiment.problem import source_rows
from sterna.methods.method import make_method
from sterna.networks.identity import IdentityBody
from sterna.preparations.table import TablePreparation
from sterna.record.request import Request
from sterna.report.verdict import judge
from sterna.tasks import Classification


def table(codes, names, name="target", noise=0.3, **more):
    codes = np.asarray(codes)
    x = np.random.default_rng(len(codes)).normal(size=(len(codes), 2), scale=noise) + codes[:, None] * [1, -1]
    labels = np.array([None if c < 0 else names[c] for c in codes], dtype=object)
    return Domain.from_arrays(pd.DataFrame(x, columns=["u", "v"]), labels, name=name, **more)


def planned(source, domain, method="target-only", **asked):
    known = None if source is None else Source("known", data=source)
    return make_plan([] if known is None else [known], domain, make_method(method), Request(control=("none",), **asked))


def notes_of(*args, **asked):
    return " ".join(planned(*args, **asked).notes)


EVEN = [0, 1, 2] * 20


def test_names_that_differ_in_accents_are_offered():
    assert alike_pairs(["Zürich", "Genf"], ["Zurich", "Bern"]) == {"Zürich": "Zurich"}


def test_columns_that_only_one_side_has_are_named_and_change_nothing():
    target, wider = table(EVEN, "abc"), table(EVEN, "abc", name="wide")
    frame = wider.inputs.frame.assign(extra=1.0, U="x")
    wider = Domain.from_arrays(frame, wider.labels, name="wide")
    plan = planned(wider, target, "pooled")
    assert plan.sources[0].data.inputs.columns == ("u", "v")
    assert "The source wide has columns that are no inputs of the target and are left out: 'extra', 'U'." in plan.notes
    lacking = Domain.from_arrays(frame[["U", "v"]], wider.labels, name="wide")
    with pytest.raises(RequestError, match="The source wide lacks columns of the target: 'u'."):
        planned(lacking, target, "pooled")
    same = transfer(Source("s", data=wider), target, method="pooled", control=("source-only",), seeds=1, epochs=1)
    bare = Domain.from_arrays(frame[["u", "v"]], wider.labels, name="wide")
    alone = transfer(Source("s", data=bare), target, method="pooled", control=("source-only",), seeds=1, epochs=1)
    rows = target.inputs.frame
    assert np.array_equal(same.predict_proba(rows), alone.predict_proba(rows))


def test_a_class_that_only_the_test_rows_have_is_named():
    given = {"train": list(range(60)), "test": list(range(60, 80))}
    domain = table(EVEN + [3] * 8 + EVEN[:12], "abcd", splits=given)
    assert "Never learnt, for none of the labels used is of them: 'd' (8 test rows)." in planned(None, domain).notes
    assert "Never learnt" not in notes_of(None, table(EVEN, "abc"))


def test_few_labels_say_which_classes_are_never_seen():
    domain = table(EVEN, "abc")
    plan = planned(None, domain, labels=1, seeds=2)
    seen = [str(domain.labels[splits.train[0]]) for splits in plan.splits]
    assert len(set(seen)) == 2  # what is said holds for both draws
    (lost,) = set("abc") - set(seen)
    some = ", ".join(f"{name!r} (in 1)" for name in sorted(seen))
    assert f"Never learnt, for none of the labels used is of them: {lost!r} (4 test rows)." in plan.notes
    assert f"No label is of these classes in some of the 2 draws: {some}." in plan.notes
    assert plan.no_verdict == (
        "The only label used is another in each draw, so there is nothing to learn, and no verdict is given."
    )
    one = planned(None, domain, labels=1, seeds=1)
    assert one.no_verdict.startswith(f"The only label used is of the class {seen[0]!r}, so")
    lent = planned(table([0, 1, 2] * 5, "abc", "other"), table(EVEN, "abc"), labels=1, seeds=1)
    assert "Only the source has labelled rows of" in " ".join(lent.notes) and "Never" not in " ".join(lent.notes)


def test_several_labels_that_never_apply_are_named():
    labels = np.zeros((40, 2))
    labels[::2, 0] = labels[36:, 1] = 1
    domain = Domain.from_arrays([f"text {i}" for i in range(40)], labels, classes=["a", "b"],
                                splits={"train": range(30), "test": range(30, 40)})  # fmt: skip
    assert "Never learnt, for none of the labels used is of them: 'b' (4 test rows)." in planned(None, domain).notes


def test_several_labels_that_all_rows_or_none_have_are_named():
    labels = np.zeros((40, 3))
    labels[::2, 0] = labels[:, 1] = 1
    said = notes_of(None, Domain.from_arrays([f"text {i}" for i in range(40)], labels, classes=["a", "b", "c"]))
    assert "Where it is known, every row has 'b' and no row has 'c': nothing tells rows with from rows without." in said
    labels[1:, 1] = labels[:, 2] = np.nan
    few = notes_of(None, Domain.from_arrays([f"text {i}" for i in range(40)], labels, classes=["a", "b", "c"]))
    assert "every row has 'b': nothing" in few and "'c'" not in few.partition("Where it is known")[2]
    labels[:, 1], labels[:, 2] = 1, 0
    labels[0, 1], labels[1, 2] = 0, 1
    given = {"train": range(30), "test": range(30, 40)}
    domain = Domain.from_arrays([f"text {i}" for i in range(40)], labels, classes=["a", "b", "c"], splits=given)
    assert "Where it is known" not in notes_of(None, domain)


def test_names_that_differ_are_named_and_offered_and_mapped():
    source, domain = table([0, 1] * 20, ["cat", "sea lions"], "other"), table([0, 1] * 30, ["Cat", "Sea-Lion"])
    said = notes_of(source, domain)
    assert "only the source has 'cat', 'sea lions', only the target 'Cat', 'Sea-Lion'" in said
    assert "map_classes={'cat': 'Cat', 'sea lions': 'Sea-Lion'} makes them one" in said
    with pytest.raises(RequestError, match="map_classes={'cat': 'Cat'"):
        planned(source, domain, method="coral")
    names = {"cat": "Cat", "sea lions": "Sea-Lion"}
    plan = planned(source, domain, method="coral", map_classes=names)
    assert set(plan.sources[0].data.labels) == {"Cat", "Sea-Lion"} and "differ" not in " ".join(plan.notes)
    with pytest.raises(RequestError, match="'cow', which is no class of the source.*it has 'cat', 'sea lions'"):
        planned(source, domain, map_classes={"cow": "Cat"})
    with pytest.raises(RequestError, match="'Cats', which is no class of the target.*Did you mean 'Cat'"):
        planned(source, domain, map_classes={"cat": "Cats"})


def test_the_models_classes_are_mapped_too():
    known, own = Source("m", task=Classification(("cat", "dog"), "accuracy")), Classification(("Cat", "Dog", "Cow"))
    assert renamed([known], {"cat": "Cat", "dog": "Dog"}, own)[0].task.classes == ("Cat", "Dog")
    said = said_of_source(known, own, own)
    assert said == [
        "Classes of the source look like the target's: map_classes={'cat': 'Cat', 'dog': 'Dog'} makes them one."
    ]
    assert not said_of_source(Source("m", task=Classification(("Cat", "tench"), "accuracy")), own, own)
    with pytest.raises(RequestError, match="one class, 'Cat', of two"):
        renamed([known], {"cat": "Cat", "dog": "Cat"}, own)


def test_widening_and_missing_classes_are_said():
    wide, narrow = table([0, 1, 2, 3] * 10, "abcd", "wide"), table([0, 1] * 30, "ab")
    assert "The source has classes that the target lacks, 'c', 'd': the task is widened" in notes_of(wide, narrow)
    assert "no row of the target's classes 'c', 'd'" in notes_of(narrow, table([0, 1, 2, 3] * 15, "abcd"))
    assert not planned(table([0, 1] * 20, "ab", "same"), narrow, "pooled").notes


def test_source_labels_are_matched_by_name():
    texts = [f"text {i}" for i in range(40)]
    labels = (np.arange(40)[:, None] % [2, 3, 5] == 0).astype(float)
    domain = Domain.from_arrays(texts, labels, classes=["a", "b", "c"], name="target")
    theirs = [f"other {i}" for i in range(40)]
    other = Domain.from_arrays(theirs[:20], labels[:20, [2, 1]], classes=["c", "b"], name="other")
    more = Domain.from_arrays(theirs, labels, classes=["d", "c", "a"], name="more")
    for known, columns, kept in ((other, [np.nan, 1, 0], 20), (more, [2, np.nan, 1], 40)):
        plan = planned(known, domain)
        rows = source_rows(plan.sources[0], plan.task, domain, evenly=False)
        wanted = [np.full(kept, np.nan) if c != c else known.labels[:, int(c)] for c in columns]
        assert rows.same_task and np.array_equal(rows.targets, np.column_stack(wanted), equal_nan=True)
    assert "more has labels that are never learnt and are left out: 'd'" in notes_of(more, domain)


def test_methods_that_leave_the_source_out_say_so():
    source, domain = table([0, 1] * 20, ["up", "down"], "other"), table([0, 1] * 30, "ab")
    for method in ("prototypes", "label-propagation"):
        result = transfer(Source("known", data=source), domain, method=method, labels_per_class=3, control="none")
        said = "No row of the source other is used, since it is not labelled as the target is."
        assert said in result.record["messages"]


def test_a_first_draw_of_one_class_does_not_take_the_verdict_of_the_others():
    task, target = Classification(("a", "b")), np.array([0, 0, 0, 1, 0, 1])
    empty = np.arange(0)
    draws = [Splits(np.array(rows), empty, np.array([4, 5]), empty) for rows in ([0, 1], [2, 3])]
    assert nothing_to_learn(task, target, draws, same=False) == []
    assert nothing_to_learn(task, target, draws[:1], same=False)[0].startswith("All 2 labels used are of the class 'a'")
    (said,) = said_of_split((), task, target, draws)
    assert said == "No label is of these classes in some of the 2 draws: 'b' (in 1)."


@pytest.mark.parametrize("kind", ["numbers", "classes", "several labels"])
def test_labels_that_are_all_the_same_get_no_verdict(kind):
    random, given = np.random.default_rng(0), {"train": range(40), "test": range(40, 80)}
    x = pd.DataFrame(random.normal(size=(80, 2)), columns=["u", "v"])
    labels = np.r_[np.full(40, 3.0), x["u"][40:]]
    if kind == "classes":
        labels = np.array(["a"] * 40 + ["a", "b"] * 20, dtype=object)
    if kind == "several labels":
        labels = np.c_[np.r_[np.ones(40), np.arange(40) % 2], np.r_[np.zeros(39), np.full(41, np.nan)]]
    domain = Domain.from_arrays(x, labels, splits=given)
    result = transfer(None, domain, method="scratch", control="target-only", epochs=1)
    (why,) = [note for note in result.record["target"]["notes"] if note.startswith("All 40 labels used are")]
    assert why.endswith("no verdict is given.") and result.record["no_verdict"] == why
    assert result.gain.verdict == "unclear" and result.evidence.verdict == "no verdict"
    assert any(line.count("no verdict") and "unclear" not in line for line in verdict_lines(result.evidence))
    assert result._repr_html_().endswith("no verdict</p>") and "(no verdict)" in repr(result)
    shown = judge(result.evidence)
    assert (shown.kind, shown.word, shown.gain) == ("none", "No verdict", "")


def test_the_metric_is_the_targets_whatever_labels_are_used():
    codes = [0] * 100 + [1] * 10
    metrics = {
        planned(table(codes, "ab", "s"), table(codes, "ab"), method="coral", **asked).task.metric
        for asked in ({}, {"labels": 0}, {"labels": 20}, {"labels_per_class": 3})
    }
    assert metrics == {"balanced_accuracy"}
    assert planned(None, table([0, 1] * 50, "ab"), labels=7).task.metric == "accuracy"


def test_columns_that_the_source_run_does_not_read_are_named():
    domain = table([0, 1] * 30, "ab")
    wider = Domain.from_arrays(domain.inputs.frame.assign(more=np.arange(60.0) ** 2), domain.labels)
    known = Source(
        "run:r", IdentityBody(2), TablePreparation().fit(domain.inputs), learnt=Learnt.of([domain.inputs], [])
    )
    asked = make_method("target-only"), Request(control=("none",))
    assert "The source run:r does not read columns of the target: 'more'." in make_plan([known], wider, *asked).notes
    assert "does not read" not in " ".join(make_plan([known], domain, *asked).notes)
