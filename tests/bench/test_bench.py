"""What the bench chooses, by which labels, and what it makes of other methods."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from sterna.bench import Bench, Fitted
from sterna.errors import RunError
from sterna.record.choice import Choice
from sterna.selection.cross_validation import Trial


@pytest.fixture
def labelled(digits, problem_of):
    """Makes a Problem of 60 training rows and so many validation rows."""
    return lambda validation: problem_of(None, digits(200, splits=(60, validation)))[0]


def sure(problem, rows, wrong=0):
    """Outputs ``(rows, 10)`` that answer the validation rows right, but for the first few."""
    outputs = np.zeros((rows, 10))
    codes = problem.targets[problem.validation].copy()
    codes[:wrong] = (codes[:wrong] + 1) % 10
    outputs[np.arange(rows), codes] = 5.0
    return outputs


# -- choices ----------------------------------------------------------------------------------------


def test_among_equals_the_first_candidate_is_taken_and_said(bench_of, labelled):
    bench, losses = bench_of(labelled(30)), np.random.default_rng(0).random(50)
    near = losses + 0.01 * np.random.default_rng(1).normal(size=50)
    trials = {each: Trial(0.1, row) for each, row in (("far", losses + 1), ("near", near), ("best", losses))}
    assert bench.among("block", trials, 50) == ("near", Choice("block", "near", "cross-validation", 50, "target"))


def test_several_names_are_kept_as_a_list_and_the_labels_are_whose_they_are(bench_of, labelled):
    bench = bench_of(replace(labelled(30), labels_of="source"))
    found = bench.among("blocks", {("a", "last"): Trial(0.1, np.zeros(3))}, 3)
    assert found == (("a", "last"), Choice("blocks", ["a", "last"], "cross-validation", 3, "source"))


def test_few_validation_rows_choose_by_the_loss_and_many_by_the_metric(bench_of, labelled):
    """One answers more rows right, the other is less sure of what it has wrong."""
    for rows, expected in ((30, "doubtful"), (100, "right")):
        problem = labelled(rows)
        answers = {"right": 100 * sure(problem, rows, wrong=1), "doubtful": sure(problem, rows, wrong=2)}
        chosen = bench_of(problem).validated("network", list(answers), answers.__getitem__)
        assert chosen == Choice("network", expected, "validation", rows)


def test_of_candidates_that_are_as_good_the_first_is_taken(bench_of, labelled):
    problem = labelled(30)
    outputs = {0.75: sure(problem, 30, wrong=3), 0.5: sure(problem, 30), 0.25: sure(problem, 30)}
    assert bench_of(problem).validated("share", (0.75, 0.5, 0.25), outputs.__getitem__).value == 0.5


def test_a_candidate_whose_answers_are_not_finite_is_passed_over(bench_of, labelled):
    problem = labelled(30)
    outputs = {1.0: np.full((30, 10), np.nan), 0.0: sure(problem, 30, wrong=30)}
    assert bench_of(problem).validated("alpha", (1.0, 0.0), outputs.__getitem__).value == 0.0
    with pytest.raises(RunError):
        bench_of(problem).validator.score(outputs[1.0])


# -- other methods as parts -------------------------------------------------------------------------


@dataclass
class Part:
    """A method that notes the benches it is given, and returns as its network the rows it may train on."""

    settings: dict
    seen: list = field(default_factory=list)

    def __call__(self, method, settings):
        assert (method, settings) == ("fine-tuning", self.settings)
        return self

    def run(self, bench):
        self.seen.append(bench)
        bench.say(f"{len(bench.problem.train)} rows")
        return Fitted(bench.problem.train, (Choice("part", len(self.seen), "validation", 1),))


def test_few_validation_rows_are_learnt_from_as_well_beside_a_network_that_never_saw_them(labelled, trainer, tmp_path):
    problem, part = labelled(30), Part({"epochs": 3})
    coach = trainer(folder=tmp_path)
    fitted = Bench(problem, coach, part).component_apart("fine-tuning", epochs=3)
    np.testing.assert_array_equal(fitted.network, problem.joined().train)
    np.testing.assert_array_equal(fitted.held_out, problem.train)
    assert [len(bench.problem.validation) for bench in part.seen] == [0, 0]
    assert [bench.trainer.folder for bench in part.seen] == [tmp_path / "held-out", tmp_path]
    assert coach.log.messages == ["90 rows"] and fitted.choices[0].value == 2  # nothing is told of the other


def test_without_validation_rows_there_is_no_network_beside(labelled, trainer):
    problem, part = labelled(30), Part({})
    fitted = Bench(replace(problem, validation=problem.validation[:0]), trainer(), part).component_apart("fine-tuning")
    np.testing.assert_array_equal(fitted.network, problem.train)
    assert fitted.held_out is None and len(part.seen) == 1


def test_many_validation_rows_stay_apart(labelled, trainer):
    problem, part = labelled(100), Part({})
    bench = Bench(problem, trainer(), part)
    fitted = bench.component_apart("fine-tuning")
    assert fitted.network is problem.train and fitted.held_out is None and part.seen == [bench]
