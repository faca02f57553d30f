"""The vote of rules, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from sterna import RequestError
from sterna.networks.rule_vote import RuleVote
from sterna.networks.saved_parts import build_part, describe_part
from sterna.rules import parse_rules
from sterna.rules.voting import calibrated, log_odds, votes_of
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
    assert np.isfinite(log_odds(np.array([1.0]), 0.5)).all()
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
    with pytest.raises(RequestError, match="rule of line 2 predicts 'yess', .*no, yes.*Did you mean 'yes'"):
        votes_of(parse_rules("IF x > 0 THEN no (0.9)\nIF x > 0 THEN yess (0.9)"), TWO)
    with pytest.raises(RequestError, match="predicts 'no', but the task asks for a number"):
        votes_of(parse_rules("IF x > 0 THEN no (0.9)"), Regression())
    with pytest.raises(RequestError, match="several labels a row"):
        votes_of(parse_rules("IF x > 0 THEN no (0.9)"), MultiLabel(("no", "yes")))


# -- the share of each class among all rows ---------------------------------------------------------------------


def shared(outputs):
    return np.exp(outputs - np.logaddexp.reduce(outputs, axis=-1, keepdims=True))


@pytest.mark.parametrize(("share", "sure", "by_bayes"), [(0.9, 0.9, 0.9), (0.1, 0.3, 0.6231), (0.5, 0.9, 81 / 82)])
def test_two_rules_that_agree_count_the_share_of_their_class_once(share, sure, by_bayes):
    rules = parse_rules(f"IF x > 0 THEN yes ({sure})\nIF y > 0 THEN yes ({sure})")
    votes = votes_of(rules, TWO, np.log([1 - share, share]))
    assert shared(votes.outputs(np.ones((1, 2), bool)))[0, 1] == pytest.approx(by_bayes, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_independent_rules_vote_as_bayes_does(classes, seed):
    """Any shares, any rules that depend on the class alone: the vote is the posterior, worked out by enumeration."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(classes, 2.0))
    said = random.integers(classes, size=5)
    # A rule for a class fires as often in each of the others: what it says is of its class alone.
    fires_there = np.repeat(random.uniform(0.05, 0.5, (1, 5)), classes, axis=0)  # (k, r)
    fires_there[said, np.arange(5)] = random.uniform(0.05, 0.95, 5)
    joint = shares[:, None] * fires_there
    sure = np.clip(joint[said, np.arange(5)] / joint.sum(axis=0), 0.001, 0.999)
    names = [f"c{i}" for i in range(classes)]
    lines = [f"IF x{i} > 0 THEN c{c} ({p!r})" for i, (c, p) in enumerate(zip(said, sure.tolist(), strict=True))]
    votes = votes_of(parse_rules("\n".join(lines)), Classification(tuple(names)), np.log(shares))
    for fired in (np.unpackbits(np.array([number], np.uint8))[:5].astype(bool) for number in range(8, 256, 8)):
        posterior = shares * np.prod(fires_there[:, fired], axis=1)
        np.testing.assert_allclose(shared(votes.outputs(fired[None]))[0], posterior / posterior.sum(), rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=5), st.integers(0, 4), st.floats(0.01, 0.99), st.floats(0, 1))
def test_one_rule_gives_back_its_confidence_whatever_the_shares(weights, place, sure, overlap):
    shares = np.array(weights) / sum(weights)
    place %= len(shares)
    task = Classification(tuple(f"c{i}" for i in range(len(shares))))
    votes = votes_of(parse_rules(f"IF x > 0 THEN c{place} ({sure!r})"), task, np.log(shares))
    found = shared(replace(votes, overlap=overlap).outputs(np.ones((1, 1), bool)))[0]
    assert found[place] == pytest.approx(sure, rel=1e-5)
    others = np.delete(shares, place)
    np.testing.assert_allclose(np.delete(found, place), (1 - sure) * others / others.sum(), rtol=1e-4)


