"""Several networks as one: the mean of what they answer."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit, softmax

from sterna import Domain
from sterna.networks.committee import committee
from sterna.networks.network import Network
from sterna.networks.saved import load_network, save_network
from sterna.networks.small import small_body
from sterna.tasks import Classification, MultiLabel, Regression
from sterna.training.trainer import Trainer

WEIGHTS = (1.0, 2.0, 1.0)
PLACES = np.array([0.25, 0.5, 0.25])[:, None, None]


@pytest.fixture(scope="module")
def inputs():
    return Domain.from_arrays(pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), columns=list("abcd"))).inputs


def members(task, inputs):
    found = []
    for seed in range(3):
        body, preparation = small_body(inputs, seed=seed)
        found.append(Network(preparation, body, task.head(body.width), task=task).eval())
    return found


TASKS = [
    (Classification(("a", "b", "c")), lambda found: softmax(found, axis=2), np.log),
    (MultiLabel(("a", "b")), expit, logit),
    (Regression().fitted(np.array([100.0, 200.0, 240.0])), np.array, np.array),
]


@pytest.mark.parametrize(("task", "likely", "back"), TASKS, ids=[task.id for task, *_ in TASKS])
def test_the_answer_is_the_mean_of_the_answers_also_once_saved(task, likely, back, inputs, tmp_path):
    several, trainer = members(task, inputs), Trainer()
    each = likely(np.stack([trainer.outputs(network, inputs) for network in several]))
    together = committee(several, WEIGHTS, task)
    found = trainer.outputs(together, inputs)
    assert found == pytest.approx(back((PLACES * each).sum(0)), rel=1e-4, abs=1e-4)
    assert not any(p.requires_grad for p in together.parameters())
    save_network(together, tmp_path / "network")
    assert trainer.outputs(load_network(tmp_path / "network"), inputs) == pytest.approx(found, abs=1e-6)


def test_one_alone_is_itself(inputs):
    (one, *_) = members(TASKS[0][0], inputs)
    assert committee([one], [0.3], TASKS[0][0]) is one


def test_no_answer_is_infinite_where_a_member_is_sure(inputs):
    """A probability of zero of one member leaves what the others say."""
    task = TASKS[0][0]
    several = members(task, inputs)
    with torch.no_grad():
        several[0].head.bias.copy_(torch.tensor([1e4, 0.0, 0.0]))
    found = Trainer().outputs(committee(several[:2], [1.0, 1.0], task), inputs)
    assert np.isfinite(found).all() and softmax(found, axis=1)[:, 0].min() > 0.5
