"""The source's own network, in the target's terms."""

from dataclasses import replace

import numpy as np
import torch

from sterna.bench.source_answers import answers, in_terms_of, network_of
from sterna.tasks import Classification, Regression


def answering(source, task):
    torch.manual_seed(0)
    return replace(source, head=task.head(source.body.width), task=task)


def test_a_head_answers_where_it_knows_every_class(source):
    known = answering(source, Classification(("cat", "dog", "tern")))
    assert answers(known, Classification(("tern", "cat")))
    assert not answers(known, Classification(("tern", "gull")))
    assert not answers(known, Regression()) and answers(answering(source, Regression()), Regression())
    assert not answers(source, Classification(("cat", "dog"))) and not answers(None, Regression())


def test_its_answers_come_in_the_targets_order_and_nothing_of_it_is_the_users(source, digits, trainer, weights_of):
    known, task = answering(source, Classification(("cat", "dog", "tern"))), Classification(("tern", "cat"))
    inputs = digits(20).inputs
    every = trainer().outputs(network_of(known, inputs), inputs)
    network = in_terms_of(task, network_of(known, inputs))
    assert network.task is task
    np.testing.assert_allclose(trainer().outputs(network, inputs), every[:, [2, 0]], atol=1e-6)
    before = weights_of(known.head), weights_of(known.body)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    for part, weights in zip((known.head, known.body), before, strict=True):
        assert all(torch.equal(value, weights[name]) for name, value in part.state_dict().items())