def test_a_rule_that_says_the_share_of_its_class_says_nothing():
    prior = np.log([0.3, 0.7])
    rules = parse_rules("IF x > 0 THEN no (0.8)\n" + "IF y > 0 THEN yes (0.7)\n" * 3)
    votes = votes_of(rules, TWO, prior)
    alone, beside = votes.outputs(np.array([[1, 0, 0, 0], [1, 1, 1, 1]], bool))
    np.testing.assert_allclose(shared(alone), shared(beside), atol=1e-5)


# -- rules that repeat each other ----------------------------------------------------------------------------------


def population(random, rows, share, sure, repeated):
    """Classes, and two rules of one confidence that are independent given the class, or one rule twice."""
    targets = (random.random(rows) < share).astype(int)
    there = 0.5
    elsewhere = there * share * (1 - sure) / (sure * (1 - share))
    first = random.random(rows) < np.where(targets == 1, there, elsewhere)
    second = first if repeated else random.random(rows) < np.where(targets == 1, there, elsewhere)
    return np.stack([first, second], axis=1), targets


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("repeated", [False, True])
def test_the_overlap_is_learnt_where_two_rules_fire(share, repeated):
    sure = 0.85
    fired, targets = population(np.random.default_rng(3), 6000, share, sure, repeated)
    votes = votes_of(parse_rules(f"IF x > 0 THEN yes ({sure})\nIF y > 0 THEN yes ({sure})"), TWO,
                     np.log([1 - share, share]))  # fmt: skip
    found, rows = calibrated(votes, fired, targets)
    assert rows == fired.all(axis=1).sum() and abs(found.overlap - repeated) <= 0.35
    both = fired.all(axis=1)
    assert shared(found.outputs(fired[both]))[0, 1] == pytest.approx(targets[both].mean(), abs=0.03)

    def loss(overlap):
        p = shared(replace(votes, overlap=overlap).outputs(fired[both]))
        return -np.log(p[np.arange(both.sum()), targets[both]]).sum() + overlap

    best = optimize.minimize_scalar(loss, bounds=(0, 1), method="bounded").x
    assert found.overlap == pytest.approx(best, abs=0.03)


def test_a_few_rows_say_nothing_of_an_overlap():
    votes = votes_of(parse_rules("IF x > 0 THEN yes (0.9)\nIF y > 0 THEN yes (0.9)"), TWO)
    assert calibrated(votes, np.ones((9, 2), bool), np.zeros(9, int)) == (votes, 0)
    assert calibrated(votes, np.eye(2, dtype=bool).repeat(50, axis=0), np.zeros(100, int)) == (votes, 0)
    numbers = votes_of(parse_rules("IF x > 0 THEN 1 (0.9)\nIF y > 0 THEN 2 (0.9)"), Regression())
    assert calibrated(numbers, np.ones((50, 2), bool), np.ones(50)) == (numbers, 0)


def test_the_head_keeps_shares_and_overlap(tmp_path):
    rules = parse_rules("IF x > 0 THEN yes (0.9)\nIF y > 0 THEN no (0.8)\nIF z > 0 THEN yes (0.7)")
    votes = replace(votes_of(rules, TWO, np.log([0.8, 0.2])), overlap=0.35)
    fired = np.random.default_rng(0).random((40, 3)) < 0.6
    head = RuleVote.of(votes)
    x = torch.from_numpy(fired.astype(np.float32))
    np.testing.assert_allclose(head(x).numpy(), votes.outputs(fired), atol=1e-5)
    again = build_part(describe_part(head, "head", tmp_path), tmp_path)
    again.load_state_dict(head.state_dict())
    assert torch.equal(again(x), head(x)) and set(head.state_dict()) == {"values", "weights", "otherwise"}


def test_a_head_of_before_votes_as_it_did(tmp_path):
    head = build_part({"type": "rule-vote", "rules": 2, "outputs": 2, "mean": False}, tmp_path)
    head.load_state_dict({"values": torch.eye(2), "weights": torch.tensor([2.0, 3.0]), "otherwise": torch.ones(2)})
    assert head(torch.tensor([[1.0, 1.0], [0.0, 0.0]])).tolist() == [[2.0, 3.0], [1.0, 1.0]]
