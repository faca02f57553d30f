"""example-mining: shares 0 and 1 are the target alone and pooling, the scores rank, and the share is chosen soundly."""

import numpy as np
import pandas as pd
import pytest
import torch

from sterna import Domain, RequestError, Source, load_source, transfer
from sterna.bench.density_ratio import both_domains
from sterna.methods.examples import example_mining
from sterna.methods.examples.example_mining import (
    ExampleMining,
    kept_rows,
    ranking,
    scores_of,
    trial,
)
from sterna.methods.method import make_method
from sterna.networks.saved import load_network, save_network
from sterna.record.choice import Choice
from sterna.selection.cross_validation import fit_head, folds_of


def rule(x):
    return np.where(x[:, 0] > 0, "yes", "no")


def domain(rows, centre, seed, labels=rule):
    x = np.random.default_rng(seed).normal(size=(rows, 2)) + centre
    return Domain.from_arrays(pd.DataFrame(x, columns=["a", "b"]), labels(x))


def half_good(rows=120, seed=0):
    """Rows near the target follow its rule; rows far from it follow the opposite."""
    near, far = domain(rows // 2, [0, 0], seed), domain(rows // 2, [0, 6], seed + 1, lambda x: rule(-x))
    return Domain.from_arrays(
        pd.concat([near.inputs.frame, far.inputs.frame], ignore_index=True), np.concatenate([near.labels, far.labels])
    )


@pytest.fixture
def between(problem_of):
    """The Problem of a target with a source of labelled rows."""
    return lambda source, target, **more: problem_of(Source("known", data=source), target, **more)[0]


def test_share_0_is_the_target_alone_and_share_1_is_pooling(between, bench_of, trainer):
    problem = between(domain(80, [0.5, 1], 0), domain(100, [0, 0], 1), labels=30)
    both = both_domains(bench_of(problem))
    every = np.concatenate
    alone = fit_head(both.labelled, both.targets, problem.task, units=both.labelled_units)
    for by in ("neighbours", "odds"):
        order = ranking(scores_of(both, by, 0))
        rows, targets = every([both.labelled, both.source[order]]), every([both.targets, both.source_targets[order]])
        pooled = fit_head(rows, targets, problem.task, units=every([both.labelled_units, both.source_units[order]]))
        for share, (head, penalty, _) in ((0.0, alone), (1.0, pooled)):
            coach = trainer()
            network = ExampleMining(by=by, share=share).fit(problem, coach).network
            assert coach.log.chosen == {"penalty": penalty}
            np.testing.assert_allclose(network.head.weight.detach(), head.weight.detach(), rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(network.head.bias.detach(), head.bias.detach(), rtol=1e-4, atol=1e-6)
            assert coach.log.choices[0].of == ("source and target" if share else "target")


@pytest.mark.parametrize("by", ["neighbours", "odds"])
def test_rows_like_the_targets_rank_first_and_a_row_far_from_everything_low(between, bench_of, by):
    source = half_good()
    frame = source.inputs.frame.copy()
    frame.iloc[0] = [-90.0, -90.0]
    problem = between(Domain.from_arrays(frame, source.labels), domain(100, [0, -0.5], 7), labels=20)
    both = both_domains(bench_of(problem))
    scores = np.empty(120)
    scores[both.order] = scores_of(both, by, 0)
    assert (scores[0] < scores[1:60]).all()
    best = np.argsort(-scores)[:40]
    assert (best < 60).mean() > 0.95
    assert ranking(np.array([1.0, 3.0, 1.0, 2.0])).tolist() == [1, 3, 0, 2]


def test_the_share_leaves_out_the_half_that_misleads(between, trainer):
    problem = between(half_good(), domain(160, [0, 0], 9), labels=40)
    coach = trainer()
    ExampleMining().fit(problem, coach)
    assert coach.log.chosen["share of the source's rows"] in (0.5, 0.25)
    share = coach.log.chosen["share of the source's rows"]
    assert coach.log.choices[0] == Choice("share of the source's rows", share, "cross-validation", len(problem.train))
    kept = kept_rows(coach.log.chosen["share of the source's rows"], 120)
    assert coach.log.messages == [f"Kept {kept} of 120 source rows."]


def test_the_loss_of_a_share_is_that_of_held_out_target_rows(between, bench_of):
    problem = between(domain(60, [0, 0], 0), domain(100, [0, 0], 1), labels=30)
    both = both_domains(bench_of(problem))
    rows, kept = np.arange(len(both.labelled)), np.arange(10)
    choice = trial(both, kept, rows, problem.task, 0)
    spoilt = both.targets.copy()
    spoilt[3] = 1 - spoilt[3]
    assert choice.losses.shape == (len(rows),) and choice.loss == pytest.approx(choice.losses.mean())
    # a row's own label cannot lower its loss: the head that answers it was fitted without it
    train, held = folds_of(both.targets, problem.task, 5, 0)[0]
    x = np.concatenate([both.labelled[train], both.source[kept]])
    y = np.concatenate([both.targets[train], both.source_targets[kept]])
    head = fit_head(x, y, problem.task, penalty=choice.penalty)[0]
    outputs = head.double()(torch.from_numpy(both.labelled[held]))
    wanted = torch.nn.functional.cross_entropy(outputs, torch.as_tensor(both.targets[held]), reduction="none")
    np.testing.assert_allclose(choice.losses[held], wanted.detach(), rtol=1e-6)


@pytest.mark.parametrize("by", ["neighbours", "odds"])
def test_the_order_of_the_source_changes_nothing(between, trainer, tmp_path, monkeypatch, by):
    monkeypatch.setattr(example_mining, "SHARES", (1.0, 0.5))  # fewer to try
    source, target = half_good(80), domain(90, [0, 0], 9)
    problem = between(source, target, labels=20)
    network = ExampleMining(by=by).fit(problem, trainer()).network
    mixed = between(source.take(np.random.default_rng(4).permutation(80)), target, labels=20)
    answers = trainer().outputs(network, problem.inputs)
    again = trainer().outputs(ExampleMining(by=by).fit(mixed, trainer()).network, problem.inputs)
    np.testing.assert_allclose(again, answers, atol=1e-4)
    save_network(network, tmp_path / "kept")
    np.testing.assert_array_equal(trainer().outputs(load_network(tmp_path / "kept"), problem.inputs), answers)


def test_of_a_large_source_some_rows_are_tried_in_the_place_of_all(between, trainer, monkeypatch):
    problem = between(half_good(100), domain(120, [0, 0], 9), labels=40)
    monkeypatch.setattr(example_mining, "drawn", lambda rows, seed: np.arange(0, rows, 2))
    coach = trainer()
    ExampleMining().fit(problem, coach)
    share = coach.log.chosen["share of the source's rows"]
    assert share in (0.5, 0.25) and coach.log.messages == [f"Kept {kept_rows(share, 100)} of 100 source rows."]


def test_in_a_bodys_features_nothing_of_the_body_changes_and_rows_are_named(
    source, digits, problem_of, trainer, weights_of
):
    before = weights_of(source.body)
    known = source.with_data(digits(300).take(range(150, 300)))
    problem, _ = problem_of(known, digits(150), labels=60)
    coach = trainer()
    network = ExampleMining(share=0.5).fit(problem, coach).network
    for name, value in weights_of(known.body).items():
        assert (value == before[name]).all()
    assert not any(p.requires_grad for p in network.body.parameters())
    assert coach.log.messages[0].startswith("Kept 75 of 150 source rows; the most like the target's: ")


def test_numbers_are_mined_as_well(between, trainer):
    number = lambda x: 3 * x[:, 0] + x[:, 1]
    problem = between(domain(80, [0, 0], 0, number), domain(80, [0, 1], 1, number), labels=12)
    network = ExampleMining().fit(problem, trainer()).network
    rows = problem.validation
    found = trainer().outputs(network, problem.inputs, rows)[:, 0]
    np.testing.assert_allclose(found, problem.targets[rows], atol=0.2)


def test_bad_requests_are_one_sentence(digits, source):
    with pytest.raises(RequestError, match="setting share is 1.5"):
        make_method("example-mining", {"share": 1.5})
    with pytest.raises(RequestError, match="setting by is 'luck'"):
        make_method("example-mining", {"by": "luck"})
    with pytest.raises(RequestError, match=r"example-mining needs labelled source data \(source=load_domain\(...\)\)"):
        transfer(source, digits(60), method="example-mining", control="none", seeds=1)
    known = load_source(source.body.module, preparation=source.preparation).with_data(digits(90))
    with pytest.raises(RequestError, match="labels=0 hides every target label, but example-mining learns from them"):
        transfer(known, digits(60), method="example-mining", labels=0, control="none", seeds=1)


def test_with_one_label_there_is_nothing_to_compare_shares_by(between, trainer):
    problem = between(domain(40, [0.5, 1], 0), domain(60, [0, 0], 1), labels=1)
    coach = trainer()
    ExampleMining().fit(problem, coach)
    assert [choice.what for choice in coach.log.choices] == ["penalty"]
    assert "Kept 40 of 40 source rows" in coach.log.messages[-1]
