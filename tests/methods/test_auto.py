"""auto: the best of what fits, by labels that it has not learnt from."""

import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import sterna
from sterna import Domain, RequestError, RunError, Source, transfer
from sterna.methods.by_labels import ByLabels
from sterna.methods.candidates import Candidate, candidates
from sterna.methods.method import make_method
from sterna.methods.tried import BEHIND, CHANCE, KNOWN, OVER, Tried
from sterna.methods.tried import FEW as FEW_ROWS
from sterna.selection import cross_validation
from sterna.training.fit import Fit
from sterna.training.search import LONG

FEW = ("domain-scaling", "prototypes")
"""Methods that take little time; the first learns from the source, the second from the target alone."""


def rows(seed, n, turned=False, name="rows"):
    """Two classes by the sign of a + b; in a turned source by that of a − b."""
    x = np.random.default_rng(seed).normal(size=(n, 2))
    labels = np.where(x @ [1, -1 if turned else 1] > 0, "up", "down")
    return Domain.from_arrays(pd.DataFrame(x, columns=["a", "b"]), labels, name=name)


def source(seed, turned=False, name="other"):
    return Source(name, data=rows(seed, 200, turned, name))


@pytest.fixture(scope="module")
def target():
    return rows(0, 160, name="target")


def board(record):
    return {(each.method, each.source): each for each in record.candidates}


def test_a_source_that_knows_is_taken_and_one_that_does_not_is_not(target):
    good, bad = source(1, name="good"), source(2, turned=True, name="bad")
    asked = {"method": "auto", "settings": {"methods": FEW[:1]}, "labels": 30, "seeds": 2}
    found = transfer([bad, good], target, control=("constant", "source-only"), **asked).evidence
    assert [each["source"] for each in found.chosen] == ["good", "good"]
    assert found.source.spec == "good" and "source" in found.selected_by
    tried = board(found)
    assert tried["domain-scaling", "good"].score > 0.8 and tried["domain-scaling", "bad"].chosen == 0
    assert found.scores["accuracy"].value > 0.8 and found.controls["source-only"]["accuracy"].value > 0.9


def test_where_no_source_helps_nothing_is_transferred_and_no_verdict_given(target):
    found = transfer(
        source(2, turned=True), target, method="auto", settings={"methods": ("domain-scaling", "target-only")},
        labels=60, seeds=1, control=("constant", "target-only"),
    ).evidence  # fmt: skip
    assert found.chosen[0]["method"] == "target-only" and found.scores["accuracy"].value > 0.8
    assert found.verdict == "no verdict" and found.left_out["target-only"] == "it is what auto chose"
    assert "nothing is transferred" in found.no_verdict


def test_held_out_answers_come_from_fits_that_have_not_seen_the_row(problem_of, bench_of):
    x = np.random.default_rng(0).normal(size=(60, 4))
    labels = np.random.default_rng(1).choice(["a", "b"], 60)
    problem, _ = problem_of(None, Domain.from_arrays(x, labels), labels=40)
    bench = bench_of(problem)
    tried = ByLabels(bench, 1e9)
    tried.best([Candidate(make_method("target-only"))])
    (only,) = tried.tried
    assert len(only.asked) == 40
    right = (only.outputs[only.asked].argmax(1) == problem.targets[only.asked]).mean()
    assert right < 0.75  # what is learnt by heart is of no use for rows that were held out
    for train, held in tried.parts():
        assert not set(train) & set(held)


@pytest.mark.parametrize(
    "method",
    ["pooled", "domain-scaling", "coral", "example-weighting", "example-mining", "prototypes", "task-nesting"],
)
def test_what_a_method_tells_it_has_not_learnt(problem_of, bench_of, monkeypatch, method):
    """Labels are coins and there are more columns than rows: a fit that has seen a row's label is right on it."""
    monkeypatch.setattr(cross_validation, "PENALTIES", (1e-4,))
    random = np.random.default_rng(1)

    def coins(n, name):
        x = pd.DataFrame(random.normal(size=(n, 400)), columns=[f"c{i}" for i in range(400)])
        return Domain.from_arrays(x, np.where(random.random(n) < 0.5, "up", "down"), name=name)

    problem, _ = problem_of(Source("known", data=coins(200, "known")), coins(160, "target"), labels=100)
    bench = bench_of(problem)
    fitted = Candidate(make_method(method), 0).fit(bench)
    rows = np.arange(len(problem.target))
    right = fitted.told.argmax(1) == problem.targets
    learnt = bench.outputs(fitted.network, rows=rows).argmax(1) == problem.targets
    assert not np.isnan(fitted.told).any() and 0.3 < right.mean() < 0.7
    assert learnt.mean() > 0.85 or method == "task-nesting"  # which takes the source alone


