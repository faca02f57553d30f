"""feature-mapping, against scikit-learn's ridge regression; tables without a common column."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch import nn

from sterna import Domain, RequestError, Source, load_domain, transfer
from sterna.methods.features.feature_mapping import (
    FeatureMapping,
    choose_by_head,
    class_means,
    map_between,
    source_network,
)
from sterna.networks import load_network, save_network
from sterna.preparations.table import TablePreparation
from sterna.selection.cross_validation import PENALTIES, folds_of
from sterna.tasks import Classification

CLASSES = ("blue", "green", "red")


def flowers(rows, seed, names, noise=0.6):
    """Three classes in as many columns as there are names, in other directions for each set of names."""
    centres = np.random.default_rng(len(names)).normal(0, 1.5, (3, len(names)))
    random = np.random.default_rng(seed)
    codes = np.arange(rows) % 3
    x = centres[codes] + random.normal(0, noise, (rows, len(names)))
    return Domain.from_arrays(pd.DataFrame(x, columns=list(names)), np.array(CLASSES)[codes])


@pytest.fixture
def pair():
    return Source("old", data=flowers(150, 1, "abcd")), flowers(120, 2, "pqrstu")


# -- mathematics ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 6), (10, 25)])
def test_the_map_is_ridge_regression_on_standardised_features(shape):
    random = np.random.default_rng(0)
    x, goals, weights = random.normal(4, 3, shape), random.normal(size=(shape[0], 5)), random.uniform(0.5, 2, shape[0])
    layer = map_between(x, goals, weights, penalty=0.3)
    z = StandardScaler().fit_transform(x)
    by_hand = Ridge(alpha=0.3 * weights.sum()).fit(z, goals, sample_weight=weights)
    with torch.inference_mode():
        found = layer(torch.as_tensor(x, dtype=torch.float32))
    np.testing.assert_allclose(found, by_hand.predict(z), atol=1e-4)


def test_pairs_of_rows_give_the_map_back():
    random = np.random.default_rng(1)
    x, weight = random.normal(size=(60, 4)), random.normal(size=(7, 4))
    layer = map_between(x, x @ weight.T + 2.0, penalty=1e-10)
    np.testing.assert_allclose(layer.weight.detach(), weight, atol=1e-5)
    np.testing.assert_allclose(layer.bias.detach(), 2.0, atol=1e-5)


def test_class_means():
    x, codes = np.arange(12.0).reshape(6, 2), np.array([0, 2, 0, 2, 2, 0])
    found = class_means(x, codes, 3, np.ones(6))
    np.testing.assert_allclose(found[[0, 2]], [x[codes == 0].mean(0), x[codes == 2].mean(0)])
    assert np.isnan(found[1]).all()
    found = class_means(x, codes, 3, np.array([3.0, 0, 1, 0, 0, 0]))
    np.testing.assert_allclose(found[0], 0.75 * x[0] + 0.25 * x[2])
    assert np.isnan(found[1:]).all()


def test_the_penalty_is_that_with_the_least_held_out_loss_of_the_source_s_head():
    random = np.random.default_rng(2)
    task, targets = Classification(CLASSES), np.arange(30) % 3
    points = random.normal(size=(3, 4))
    x = random.normal(size=(30, 8)) + np.eye(3, 8)[targets]
    torch.manual_seed(0)
    head = nn.Linear(4, 3)
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(3 * points))
    losses, z = np.zeros(len(PENALTIES)), StandardScaler().fit_transform(x)
    for train, held in folds_of(targets, task, 5, 0):
        for i, penalty in enumerate(PENALTIES):
            mapped = Ridge(alpha=penalty * len(train)).fit(z[train], points[targets[train]]).predict(z[held])
            with torch.inference_mode():
                outputs = head(torch.as_tensor(mapped, dtype=torch.float32))
            losses[i] += float(nn.functional.cross_entropy(outputs, torch.as_tensor(targets[held]), reduction="sum"))
    found = choose_by_head(x, points, targets, np.ones(30), head, task, seed=0)
    assert found == PENALTIES[int(losses.argmin())]


# -- the method -------------------------------------------------------------------------------------


def test_the_network_is_target_columns_a_map_and_the_source_s_head(pair, problem_of, bench_of, trainer, tmp_path):
    source, target = pair
    problem, _ = problem_of(source, target, labels=30)
    coach = trainer()
    network = FeatureMapping(penalty=0.1).fit(problem, coach).network
    theirs = source_network(bench_of(problem)).network
    assert isinstance(network.map, nn.Linear) and network.map.in_features == 6 and network.map.out_features == 4
    for name, value in theirs.head.state_dict().items():
        assert torch.equal(network.head.state_dict()[name], value)
    rows = problem.train
    x = np.asarray(TablePreparation().fit(problem.inputs.take(rows)).items(problem.inputs), float)
    features = np.asarray(TablePreparation().fit(source.data.inputs).items(source.data.inputs), float)
    goals = class_means(features, problem.known.targets, 3, problem.known.weights)[problem.targets[rows]]
    scale = StandardScaler().fit(x[rows])
    by_hand = Ridge(alpha=0.1 * len(rows)).fit(scale.transform(x[rows]), goals)
    with torch.inference_mode():
        mapped = torch.as_tensor(by_hand.predict(scale.transform(x)), dtype=torch.float32)
        np.testing.assert_allclose(trainer().outputs(network, problem.inputs), theirs.head(mapped), atol=1e-3)
    assert [(choice.of, choice.what) for choice in coach.log.choices] == [("source", "penalty")]
    save_network(network, tmp_path / "network")
    again, new = load_network(tmp_path / "network"), flowers(30, 3, "pqrstu")
    np.testing.assert_array_equal(trainer().outputs(again, new.inputs), trainer().outputs(network, new.inputs))


def test_columns_of_another_table_are_answered(pair):
    source, target = pair
    result = transfer(source, target, method="feature-mapping", labels=30, control="none", seeds=1)
    assert result.scores["accuracy"].value > 0.85
    assert "30 labelled target examples (map penalty)" in result.selected_by
    assert "150 labelled source examples (penalty)" in result.selected_by


def test_the_order_of_source_rows_changes_rounding_only(problem_of, trainer):
    domain, answers = flowers(150, 1, "abcd"), []
    for order in (np.arange(150), np.random.default_rng(0).permutation(150)):
        problem, _ = problem_of(Source("old", data=domain.take(order)), flowers(120, 2, "pqrstu"), labels=30)
        network = FeatureMapping(penalty=0.1).fit(problem, trainer()).network
        answers.append(trainer().outputs(network, problem.target_inputs()))
    assert (answers[0].argmax(1) == answers[1].argmax(1)).all()


def test_a_source_that_answers_the_task_is_used_as_it_is(source, digits, problem_of, trainer):
    """The head of the source's model, over a table: its classes are in another order."""
    from dataclasses import replace

    order = tuple(str(i) for i in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7))
    torch.manual_seed(0)
    head = nn.Linear(source.body.width, 10)
    known = replace(source, head=head, task=Classification(order), data=digits(200))
    x = np.random.default_rng(0).normal(size=(200, 5)) + 2 * np.arange(200)[:, None] % 10
    target = Domain.from_arrays(x, [str(i % 10) for i in range(200)])
    problem, _ = problem_of(known, target)
    network = FeatureMapping(penalty=0.1).fit(problem, trainer()).network
    assert all(p.requires_grad for p in head.parameters())
    fitted = {name for name, p in network.named_parameters() if p.requires_grad}
    assert fitted == {"map.weight", "map.bias"}  # the source's model is as it was
    with torch.inference_mode():
        mapped = network.features(torch.as_tensor(np.stack(network.preparation.items(target.inputs))))
        raw = head(mapped).numpy()
    found = trainer().outputs(network, target.inputs)
    for column, name in enumerate(problem.task.classes):
        np.testing.assert_allclose(found[:, column], raw[:, order.index(name)], atol=1e-4)


