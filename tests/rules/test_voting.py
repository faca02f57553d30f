"""The vote of rules, worked out by hand."""

import numpy as np
import pytest
import torch

from sterna import RequestError
from sterna.networks.rule_vote import RuleVote
from sterna.rules import parse_rules
from sterna.rules.voting import log_odds, votes_of
from sterna.tasks import Classification, MultiLabel, Regression

TWO = Classification(("no", "yes"))
THREE = Classification(("a", "b", "c"))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


@pytest.mark.parametrize(("task", "sure"), [(TWO, 0.8), (TWO, 0.3), (THREE, 0.8)])
def test_one_rule_gives_back_its_confidence_and_the_others_share_the_rest(task, sure):
    answer = task.classes[1]
    votes = votes_of(parse_rules(f"IF x > 0 THEN {answer} ({sure})"), task)
    found = softmax(votes.outputs(np.array([[True]])))[0]
    rest = (1 - sure) / (len(task.classes) - 1)
    np.testing.assert_allclose(found, [sure if name == answer else rest for name in task.classes])


def test_a_vote_by_hand():
    rules = parse_rules("IF x > 0 THEN yes (0.9)\nIF y > 0 THEN no (0.8)\nIF z > 0 THEN no (0.75)\nOTHERWISE no (0.6)")
    votes = votes_of(rules, TWO)
    fired = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]], dtype=bool)
    odds = [9 / 4, 9 / (4 * 3), 4 / 6, 9]  # of yes against no: products of c / (1 - c)
    np.testing.assert_allclose(softmax(votes.outputs(fired))[:, 1], [o / (1 + o) for o in odds])
    assert TWO.answers(votes.outputs(fired)).tolist() == ["yes", "no", "no", "yes"]


def test_where_no_rule_fires_the_prior_speaks_unless_the_rules_say_otherwise():
    prior, none = np.log([0.2, 0.8]), np.zeros((1, 1), dtype=bool)
    alone = votes_of(parse_rules("IF x > 0 THEN yes (0.9)"), TWO, prior)
    np.testing.assert_allclose(softmax(alone.outputs(none))[0], [0.2, 0.8])
    both = votes_of(parse_rules("IF x > 0 THEN yes (0.9)\nOTHERWISE no (0.7)"), TWO, prior)
    np.testing.assert_allclose(softmax(both.outputs(none))[0], [0.7, 0.3])
    np.testing.assert_allclose(votes_of(parse_rules("OTHERWISE b (0.5)"), THREE).outputs(np.zeros((2, 0))).argmax(1), 1)


@pytest.mark.parametrize(("task", "even"), [(TWO, 0.5), (THREE, 1 / 3)])
def test_a_tie_goes_to_a_class_that_a_rule_names_and_weighs_nothing_else(task, even):
    last = task.classes[-1]
    rules = parse_rules(f"IF x > 0 THEN {last} ({even!r})\nOTHERWISE {last} ({even!r})")
    outputs = votes_of(rules, task).outputs(np.array([[True], [False]]))
    assert task.answers(outputs).tolist() == [last, last]
    np.testing.assert_allclose(softmax(outputs), 1 / len(task.classes), atol=1e-6)
    rules = parse_rules(
        f"IF x > 0 THEN {last} ({even!r})\n" * 50 + f"IF x > 0 THEN {task.classes[0]} ({even + 1e-3!r})"
    )
    assert votes_of(rules, task).outputs(np.ones((1, 51), dtype=bool)).argmax() == 0


def test_a_certain_rule_can_be_outvoted():
    assert np.isfinite(log_odds(np.array([1.0]), 2)).all()
    rules = parse_rules("IF x > 0 THEN yes (1)\n" + "IF y > 0 THEN no (0.99)\n" * 2)
    assert votes_of(rules, TWO).outputs(np.ones((1, 3), dtype=bool)).argmax() == 0


def test_numbers_are_means_weighted_by_confidence_in_the_task_s_units():
    task = Regression(mean=100.0, scale=10.0)
    votes = votes_of(parse_rules("IF x > 0 THEN 120 (0.5)\nIF y > 0 THEN 90.5 (1)\nOTHERWISE 80 (0.1)"), task)
    fired = np.array([[1, 1], [0, 1], [0, 0]], dtype=bool)
    np.testing.assert_allclose(task.answers(votes.outputs(fired)), [(0.5 * 120 + 90.5) / 1.5, 90.5, 80])
    assert task.answers(votes_of(parse_rules("IF x > 0 THEN 1 (1)"), task).outputs(np.zeros((1, 1)))) == [100]


@pytest.mark.parametrize("task", [TWO, Regression(mean=3.0, scale=2.0)])
def test_the_head_votes_as_the_arrays_do(task):
    lines = ["yes", "no", "no"] if task is TWO else ["4", "-1", "2.5"]
    rules = parse_rules("\n".join(f"IF x > {i} THEN {a} (0.{6 + i})" for i, a in enumerate(lines)))
    votes = votes_of(rules, task)
    fired = np.random.default_rng(0).random((40, 3)) < 0.4
    found = RuleVote.of(votes)(torch.from_numpy(fired.astype(np.float32))).numpy()
    np.testing.assert_allclose(found, votes.outputs(fired), rtol=1e-5, atol=1e-6)


def test_answers_that_the_task_has_not_are_refused():
    with pytest.raises(RequestError, match="rule of line 2 answers 'yess', .*no, yes.*Did you mean 'yes'"):
        votes_of(parse_rules("IF x > 0 THEN no (0.9)\nIF x > 0 THEN yess (0.9)"), TWO)
    with pytest.raises(RequestError, match="answers 'no', but the task asks for a number"):
        votes_of(parse_rules("IF x > 0 THEN no (0.9)"), Regression())
    with pytest.raises(RequestError, match="several labels a row"):
        votes_of(parse_rules("IF x > 0 THEN no (0.9)"), MultiLabel(("no", "yes")))
