"""One prediction for every row."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, Source, transfer
from sterna.methods.controls.constant import Constant
from sterna.networks.saved import load_network, save_network


def table(labels, seed=0):
    random = np.random.default_rng(seed)
    return Domain.from_arrays(pd.DataFrame(random.normal(size=(len(labels), 2)), columns=["u", "v"]), labels)


@pytest.mark.parametrize("kind", ["table", "text", "images"])
def test_it_gives_the_shares_of_the_classes(problem_of, trainer, tmp_path, kind):
    labels = np.array(["a"] * 60 + ["b"] * 20, dtype=object)
    rows = {
        "table": table(labels).inputs,
        "text": [f"word {i}" for i in range(80)],
        "images": np.random.default_rng(0).random((80, 8, 8)).astype(np.float32),
    }[kind]
    problem, _ = problem_of(None, Domain.from_arrays(getattr(rows, "frame", rows), labels))
    network = Constant().fit(problem.joined(), trainer()).network
    found = problem.task.probabilities(trainer().outputs(network, problem.inputs))
    share = np.bincount(problem.targets.astype(int)) / len(problem.targets)
    np.testing.assert_allclose(found, np.tile(share, (len(found), 1)), atol=1e-5)
    save_network(network, tmp_path / "n")
    again = load_network(tmp_path / "n")
    np.testing.assert_array_equal(trainer().outputs(again, problem.inputs), trainer().outputs(network, problem.inputs))


def test_weighted_classes_are_as_probable_as_each_other(problem_of, trainer):
    problem, _ = problem_of(None, table(np.array(["a"] * 60 + ["b"] * 20, dtype=object)), balance="weights")
    outputs = trainer().outputs(Constant().fit(problem.joined(), trainer()).network, problem.inputs)
    np.testing.assert_allclose(problem.task.probabilities(outputs), 0.5, atol=1e-5)


def test_it_gives_the_mean_of_a_number_and_how_often_each_label_applies(problem_of, trainer):
    numbers = np.random.default_rng(1).normal(50, 9, 80)
    problem, splits = problem_of(None, table(numbers))
    outputs = trainer().outputs(Constant().fit(problem.joined(), trainer()).network, problem.inputs)
    np.testing.assert_allclose(outputs, numbers[np.r_[splits.train, splits.validation]].mean(), rtol=1e-4)
    several = (np.random.default_rng(2).random((80, 2)) < [0.7, 0.2]).astype(float)
    problem, splits = problem_of(None, table(several))
    outputs = trainer().outputs(Constant().fit(problem.joined(), trainer()).network, problem.inputs)
    share = several[np.r_[splits.train, splits.validation]].mean(0)
    np.testing.assert_allclose(problem.task.probabilities(outputs)[0], share, atol=1e-4)


def test_every_run_stands_beside_it_and_without_target_labels_the_sources_shares_are_taken():
    labels = np.array(["a", "b"] * 40, dtype=object)
    result = transfer(None, table(labels), method="target-only", control="auto", seeds=1, epochs=1)
    assert result.controls["constant"]["balanced_accuracy"].value == 0.5
    known = Source("known", data=table(np.array(["a"] * 30 + ["b"] * 10, dtype=object), 1))
    result = transfer(known, table(labels, 2), method="source-only", labels=0, balance="none", seeds=1)
    shares = -np.mean([np.log(0.75), np.log(0.25)])
    assert result.controls["constant"]["log_loss"].value == pytest.approx(shares, abs=1e-4)
