"""The method without its knowledge: the same settings but one, which is 0, and another network."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sterna import Domain, Source
from sterna.methods.method import make_method, method_class, method_ids

RULES = "IF a > 0 THEN no (0.9)\nIF a <= 0 THEN yes (0.9)"

ABLATED = [
    ("weight-fusion", {"alpha": 0.5, "epochs": 1}, "alpha"),
    ("knowledge-propagation", {"beta": 0.5, "epochs": 1}, "beta"),
    ("dan", {"epochs": 1}, "weight"),
    ("dann", {"epochs": 1}, "weight"),
    ("deep-coral", {"epochs": 1}, "weight"),
    ("example-mining", {"share": 0.5}, "share"),
    ("example-weighting", {"power": 1.0}, "power"),
    ("rule-penalty", {"rules": RULES, "epochs": 1}, "strength"),
]


def table(rows, seed, shift=0.0):
    x = np.random.default_rng(seed).normal(size=(rows, 2)) + shift
    return Domain.from_arrays(pd.DataFrame(x, columns=["a", "b"]), np.where(x[:, 0] > 0, "yes", "no"))


@pytest.fixture
def problem(source, digits, problem_of):
    """Makes the Problem that suits a method: digits with a source model, or a table with a source's rows."""

    def make(name):
        if name in ("weight-fusion", "knowledge-propagation"):
            return problem_of(source, digits(60))[0]
        return problem_of(Source("known", data=table(40, 0)), table(60, 1, shift=1.0), labels=20)[0]

    return make


def test_no_method_with_an_ablation_is_left_out():
    assert {name for name in method_ids() if make_method(name).ablated() is not None} == {name for name, *_ in ABLATED}


@pytest.mark.parametrize(("name", "settings", "term"), ABLATED)
def test_its_term_is_0_and_all_else_is_the_method(name, settings, term):
    method = make_method(name, settings)
    ablated = method.ablated()
    assert type(ablated) is method_class(name) and getattr(method, term) != 0
    assert ablated.model_dump() == {**method.model_dump(), term: 0.0}
    assert ablated == make_method(name, {**settings, term: 0.0})  # what users may ask for as well


@pytest.mark.parametrize(("name", "settings", "term"), ABLATED)
def test_it_runs_to_another_network_than_the_method(name, settings, term, problem, trainer, quickly):
    made = []
    asked = problem(name)
    for method in (make_method(name, settings), make_method(name, settings).ablated()):
        torch.manual_seed(0)
        made.append(quickly(method, asked, trainer()).network.state_dict())
    assert list(made[0]) == list(made[1])
    assert any(not torch.equal(value, made[1][key]) for key, value in made[0].items())


class Trained(Exception):
    """Stops a method where it would train, and keeps how."""


@pytest.mark.parametrize("name", ["weight-fusion", "knowledge-propagation", "rule-penalty"])
def test_scratch_is_trained_as_the_method_beside_it(name, problem, trainer, quickly, monkeypatch):
    def kept(self, objective, stream, groups, *, stage, epochs, average=False, patience=None, **more):
        labelled = stream.streams["target"] if hasattr(stream, "streams") else stream
        decay = sorted({group["weight_decay"] for group in groups})
        raise Trained(epochs, average, patience, decay, labelled._loader.dataset.augment)

    monkeypatch.setattr("sterna.training.trainer.Trainer.fit", kept)
    method, asked = make_method(name, {**dict(next(a[1] for a in ABLATED if a[0] == name)), "epochs": 7}), problem(name)
    found = []
    for each in (method, make_method("scratch", {"epochs": 3})):
        with pytest.raises(Trained) as stopped:
            quickly(each, replace(asked, recipe=method.recipe()), trainer())
        found.append(stopped.value.args)
    assert found[0] == found[1] and found[0][0] == 7