def test_the_best_of_several_learners_by_few_labels_tells_nothing(problem_of, bench_of, target):
    few, many = (problem_of(None, rows(0, n, name="target"), labels=n - 60)[0] for n in (160, 300))
    told = [Candidate(make_method("target-only"), None).fit(bench_of(problem)) for problem in (few, many)]
    assert [each.told_fair for each in told] == [False, True] and not np.isnan(told[1].told).any()


def test_the_first_of_candidates_that_are_as_good_is_taken(problem_of, bench_of, target):
    problem, _ = problem_of(source(1), target, labels=40)
    twice = [Candidate(make_method("prototypes"), 0), Candidate(make_method("prototypes"), 0)]
    for order in (twice, twice[::-1]):
        assert ByLabels(bench_of(problem), 1e9).best(order) is order[0]


def test_every_method_is_tried_once_where_it_needs_no_source(problem_of, target):
    problem, _ = problem_of(source(1), target, labels=40)
    both = replace(problem, sources=(*problem.sources, *problem_of(source(2), target, labels=40)[0].sources))
    names = [(each.method.id(), each.source) for each in candidates(both, ("target-only", "pooled"))]
    assert sorted(names, key=str) == [("pooled", 0), ("pooled", 1), ("target-only", None)]


def test_a_budget_that_is_over_leaves_the_rest_but_never_all(problem_of, bench_of, target):
    problem, _ = problem_of(source(1), target, labels=40)
    tried = ByLabels(bench_of(problem), 1e-9)
    chosen = tried.best(candidates(problem, FEW))
    assert chosen is tried.tried[0].candidate and not tried.tried[0].left
    assert [each.left for each in tried.tried[1:]] == [OVER]


@pytest.mark.parametrize(("seconds", "took", "tries"), [(1.0, 10.0, True), (1.0, 0.0, False), (20.0, 0.0, True)])
def test_the_usual_budget_is_at_least_what_the_first_took(
    problem_of, bench_of, target, monkeypatch, seconds, took, tries
):
    """The second begins five seconds after the first ended."""
    problem, _ = problem_of(source(1), target, labels=40)
    tried = ByLabels(bench_of(problem), seconds, at_least=True)
    known = candidates(problem, FEW)
    first = Tried(known[0], np.zeros((len(problem.target), 2)), took, time.monotonic() - 5.0, done=True)
    tried.tried = [first, Tried(known[1], np.full((len(problem.target), 2), np.nan))]
    tried._try()
    assert tried.tried[1].left == ("" if tries else OVER)


def test_what_would_train_for_longer_than_the_budget_is_left_and_not_tried_by_the_next_draw(
    target, monkeypatch, tmp_path
):
    whole = Fit._gradients
    steps = []
    monkeypatch.setattr(Fit, "_gradients", lambda *some: [steps.append(time.sleep(0.05)), whole(*some)][1])
    found = transfer(
        None, target, method="auto", settings={"methods": ("target-only", "scratch"), "budget": 5.0}, labels=60,
        seeds=2, control="none", epochs=1000,
    ).evidence  # fmt: skip
    scratch = next(each for each in found.candidates if each.method == "scratch")
    assert (scratch.left, scratch.chosen, scratch.draws) == (LONG, 0, 2) and len(steps) < 10
    (said,) = [note for note in found.messages if "Not tried" in note]
    assert "(budget= gives more): scratch (about " in said and int(said.split("about ")[1].split(" s")[0]) > 100


def test_what_is_behind_is_left(problem_of, bench_of):
    here = rows(0, 160, name="target")
    problem, _ = problem_of(source(1), here, labels=60)
    tried = ByLabels(bench_of(problem), 1e9)
    tried.best([Candidate(make_method("domain-scaling"), 0), Candidate(make_method("constant"))])
    assert tried.tried[1].left == BEHIND and 0 < len(tried.tried[1].asked) < 60


@pytest.fixture
def dear(monkeypatch):
    """Training on a table as if it took long."""
    monkeypatch.setattr(ByLabels, "_dear", lambda self, candidate: True)


