"""fine-tuning: what is frozen stays, what is thawed trains at its own rate, and the head starts as a probe."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sterna import RequestError
from sterna.bench import Bench, tuning
from sterna.methods.method import make_method
from sterna.methods.parameters import fine_tuning
from sterna.methods.parameters.feature_extraction import FeatureExtraction
from sterna.methods.parameters.fine_tuning import FineTuning
from sterna.networks.fusing import between
from sterna.record.choice import Choice
from sterna.training.trainer import Trainer


@pytest.fixture
def watched(monkeypatch):
    """Every call of ``Trainer.fit``: its groups, and what trains in each epoch."""
    seen = {"groups": [], "trains": [], "training": [], "start": []}
    fit = Trainer.fit

    def watching(self, objective, stream, groups, *, before_epoch, **more):
        names = {id(p): name for name, p in objective.named_parameters()}
        for group in groups:
            seen["groups"].append(({names[id(p)] for p in group["params"]}, group["lr"], group["weight_decay"]))
        seen["start"].append({k: v.clone() for k, v in objective.state_dict().items()})

        def before(epoch):
            before_epoch(epoch)
            objective.train()
            seen["trains"].append({name for name, p in objective.named_parameters() if p.requires_grad})
            seen["training"].append({name for name, part in objective.named_modules() if part.training})

        return fit(self, objective, stream, groups, before_epoch=before, **more)

    monkeypatch.setattr(Trainer, "fit", watching)
    return seen


class Quick(Bench):
    """A probe on the last features, of a given penalty: choosing both takes longest."""

    def probe(self):
        return super().probe("last", 0.1)


def tuned(source, domain, problem_of, trainer, epochs=6, **settings):
    problem, _ = problem_of(source, domain)
    return problem, FineTuning(**settings).fit(problem, trainer(epochs=epochs)).network


@pytest.mark.parametrize("augment", [True, False])
def test_frozen_blocks_stay_bit_for_bit_with_their_statistics(source, digits, problem_of, trainer, weights_of, augment):
    before = weights_of(source.body.module)
    _, network = tuned(
        source, digits(150), problem_of, trainer, freeze_until="block1", augment=augment, epochs=3, linear_probe=False
    )
    after = network.body.module.state_dict()
    for name, value in before.items():
        if name.startswith(("block0", "block1")):
            assert torch.equal(after[name], value), name
        elif name.endswith("0.weight"):
            assert not torch.equal(after[name], value), name
    assert all(torch.equal(source.body.module.state_dict()[name], value) for name, value in before.items())


def test_activations_at_the_cut_give_what_the_whole_network_gives(source, digits, problem_of, trainer, monkeypatch):
    settings = {"freeze_until": "block2", "augment": False, "epochs": 2, "linear_probe": False}
    torch.manual_seed(0)
    _, cut = tuned(source, digits(120), problem_of, trainer, **settings)
    monkeypatch.setattr(tuning, "from_the_cut", lambda *_: None)
    torch.manual_seed(0)
    _, whole = tuned(source, digits(120), problem_of, trainer, **settings)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(cut.state_dict()[name], value, atol=1e-4, rtol=1e-3, msg=name)


def test_batch_statistics_of_the_source_are_kept(source, digits, problem_of, trainer, weights_of):
    before = weights_of(source.body.module)
    _, network = tuned(source, digits(100), problem_of, trainer, epochs=2, linear_probe=False)
    for name, value in network.body.module.state_dict().items():
        if "running" in name or "num_batches" in name:
            assert torch.equal(value, before[name]), name


def test_an_unknown_block_is_refused_with_close_matches(source, digits, problem_of, trainer):
    with pytest.raises(RequestError, match="no block 'blok1'. Did you mean 'block1'.*in depth order: block0, block1"):
        tuned(source, digits(100), problem_of, trainer, freeze_until="blok1", linear_probe=False)


def test_rates_fall_with_the_distance_from_the_head_and_vectors_do_not_decay(
    source, digits, problem_of, trainer, watched
):
    _, network = tuned(
        source,
        digits(100),
        problem_of,
        trainer,
        epochs=1,
        learning_rate=0.01,
        layer_decay=0.5,
        weight_decay=0.3,
        linear_probe=False,
    )
    names = [block.name for block in network.body.blocks]
    count = len(names) + 1
    for parameters, rate, decay in watched["groups"]:
        for name in parameters:
            short = name.removeprefix("network.").removeprefix("body.module.")
            place = next((i for i, block in enumerate(names) if short.startswith(block)), count - 1)
            assert rate == pytest.approx(0.01 * 0.5 ** (count - 1 - place)), name
            assert decay == (0.3 if network.get_parameter(name.removeprefix("network.")).ndim > 1 else 0)
    every = set().union(*(parameters for parameters, _, _ in watched["groups"]))
    assert every == {f"network.{name}" for name, _ in network.named_parameters()}


@pytest.mark.parametrize("frozen", [None, "block1"])
def test_blocks_thaw_from_the_deepest_up_over_the_first_third(source, digits, problem_of, trainer, watched, frozen):
    _, network = tuned(source, digits(100), problem_of, trainer, epochs=9, freeze_until=frozen, linear_probe=False)
    blocks = [b.name for b in network.body.blocks if any(True for _ in network.body.view(b).parameters())]
    norms = {n for n, m in network.body.module.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    may = blocks[0 if frozen is None else blocks.index(frozen) + 1 :]
    thawed = []
    for trains, training in zip(watched["trains"], watched["training"], strict=True):
        assert {"network.head.weight", "network.head.bias"} <= trains
        open_blocks = [b for b in blocks if f"network.body.module.{b}.0.weight" in trains]
        assert open_blocks == blocks[len(blocks) - len(open_blocks) :]  # the deepest ones
        for name in norms:  # statistics and scales of batch norm are the source's
            assert f"network.body.module.{name}" not in training
        for block in set(blocks) - set(open_blocks):
            assert f"network.body.module.{block}.3" not in training  # no dropout where nothing trains
        thawed.append(len(open_blocks))
    assert thawed == sorted(thawed)
    assert thawed[0] < len(may) and thawed[2:] == [len(may)] * 7  # all of them from the third of nine epochs on


def test_without_gradual_all_train_from_the_start(source, digits, problem_of, trainer, watched):
    tuned(source, digits(100), problem_of, trainer, epochs=2, gradual=False, linear_probe=False)
    assert all("network.body.module.block0.0.weight" in trains for trains in watched["trains"])


def test_the_head_starts_as_the_linear_probe(source, digits, problem_of, trainer, watched):
    problem, _ = problem_of(source, digits(60))
    probe = FeatureExtraction().fit(problem, trainer()).network
    FineTuning().fit(problem, trainer(epochs=1))
    assert torch.equal(watched["start"][0]["network.head.weight"], probe.head.weight)
    assert torch.equal(watched["start"][0]["network.head.bias"], probe.head.bias)
    FineTuning(linear_probe=False).fit(problem, trainer(epochs=1))
    assert not torch.equal(watched["start"][1]["network.head.weight"], probe.head.weight)


def test_it_learns_more_than_the_probe_from_a_body_that_knows_little(source, digits, problem_of, trainer):
    problem, network = tuned(
        source, digits(900), problem_of, trainer, epochs=12, learning_rate=0.01, augment=False, linear_probe=False
    )
    probe = FeatureExtraction(blocks="last", penalty=0.01).fit(problem, trainer()).network
    rows = problem.validation
    right = [
        (trainer().outputs(n, problem.inputs, rows).argmax(1) == problem.targets[rows]).mean() for n in (probe, network)
    ]
    assert right[1] > right[0] + 0.02


def test_validation_chooses_the_epoch_and_that_is_said(source, digits, problem_of, bench_of, trainer):
    problem, _ = problem_of(source, digits(700))
    coach = trainer(epochs=2)
    FineTuning(linear_probe=False).fit(problem, coach)
    few = bench_of(problem).validator.few
    assert (f"validation: {len(problem.validation)} labelled" in coach.log.selected_by()) != few
    assert all((row["validation"] is None) == few for row in coach.log.history)


def test_the_sampler_draws_rare_classes_as_often(source, digits_arrays, problem_of, trainer, monkeypatch):
    from sterna import Domain
    from sterna.training.batches import Stream

    images, labels = digits_arrays
    keep = np.concatenate([np.flatnonzero(labels == 3)[:150], np.flatnonzero(labels == 8)[:30]])
    domain = Domain.from_arrays(images[keep], [str(v) for v in labels[keep]])
    drawn = []
    order = Stream.order
    monkeypatch.setattr(Stream, "order", lambda self, epoch: drawn.append((self, order(self, epoch))) or drawn[-1][1])
    problem, _ = problem_of(source, domain, balance="sampler")
    for each in (problem, problem.joined()):
        drawn.clear()
        FineTuning(linear_probe=False).fit(each, trainer(epochs=8))
        rows = np.concatenate([found for stream, found in drawn if stream.shuffle])
        assert set(rows) <= set(each.train)
        assert each.targets[rows].mean() == pytest.approx(0.5, abs=0.05)
        assert set(each.train[each.targets[each.train] == 1]) <= set(rows)


# -- between the probe and the tuned weights ---------------------------------------------------------


def test_the_ends_of_the_share_are_the_probe_and_the_tuned_network(source, digits, problem_of, trainer):
    problem, _ = problem_of(source, digits(300, splits=(120, 100)))
    bench = Quick(problem, trainer(epochs=6), make_method)
    tried = {share: FineTuning(share=share).run(bench).network for share in (1.0, 0.0, 0.25)}
    ends = bench.probe().network.state_dict(), tried[1.0].state_dict()
    assert any(not torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    for share, found in tried.items():
        for name, value in found.state_dict().items():
            first, last = ends[0][name], ends[1][name]
            if share in (0, 1) or not value.is_floating_point():
                assert torch.equal(value, last if share else first), name
            else:
                torch.testing.assert_close(value, share * last + (1 - share) * first, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("validation", [30, 100])
def test_validation_rows_choose_the_share(source, digits, problem_of, trainer, validation):
    problem, _ = problem_of(source, digits(300, splits=(120, validation)))
    made = trainer(epochs=4)
    bench = Quick(problem, made, make_method)
    start = bench.probe().network
    tuned = FineTuning(learning_rate=0.02, share=1.0).run(bench).network
    scores, networks = {}, {}
    for share in fine_tuning.SHARES:
        networks[share] = between(copy.deepcopy(tuned), start, share)
        outputs = made.outputs(networks[share], problem.inputs, problem.validation)
        targets = problem.targets[problem.validation]
        loss = float(nn.functional.cross_entropy(torch.from_numpy(outputs), torch.from_numpy(targets)))
        scores[share] = ((outputs.argmax(1) == targets).mean(), -loss) if validation == 100 else (-loss,)
    fitted = FineTuning(learning_rate=0.02).run(bench)
    (chosen,) = [choice for choice in fitted.choices if choice.what == "share of the tuned weights"]
    best = chosen.value
    assert scores[best] == pytest.approx(max(scores.values()), abs=1e-6)
    assert chosen == Choice("share of the tuned weights", best, "validation", validation)
    found = fitted.network if fitted.held_out is None else fitted.held_out
    for name, value in networks[best].state_dict().items():  # trying the others moved nothing
        assert torch.equal(found.state_dict()[name], value), name


def test_with_few_validation_rows_all_labels_train_in_the_end(source, digits, problem_of, trainer):
    seen = []

    class Noting(Quick):
        def train(self, network, recipe, *, stage):
            seen.append(len(self.problem.train))
            return super().train(network, recipe, stage=stage)

    for validation, expected in ((30, [120, 150]), (100, [120]), (0, [120])):
        seen.clear()
        problem, _ = problem_of(source, digits(300, splits=(120, 100)))
        problem = replace(problem, validation=problem.validation[:validation])
        fitted = FineTuning().run(Noting(problem, trainer(epochs=1), make_method))
        assert seen == expected
        assert (fitted.held_out is None) == (expected == [120])
