"""rule-penalty: the network pays for answers that depart from the rules."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sterna import Domain
from sterna.methods.method import make_method
from sterna.methods.rules.rule_penalty import Penalised, departure
from sterna.networks import Network, load_network, save_network, small_body
from sterna.sources import Source
from sterna.tasks import Classification, Regression
from sterna.training.batches import Batch, Batches

TASK = Classification(("a", "b", "c"))


def people(rows, seed, noise=0.0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    y = np.where(x[:, 0] + x[:, 1] > 0, "ill", "well")
    wrong = random.random(rows) < noise
    y = np.where(wrong, np.where(y == "ill", "well", "ill"), y)
    return Domain.from_arrays(pd.DataFrame(x, columns=["age", "pressure", "sugar"]), list(y), name="people")


def test_the_departure_and_its_gradient_by_hand():
    random = np.random.default_rng(0)
    logits, said = random.normal(size=(5, 3)), random.dirichlet(np.ones(3), 5)
    outputs = torch.tensor(logits, requires_grad=True)
    value = departure(outputs, torch.tensor(said), None, TASK)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(value.item(), (said * np.log(said / p)).sum(1).mean())
    value.backward()
    np.testing.assert_allclose(outputs.grad.numpy(), (p - said) / 5, atol=1e-12)


def test_a_vote_of_certainty_is_cross_entropy_and_agreement_costs_nothing():
    outputs = torch.tensor([[0.3, -1.0, 2.0]])
    certain = departure(outputs, torch.tensor([[0.0, 0.0, 1.0]]), None, TASK)
    torch.testing.assert_close(certain, nn.functional.cross_entropy(outputs, torch.tensor([2])))
    assert departure(outputs, outputs.softmax(1), None, TASK).abs() < 1e-6


def test_numbers_depart_by_their_weighted_squared_distance():
    outputs = torch.tensor([[1.0], [3.0]], requires_grad=True)
    value = departure(outputs, torch.tensor([[0.0], [1.0]]), torch.tensor([0.5, 1.0]), Regression())
    assert value.item() == pytest.approx((0.5 * 1 + 4) / 1.5)
    value.backward()
    np.testing.assert_allclose(outputs.grad.numpy()[:, 0], [2 * 0.5 / 1.5, 2 * 2 / 1.5], rtol=1e-6)


def test_the_objective_is_the_task_s_loss_and_the_strength_times_the_departure():
    domain = people(8, 0)
    body, preparation = small_body(domain.inputs, seed=0)
    task = Classification(("ill", "well"))
    network = Network(preparation, body, nn.Linear(body.width, 2), task=task).eval()
    x = preparation.collate(preparation.items(domain.inputs))
    targets, said = torch.tensor(task.encode(domain.labels)), torch.full((8, 2), 0.5)
    of = {"target": Batch(x, targets, None, torch.arange(8)), "rules": Batch(x, said, torch.ones(8), torch.arange(8))}
    terms = Penalised(network, task, 3.0)(Batches(of))
    torch.testing.assert_close(terms["task"], nn.functional.cross_entropy(network(x), targets))
    torch.testing.assert_close(terms["rules"], 3 * departure(network(x), said, None, task))
    assert set(Penalised(network, task, 3.0)(Batches({"target": of["target"]}))) == {"task"}


def test_good_rules_help_a_few_wrong_labels_and_strength_decides(problem_of, trainer, tmp_path):
    domain, test = people(200, 0, noise=0.25), people(300, 1)
    problem, _ = problem_of(None, domain, labels=24)
    problem = problem.joined()
    rules = (
        "IF age > 0 AND pressure > 0 THEN ill (0.95)\nIF age < 0 AND pressure < 0 THEN well (0.95)\n"
        "IF age > 1 THEN ill (0.9)\nIF age < -1 THEN well (0.9)"
    )
    right = {}
    for strength in (0.0, 5.0):
        run = trainer()
        settings = {"rules": rules, "strength": strength}
        network = make_method("rule-penalty", settings).fit(problem, run).network
        outputs = run.outputs(network, test.inputs)
        right[strength] = (problem.task.answers(outputs) == test.labels).mean()
    assert right[5.0] > max(right[0.0], 0.8)
    assert {"task", "rules"} <= set(run.log.history[0])
    assert run.log.messages[0].startswith("Rules fire on ")
    save_network(network, tmp_path / "n")
    np.testing.assert_array_equal(run.outputs(load_network(tmp_path / "n"), test.inputs), outputs)


def test_labels_may_overrule_wrong_rules(problem_of, trainer):
    domain = people(200, 0)
    problem, splits = problem_of(None, domain)
    wrong = "IF age > 0 AND pressure > 0 THEN well (0.7)\nIF age < 0 AND pressure < 0 THEN ill (0.7)"
    test = domain.take(splits.test)
    answers = {}
    for method, settings in (("rule-head", {}), ("rule-penalty", {"strength": 0.2})):
        network = make_method(method, {"rules": wrong, **settings}).fit(problem, trainer()).network
        outputs = trainer().outputs(network, test.inputs)
        answers[method] = (problem.task.answers(outputs) == test.labels).mean()
    assert answers["rule-head"] < 0.5 < 0.8 < answers["rule-penalty"]


def test_rules_that_never_fire_change_nothing(problem_of, trainer):
    problem, _ = problem_of(None, people(60, 0), labels=20)
    found = []
    for strength in (0.0, 50.0):
        run = trainer(epochs=2)
        torch.manual_seed(0)
        settings = {"rules": "IF age > 99 THEN ill (0.9)", "strength": strength}
        network = make_method("rule-penalty", settings).fit(problem, run).network
        found.append(run.outputs(network, problem.inputs))
        assert "No rule fires on any" in run.log.messages[0]
    np.testing.assert_array_equal(*found)


def test_a_source_s_body_is_not_changed(problem_of, trainer, weights_of):
    domain = people(80, 0)
    body, preparation = small_body(domain.inputs, seed=3)
    source = Source("model", body, preparation)
    before = weights_of(body)
    problem, _ = problem_of(source, domain, labels=16)
    network = (
        make_method("rule-penalty", {"rules": "IF age > 0 THEN ill (0.8)"}).fit(problem, trainer(epochs=1)).network
    )
    for name, tensor in weights_of(body).items():
        assert torch.equal(tensor, before[name])
    assert any(not torch.equal(t, before[n]) for n, t in weights_of(network.body).items())