@pytest.mark.parametrize("labels", [60, 128])
def test_what_trains_for_long_is_asked_for_validation_rows_alone_and_only_where_they_are_many(
    problem_of, bench_of, target, dear, labels
):
    problem = problem_of(None, target, labels=labels)[0]
    board = ByLabels(bench_of(problem), 1e9)
    best = board.best([Candidate(make_method(name), None) for name in ("target-only", "scratch")])
    first, second = board.tried
    left = FEW_ROWS if labels == 60 else ""
    assert (len(first.asked), first.part, first.left) == (labels, False, "")
    assert (set(second.asked), second.part) == (set() if left else set(problem.validation), True)
    assert second.left == left and (best is first.candidate or not left)
    line = second.line(problem, first.candidate)  # beside losses of all rows its own would be another measure
    assert (line["left"], second.line(problem, second.candidate)["left"]) == (left or CHANCE, left)


def test_what_trains_for_long_is_taken_where_it_is_better_than_by_chance(problem_of, bench_of, target, dear):
    problem = problem_of(None, target, labels=128)[0]
    board = ByLabels(bench_of(problem), 1e9)
    run = board._held_out
    right = np.where(np.arange(2) == problem.targets[:, None], 3.0, -3.0)

    def knows(each, parts):
        left = run(each, parts)
        if each.candidate.method.id() == "scratch":
            each.outputs[each.asked] = right[each.asked]
        return left

    board._held_out = knows
    best = board.best([Candidate(make_method(name), None) for name in ("target-only", "scratch")])
    assert best.method.id() == "scratch" and board.chosen().part


def test_training_on_a_table_takes_no_long(problem_of, bench_of, target):
    problem = problem_of(None, target, labels=60)[0]
    board = ByLabels(bench_of(problem), 1e9)
    board.best([Candidate(make_method(name), None) for name in ("target-only", "scratch")])
    assert not board.tried[1].part and (len(board.tried[1].asked) == 60 or board.tried[1].left == BEHIND)


def test_where_nothing_could_be_tried_the_reasons_are_said(problem_of, bench_of, target):
    problem, _ = problem_of(source(1), target, labels=40)
    bad = make_method("rule-head", {"rules": "IF nothing > 1 THEN up (0.9)"})
    with pytest.raises(RunError, match="none of what fits could be tried.*nothing"):
        ByLabels(bench_of(problem), 1e9).best([Candidate(bad, 0)])


def test_a_resumed_run_asks_nothing_twice(target, tmp_path, monkeypatch):
    asked = {"method": "auto", "settings": {"methods": FEW}, "labels": 30, "seeds": 1, "control": "none"}
    whole = transfer(source(1), target, **asked, out=tmp_path / "whole")
    fits = interrupts(monkeypatch, "prototypes", 1)
    with pytest.raises((KeyboardInterrupt, RunError)):
        transfer(source(1), target, **asked, out=tmp_path / "run")
    scaled = interrupts(monkeypatch, "domain-scaling", 0)
    again = transfer(source(1), target, **asked, out=tmp_path / "run", resume=True)
    assert again.evidence.chosen[0]["method"] == "domain-scaling"
    assert (len(fits), len(scaled)) == (2, 1)  # what it told is kept; it is fitted again to be the result alone
    assert again.scores["accuracy"] == whole.scores["accuracy"]
    assert [e.loss for e in again.evidence.candidates] == [e.loss for e in whole.evidence.candidates]


