"""domain-scaling, against scikit-learn's scalers and logistic regression."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sterna import Domain, RequestError, Source, load_domain, transfer
from sterna.domains.splits import Splits
from sterna.experiment.problem import make_problem, widened
from sterna.methods.controls.source_only import SourceOnly
from sterna.methods.features.domain_scaling import DomainScaling
from sterna.networks import load_network, save_network
from sterna.preparations.table import TablePreparation
from sterna.tasks import infer_task
from sterna.training.linear import standardised


def table(rows, seed, shift=0.0, factor=1.0, order=None):
    """Two classes told by a line through four columns, whose units drift."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4))
    labels = np.where(x @ [2.0, -1.0, 0.5, 0.0] + random.normal(0, 0.3, rows) > 0, "yes", "no")
    frame = pd.DataFrame(x * factor + shift, columns=list("abcd"))
    order = np.arange(rows) if order is None else order
    return Domain.from_arrays(frame.iloc[order].reset_index(drop=True), labels[order], name=f"table {seed}")


DRIFT = {"shift": np.array([5.0, -3.0, 100.0, 0.0]), "factor": np.array([1.0, 4.0, 0.2, 10.0])}
ALL_UNLABELLED = Splits(*[np.arange(0)] * 3, np.arange(150))


@pytest.fixture
def drifted():
    return Source("old", data=table(200, 1)), table(150, 2, **DRIFT)


def test_it_is_a_logistic_regression_between_two_scalers(drifted, problem_of, trainer):
    source, target = drifted
    problem, _ = problem_of(source, target, labels=0)
    coach = trainer()
    network = DomainScaling().fit(problem, coach).network
    preparation = TablePreparation().fit(source.data.inputs)
    x_s, x_t = (np.asarray(preparation.items(each), float) for each in (source.data.inputs, problem.target_inputs()))
    by_hand = LogisticRegression(C=2 / (200 * coach.log.chosen["penalty"]), max_iter=1000, tol=1e-8)
    by_hand.fit(StandardScaler().fit_transform(x_s), problem.known.targets)
    found = problem.task.probabilities(trainer().outputs(network, problem.target_inputs()))
    np.testing.assert_allclose(found, by_hand.predict_proba(StandardScaler().fit_transform(x_t)), atol=1e-4)


def test_a_drift_of_every_column_changes_no_answer(problem_of, trainer):
    source, answers = Source("old", data=table(200, 1)), []
    for drift in ({}, DRIFT):
        problem, _ = problem_of(source, table(150, 2, **drift), splits=ALL_UNLABELLED)
        answers.append(trainer().outputs(DomainScaling().fit(problem, trainer()).network, problem.target_inputs()))
    np.testing.assert_allclose(answers[0], answers[1], atol=2e-3)
    plain = trainer().outputs(SourceOnly().fit(problem, trainer()).network, problem.target_inputs())
    assert (plain.argmax(1) == answers[0].argmax(1)).mean() < 0.8  # the source as it is does not stand it


def test_labelled_target_rows_join_the_fit(drifted, problem_of, trainer):
    source, target = drifted
    upside_down = Domain.from_arrays(target.inputs.frame, np.where(target.labels == "yes", "no", "yes"))
    problem, _ = problem_of(source, upside_down, labels=60)
    assert len(problem.unlabelled)  # which come first among the target's rows
    coach = trainer()
    network = DomainScaling().fit(problem, coach).network
    assert coach.log.choices[0].of == "source and target"
    rows = problem.train
    own, _, _ = standardised(np.asarray(TablePreparation().fit(source.data.inputs).items(problem.target_inputs())))
    theirs = StandardScaler().fit_transform(TablePreparation().fit(source.data.inputs).items(source.data.inputs))
    both = np.concatenate([own[-len(rows) :], theirs])
    by_hand = LogisticRegression(C=2 / (len(both) * coach.log.chosen["penalty"]), max_iter=1000, tol=1e-8)
    by_hand.fit(both, np.concatenate([problem.targets[rows], problem.known.targets]))
    found = problem.task.probabilities(trainer().outputs(network, problem.inputs, rows))
    np.testing.assert_allclose(found, by_hand.predict_proba(own[-len(rows) :]), atol=2e-3)


def test_the_order_of_source_rows_changes_rounding_only(problem_of, trainer):
    order, answers = np.random.default_rng(0).permutation(200), []
    for each in (None, order):
        problem, _ = problem_of(Source("old", data=table(200, 1, order=each)), table(100, 2, **DRIFT), labels=0)
        # the folds of the choice of the penalty follow the order, so the fit is compared at the penalty chosen once
        coach = trainer()
        network = DomainScaling().fit(problem, coach).network
        answers.append((coach.log.chosen["penalty"], trainer().outputs(network, problem.target_inputs())))
    if answers[0][0] == answers[1][0]:
        np.testing.assert_allclose(answers[0][1], answers[1][1], atol=1e-3)
    assert (answers[0][1].argmax(1) == answers[1][1].argmax(1)).mean() >= 0.98


def test_it_survives_saving_and_predicts_on_new_rows(drifted, problem_of, trainer, tmp_path):
    problem, _ = problem_of(*drifted, labels=0)
    network = DomainScaling().fit(problem, trainer()).network
    save_network(network, tmp_path / "network")
    again, new = load_network(tmp_path / "network"), table(40, 3, **DRIFT)
    outputs = trainer().outputs(network, new.inputs)
    np.testing.assert_array_equal(trainer().outputs(again, new.inputs), outputs)
    assert (outputs.argmax(1) == problem.task.encode(new.labels)).mean() > 0.85


def test_no_target_label_is_used_and_the_result_says_so(drifted):
    source, target = drifted
    result = transfer(source, target, method="domain-scaling", labels=0, control="source-only", seeds=1)
    assert result.selected_by.startswith("without target labels; cross-validation: 200 labelled source examples")
    assert result.gain.verdict == "helps"


def test_sensors_that_drifted(shared_data, problem_of, trainer):
    """Batches 1 and 5 of the gas sensors: .35 as they are, .75 standardised each by itself (all rows seen)."""
    file = shared_data / "tab_gas_sensor_drift.npz"
    old, new = (load_domain(file, domain_column="batch", domain=each) for each in ("1", "5"))
    known = Source("batch 1", data=old)
    every, none = np.arange(len(new)), np.arange(0)
    task = widened(infer_task(new), [known])  # toluene is absent from batch 5
    problem = make_problem([known], new, task, Splits(none, none, none, every), "none", 0)
    scores = {}
    for method in (DomainScaling(), SourceOnly()):
        outputs = trainer().outputs(method.fit(problem, trainer()).network, new.inputs)
        scores[method.id()] = (outputs.argmax(1) == task.encode(new.labels)).mean()
    assert scores["domain-scaling"] > 0.7 and scores["source-only"] < 0.45


def test_what_is_missing_is_named(drifted):
    with pytest.raises(RequestError, match="domain-scaling needs labelled source data"):
        transfer(None, drifted[1], method="domain-scaling", labels=0, seeds=1)
