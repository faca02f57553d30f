"""What batch normalisation becomes where a tuned network and the source are put together."""

import pytest
import torch
from torch import nn

from sterna.bench import Fitted, weight_search
from sterna.bench.weight_search import Setting
from sterna.methods.method import make_method
from sterna.networks.fusing import fuse_states
from sterna.networks.network import Network
from sterna.networks.statistics import recalibrate
from sterna.record.choice import Choice

RATE = 0.01


@pytest.fixture
def problem(source, digits, problem_of):
    return problem_of(source, digits(120))[0]


def mean(tuned, source, alpha):
    return fuse_states(source.state_dict(), tuned, alpha)


def mixed(bench, network, alpha):
    """The weighted mean of a tuned network and the source, in place."""
    setting = Setting("alpha", mean, (0.0, 1.0), lambda alpha: alpha, (0.0, 1.0), 0.5)
    return setting.mixed(bench, Fitted(network), alpha).network


def tuned(bench):
    """A network tuned from the source's weights, as fine-tuning does it."""
    torch.manual_seed(0)
    network = bench.probe("last", 0.1).network
    network.body = network.body.copied()
    bench.train(network, make_method("fine-tuning", {"learning_rate": RATE}).recipe(), stage="fine-tuning")
    return network


def norms(module):
    return {n for n, m in module.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}


def inputs_of(network, problem, rows=150):
    items = network.preparation.items(problem.target_inputs())
    return network.preparation.collate([items[i] for i in range(min(rows, len(items)))])


def layer_means(network, x):
    """Mean over x of what each batch normalisation gives."""
    found, handles = {}, []
    for name in sorted(norms(network.body.module)):
        part = network.body.module.get_submodule(name)
        handles.append(
            part.register_forward_hook(lambda _, __, out, name=name: found.update({name: out.mean((0, 2, 3))}))
        )
    with torch.no_grad():
        network.eval()(x)
    for handle in handles:
        handle.remove()
    return found


def test_it_is_recalibrated_on_target_inputs(problem, source, bench_of, monkeypatch):
    """Layers of the fused body give means near those of both ends, and nearer than with averaged statistics."""
    bench = bench_of(problem.joined(), epochs=2)
    expected = tuned(bench)
    x = inputs_of(expected, bench.problem)
    with_ours = mixed(bench, tuned(bench), 0.5)
    monkeypatch.setattr(weight_search, "recalibrate", lambda *_: 0)
    without, source_side = mixed(bench, tuned(bench), 0.5), mixed(bench, tuned(bench), 1.0)
    goal = {
        n: (a + b) / 2
        for (n, a), b in zip(layer_means(expected, x).items(), layer_means(source_side, x).values(), strict=True)
    }
    gaps = [
        sum(float((m - goal[n]).abs().mean()) for n, m in layer_means(network, x).items())
        for network in (with_ours, without)
    ]
    assert gaps[0] < gaps[1]
    for name in norms(source.body.module):
        ours, theirs = (n.body.module.get_submodule(name).running_var for n in (with_ours, without))
        assert not torch.equal(ours, theirs) or name == "block0.1"


def test_statistics_of_a_source_fused_with_itself_stay(problem, source, bench_of):
    network = Network(source.prepared(problem.inputs), source.body.copied(), nn.Linear(24, 10), task=problem.task)
    found = mixed(bench_of(problem), network, 0.5).body.module.state_dict()
    for name, value in source.body.module.state_dict().items():
        torch.testing.assert_close(found[name], value, msg=name)


def test_where_the_networks_kept_the_inputs_statistics_so_does_the_fused_one(source, digits, problem_of, bench_of):
    """Then it is the plain recalibration: reset, and the mean over batches."""
    problem = problem_of(source, digits(80))[0].joined()
    assert len(problem.target_inputs()) <= weight_search.ROWS  # so all of them are measured
    bench = bench_of(problem, epochs=2)
    recalibrate(source.body, [inputs_of(tuned(bench), problem)])
    network = tuned(bench)
    batches = [inputs_of(network, problem)]
    recalibrate(network.body, batches)
    mixed(bench, network, 0.5)
    found = {n: v.clone() for n, v in network.body.module.state_dict().items() if "running" in n}
    recalibrate(network.body, batches)
    for name, value in found.items():
        torch.testing.assert_close(network.body.module.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_a_number_is_searched_with_the_network_that_was_held_out_and_put_into_the_other(problem, source, bench_of):
    bench, put = bench_of(problem), []

    def network():
        body = source.body.copied()
        with torch.no_grad():
            for parameter in body.parameters():
                parameter.mul_(1.5)
        return Network(source.prepared(problem.inputs), body, nn.Linear(24, 10), task=problem.task)

    def watched(tuned, source, alpha):
        put.append(alpha)
        return mean(tuned, source, alpha)

    held, last = network(), network()
    losses = {}
    for alpha, body in ((0.0, held.body), (1.0, source.body)):
        end = Network(held.preparation, body.copied(), held.head, task=problem.task)
        losses[alpha] = -bench.validator.score(bench.outputs(end, rows=problem.validation))[1]
    setting = Setting("alpha", watched, (0.0, 1.0), lambda alpha: alpha, (0.0, 1.0), 0.5)
    fitted = setting.mixed(bench, Fitted(last, held_out=held), None)
    best = min(losses, key=losses.get)
    assert fitted.choices == (Choice("alpha", best, "validation", len(problem.validation)),)
    assert fitted.network is last and put[:2] == [0.0, 1.0] and put[-1] == best
    assert fitted.held_out is held
    expected = mean(dict(network().body.module.state_dict()), source.body.module, best)
    for part in (last, held):  # both are the mixture: controls are compared by the second
        for name, value in part.body.module.state_dict().items():
            torch.testing.assert_close(value, expected[name], msg=name)