def test_no_source_and_no_labels_is_refused_before_anything_is_written(target, tmp_path):
    with pytest.raises(RequestError, match="auto needs labelled examples, or a source that already does this task"):
        transfer(None, target, method="auto", labels=0, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_sources_and_a_budget_are_for_auto(target):
    with pytest.raises(RequestError, match="2 sources were given, but pooled moves knowledge from one.*'auto'"):
        transfer([source(1), source(2)], target, method="pooled", labels=20)
    with pytest.raises(RequestError, match="budget=5 is what the method auto may spend.*target-only"):
        transfer(None, target, method="target-only", labels=20, budget=5)


def test_the_folder_holds_each_draws_candidates(target, tmp_path):
    found = transfer(
        source(1), target, method="auto", settings={"methods": FEW}, labels=30, seeds=2, control="none",
        out=tmp_path / "run",
    )  # fmt: skip
    table = pd.read_parquet(tmp_path / "run" / "candidates.parquet")
    assert len(table) == 4 and set(table.seed) == {0, 1} and table.groupby("seed").chosen.sum().tolist() == [1, 1]
    for each in found.evidence.candidates:
        mine = table[(table.method == each.method) & (table.left == "")]
        assert each.score is None if mine.empty else each.score == pytest.approx(mine.score.mean())
        assert mine.empty or json.loads(mine.settings.iloc[0]) == each.settings


def interrupts(monkeypatch, method, fit):
    """Ctrl-C in so many-th fit of a method."""
    kind, fits = type(make_method(method)), []
    run = kind.run

    def stops(self, bench):
        fits.append(len(bench.problem.train))
        if len(fits) == fit:
            raise KeyboardInterrupt
        return run(self, bench)

    monkeypatch.setattr(kind, "run", stops)
    return fits


def test_an_interrupt_ends_the_trying_with_the_best_so_far_where_asked(target, tmp_path, monkeypatch):
    asked = {"method": "auto", "settings": {"methods": FEW}, "labels": 30, "seeds": 2, "control": "none"}
    interrupts(monkeypatch, "prototypes", 1)  # the second method that is tried
    found = transfer(source(1), target, **asked, on_interrupt="best", out=tmp_path / "run").evidence
    assert [each["method"] for each in found.chosen] == ["domain-scaling"] * 2
    assert [(each.method, each.left) for each in found.candidates] == [
        ("domain-scaling", ""), ("prototypes", "the trying was ended"),
    ]  # fmt: skip
    said = "The trying was ended; domain-scaling was the best so far, and draws that follow take it."
    assert said in found.messages
    assert found.selected_by.startswith("cross-validation: 30 labelled target examples (method")
    assert found.scores["accuracy"].value > 0.8 and len(found.seeds) == 2


@pytest.mark.parametrize(("method", "asked"), [("prototypes", {}), ("domain-scaling", {"on_interrupt": "best"})])
def test_an_interrupt_stops_the_run_where_it_is_not_asked_or_nothing_is_tried_yet(target, monkeypatch, method, asked):
    interrupts(monkeypatch, method, 1)
    asked = {"method": "auto", "settings": {"methods": FEW}, "labels": 30, "seeds": 1, "control": "none", **asked}
    with pytest.raises((KeyboardInterrupt, RunError)):
        transfer(source(1), target, **asked)


def test_what_was_chosen_for_one_test_split_is_nothing_for_another(target, monkeypatch):
    """Its labels are tested there."""
    fits = interrupts(monkeypatch, "prototypes", 1)
    asked = {"method": "auto", "settings": {"methods": FEW}, "labels": 30, "seeds": 1, "control": "none"}
    found = transfer(source(1), target, **asked, test_repeats=2, on_interrupt="best").evidence
    assert len(fits) == 2 and len(found.chosen) == 2
    assert len([each for each in found.candidates if each.method == "prototypes"]) == 1


def test_a_run_goes_on_with_what_an_ended_search_chose(target, tmp_path, monkeypatch):
    interrupts(monkeypatch, "prototypes", 1)
    scaled = interrupts(monkeypatch, "domain-scaling", 3)  # tried, which is the result; in the second draw killed
    asked = {"method": "auto", "settings": {"methods": FEW}, "labels": 30, "seeds": 3, "control": "none"}
    with pytest.raises((KeyboardInterrupt, RunError)):
        transfer(source(1), target, **asked, on_interrupt="best", out=tmp_path / "run")
    before = len(scaled)
    found = transfer(source(1), target, **asked, resume=True, out=tmp_path / "run").evidence
    assert [each["method"] for each in found.chosen] == ["domain-scaling"] * 3
    assert (before, len(scaled)) == (3, 4)
    assert {each.left for each in found.candidates} == {"", "the trying was ended"}


def test_ending_a_search_is_for_what_searches(target):
    with pytest.raises(RequestError, match="on_interrupt='best' is for the method auto.*target-only"):
        transfer(None, target, method="target-only", labels=20, on_interrupt="best")
    with pytest.raises(RequestError, match="on_interrupt='stop'; expected resume or best"):
        transfer(None, target, method="auto", labels=20, on_interrupt="stop")


def test_a_source_that_learnt_these_labels_before_is_not_compared_by_them(target, tmp_path):
    """It would be right on each row that it knows by heart, and no better on others."""
    transfer(None, target, method="target-only", labels=60, seeds=1, control="none", out=tmp_path / "first")
    known = sterna.load_source(f"run:{tmp_path / 'first'}")
    asked = {"method": "auto", "settings": {"methods": ("source-only", "target-only")}, "seeds": 1, "control": "none"}
    found = transfer(known, target, labels=60, **asked).evidence
    assert found.chosen[0]["method"] == "target-only"
    assert board(found)["source-only", known.spec].left == KNOWN
    other = transfer(known, rows(7, 160, name="other"), labels=20, **asked).evidence
    assert board(other)["source-only", known.spec].left == ""