def test_images_of_another_size_go_through_the_source_s_body(source, digits, problem_of, trainer):
    problem, _ = problem_of(source.with_data(digits(200)), digits(300), labels=60)
    network = FeatureMapping().fit(problem, trainer()).network
    assert network.map.in_features == network.map.out_features == network.body.width > source.body.width


def test_a_class_that_the_source_lacks_is_left_to_the_others(problem_of, trainer):
    known = flowers(150, 1, "abcd")
    two = Source("old", data=known.take(np.flatnonzero(known.labels != "red")))
    problem, _ = problem_of(two, flowers(120, 2, "pqrstu"), labels=30)
    outputs = trainer().outputs(FeatureMapping().fit(problem, trainer()).network, problem.inputs)
    assert np.isfinite(outputs).all() and (outputs.argmax(1) != problem.task.classes.index("red")).mean() > 0.9


def test_credit_in_taiwan_and_in_germany(shared_data):
    german = load_domain(shared_data / "tab_credit_german.csv.gz", label="bad_credit")
    taiwan = load_domain(shared_data / "tab_credit_taiwan.csv.gz", label="default_next_month")
    source = Source("taiwan", data=taiwan.take(np.arange(1500)))
    result = transfer(source, german, method="feature-mapping", labels=100, control="none", metric="auroc", seeds=1)
    assert result.scores["auroc"].value > 0.7


def test_numbers_and_too_few_classes_are_refused(problem_of, trainer):
    random = np.random.default_rng(0)
    numbers = [Domain.from_arrays(random.normal(size=(40, d)), random.normal(size=40)) for d in (3, 4)]
    with pytest.raises(RequestError, match="but the task is regression"):
        transfer(Source("old", data=numbers[0]), numbers[1], method="feature-mapping", task="regression", seeds=1)
    problem, _ = problem_of(Source("old", data=flowers(90, 1, "abcd")), flowers(60, 2, "pqrstu"))
    from dataclasses import replace

    one = replace(problem, train=problem.train[problem.targets[problem.train] == 0])
    with pytest.raises(RequestError, match="of two classes or more that the source's data have"):
        FeatureMapping().fit(one, trainer())
