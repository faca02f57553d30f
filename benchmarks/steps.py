"""Cost of a training step of every objective, beside plain loops written by hand that do the same mathematics.

``fine-tuning``'s objective is also that of ``scratch``, ``weight-fusion``, ``knowledge-propagation`` and both stages of
``parameter-sharing`` with mode fixed.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, kl_div, log_softmax
from torchjd.aggregation import UPGrad
from torchjd.autojac import backward, jac_to_grad

from benchmarks.common import write
from benchmarks.pairs.digits import mnist
from sterna.bench.adapting import Adaptation
from sterna.bench.side_by_side import TwoDomains
from sterna.methods.features.dan import KernelDistance
from sterna.methods.features.dann import DomainClassifier
from sterna.methods.features.deep_coral import CovarianceDistance
from sterna.methods.networks.parameter_sharing import APART, Linked
from sterna.methods.networks.transfer_network import scaled
from sterna.methods.rules.rule_penalty import Penalised
from sterna.networks import small_body
from sterna.networks.freezing import freeze
from sterna.networks.identity import identity_body
from sterna.networks.network import Network
from sterna.networks.pair import PairBody
from sterna.preparations.pair import PairItems, PairPreparation
from sterna.tasks import infer_task
from sterna.training.activations import ActivationPreparation
from sterna.training.batches import Batch, Stream, Streams
from sterna.training.objective import Objective, Supervised
from sterna.training.schedule import warmup_cosine
from sterna.training.trainer import Trainer

ROWS, BATCH, RATE, ROUNDS = 960, 32, 1e-3, 5
Loss = Callable[[Any, float], Tensor]
"""Of a batch, or batches, and the share of the training that is done."""


@dataclass
class Plain:
    """A plain loop: what it trains, its loss, and what it does in the place of ``loss.backward()``, if anything."""

    modules: list[nn.Module]
    loss: Loss
    backward: Callable[[Tensor], None] | None = None


@dataclass
class Pair:
    """An objective of Sterna, and the plain loop beside it; both made anew, with the same weights, for each round."""

    objective: Callable[[], Objective]
    plain: Callable[[], Plain]
    stream: Callable[[], Stream | Streams]


class Ground:
    """Digits, prepared once: two domains of as many rows."""

    def __init__(self) -> None:
        domain = mnist(2 * ROWS)
        self.task = infer_task(domain)
        self.targets = self.task.encode(domain.labels)
        self.body, self.preparation = small_body(domain.inputs, seed=0)
        items = self.preparation.items(domain.inputs)
        self.items = [np.asarray(items[i]) for i in range(len(items))]
        self.halves = np.arange(ROWS), np.arange(ROWS, 2 * ROWS)
        random = np.random.default_rng(0)
        self.votes = random.dirichlet(np.ones(10), 2 * ROWS).astype(np.float32)
        self.stored = random.normal(size=(2 * ROWS, 1280)).astype(np.float32)

    def network(self, seed: int = 0) -> Network:
        torch.manual_seed(seed)
        return Network(self.preparation, self.body.scratch(seed), self.task.head(self.body.width), task=self.task)

    def stream(self, half: int, targets: Any = None) -> Stream:
        wanted = self.targets if targets is None else targets
        return Stream(self.preparation, self.items, wanted, rows=self.halves[half], batch_size=BATCH)

    def streams(self) -> Streams:
        return Streams(source=self.stream(0), target=self.stream(1))


def main() -> None:
    """A plain loop before and after each of ours, the ratio of each round, and the median of the rounds."""
    ground, rows = Ground(), []
    for name, pair in pairs(ground):
        ratios = []
        for number in range(ROUNDS + 1):
            before, ours, after = _plain(pair), _ours(pair, name), _plain(pair)
            ratio = 2 * ours / (before + after)
            ratios += [ratio] * (number > 0)  # the first round warms up
        rows.append({"method": name, "steps": math.ceil(ROWS / BATCH), "time / plain loop, median":
                     statistics.median(ratios), "least": min(ratios), "most": max(ratios)})  # fmt: skip
        print(rows[-1], flush=True)
    write("steps", f"A training step of every objective, beside a plain loop ({ROUNDS} rounds in turn)", rows)


def _ours(pair: Pair, name: str) -> float:
    objective, stream = pair.objective(), pair.stream()
    groups = [{"params": [p for p in objective.parameters() if p.requires_grad], "lr": RATE, "weight_decay": 0.01}]
    trainer = Trainer(device="cpu")
    started = time.perf_counter()
    trainer.fit(objective, stream, groups, stage=name, epochs=1)
    return time.perf_counter() - started


def _plain(pair: Pair) -> float:
    plain, stream = pair.plain(), pair.stream()
    parameters = list({id(p): p for m in plain.modules for p in m.parameters()}.values())
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
    total, started = stream.steps, time.perf_counter()
    for number, batch in enumerate(stream.epoch(0)):
        for group in optimizer.param_groups:
            group["lr"] = RATE * warmup_cosine((number + 1) / (total + 1))
        optimizer.zero_grad(set_to_none=True)
        loss = plain.loss(batch, number / total)
        loss.sum().item()
        (plain.backward or Tensor.backward)(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    return time.perf_counter() - started


def pairs(ground: Ground) -> Iterator[tuple[str, Pair]]:
    """Every objective with its plain loop."""
    yield (
        "fine-tuning",
        Pair(lambda: Supervised(ground.network(), ground.task), lambda: tuned(ground), lambda: ground.stream(0)),
    )
    yield "transfer-network", Pair(lambda: joined(ground), lambda: joined_plain(ground), lambda: joined_stream(ground))
    for name, term, apart in (
        ("deep-coral", CovarianceDistance, coral), ("dan", KernelDistance, mmd),
    ):  # fmt: skip
        yield (
            name,
            Pair(
                lambda term=term: Adaptation(ground.network(), ground.task, term(ground.body.width), 1.0),
                lambda apart=apart: adapted(ground, apart),
                ground.streams,
            ),
        )
    yield (
        "dann",
        Pair(
            lambda: Adaptation(ground.network(), ground.task, DomainClassifier(ground.body.width), 1.0),
            lambda: dann(ground),
            ground.streams,
        ),
    )
    for how in ("sum", "upgrad"):
        yield (
            f"joint-training, {how}",
            Pair(lambda how=how: twins(ground, how), lambda how=how: twins_plain(ground, how), ground.streams),
        )
    yield (
        "parameter-sharing, gradients",
        Pair(
            lambda: Linked(ground.network(), ground.network(1), ground.task),
            lambda: linked_plain(ground),
            ground.streams,
        ),
    )
    yield (
        "rule-penalty",
        Pair(
            lambda: Penalised(ground.network(), ground.task, 1.0),
            lambda: penalised(ground),
            lambda: Streams(target=ground.stream(0), rules=ground.stream(1, ground.votes)),
        ),
    )


def last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def tuned(ground: Ground) -> Plain:
    network = ground.network()
    body, head = network.body.module, network.head
    return Plain([body, head], lambda batch, _: cross_entropy(head(body(last(batch.inputs))), batch.targets))


def joined(ground: Ground) -> Objective:
    body = PairBody(identity_body(1280), ground.network().body)
    map = nn.Sequential(scaled(ground.stored.astype(np.float64), 128))
    freeze(map)
    stored = ActivationPreparation()
    preparation = PairPreparation(stored, ground.preparation)
    stored.kind = "images"
    return Supervised(Network(preparation, body, ground.task.head(1408), map=map, task=ground.task), ground.task)


def joined_stream(ground: Ground) -> Stream:
    stored = ActivationPreparation()
    stored.kind = "images"
    preparation = PairPreparation(stored, ground.preparation)
    items = PairItems(ground.stored, ground.items)
    return Stream(preparation, items, ground.targets, rows=ground.halves[0], batch_size=BATCH)


def joined_plain(ground: Ground) -> Plain:
    body, head = ground.network().body.module, ground.task.head(1408)
    layer = scaled(ground.stored.astype(np.float64), 128)

    def loss(batch: Batch, _: float) -> Tensor:
        source = (batch.inputs["first"] - layer.mean) / layer.scale
        return cross_entropy(head(torch.cat([source, body(last(batch.inputs["second"]))], 1)), batch.targets)

    return Plain([body, head], loss)


def adapted(ground: Ground, apart: Callable[[Tensor, Tensor, float], Tensor], *more: nn.Module) -> Plain:
    """The source's batch does not move the running statistics."""
    network = ground.network()
    body, head = network.body.module, network.head
    norms = [part for part in body.modules() if isinstance(part, nn.BatchNorm2d)]

    def loss(batch: Any, progress: float) -> Tensor:
        for norm in norms:
            norm.track_running_stats = False
        theirs = body(last(batch["source"].inputs))
        for norm in norms:
            norm.track_running_stats = True
        ours = body(last(batch["target"].inputs))
        return cross_entropy(head(theirs), batch["source"].targets) + apart(theirs, ours, progress)

    return Plain([body, head, *more], loss)


def coral(source: Tensor, target: Tensor, progress: float) -> Tensor:
    return (torch.cov(source.T) - torch.cov(target.T)).square().sum() / (4 * source.shape[1] ** 2)


def mmd(source: Tensor, target: Tensor, progress: float) -> Tensor:
    both = torch.cat([source, target])
    squares, n, m = torch.cdist(both, both).square(), len(source), len(target)
    mean = squares.detach().sum() / (len(both) * (len(both) - 1))
    kernel = torch.stack([torch.exp(-squares / (mean * 2.0**k)) for k in range(-3, 2)]).mean(0)
    kernel = kernel - torch.diag(kernel.diagonal())
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return within - 2 * kernel[:n, n:].mean()


def dann(ground: Ground) -> Plain:
    width = ground.body.width
    classifier = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))

    def domains(source: Tensor, target: Tensor, progress: float) -> Tensor:
        scale = 2 / (1 + math.exp(-10 * progress)) - 1
        both = torch.cat([source, target])
        both = (1 + scale) * both.detach() - scale * both  # the same values, the gradient turned round
        truth = torch.cat([torch.ones(len(source)), torch.zeros(len(target))])
        return binary_cross_entropy_with_logits(classifier(both)[:, 0], truth)

    return adapted(ground, domains, classifier)


def twins(ground: Ground, how: str) -> Objective:
    network = ground.network()
    other = Network(network.preparation, network.body, network.head, task=ground.task)
    objective = TwoDomains(other, network, ground.task)
    if how == "upgrad":
        objective.aggregator, objective.shared = UPGrad(pref_vector=torch.ones(2)), tuple(network.parameters())
    return objective


def twins_plain(ground: Ground, how: str) -> Plain:
    network = ground.network()
    body, head = network.body.module, network.head
    shared, upgrad = [*body.parameters(), *head.parameters()], UPGrad(pref_vector=torch.ones(2))

    def loss(batch: Any, _: float) -> Tensor:
        source, target = batch["source"], batch["target"]
        outputs = head(body(last(torch.cat([source.inputs, target.inputs])))).split([len(source), len(target)])
        terms = (cross_entropy(out, each.targets) for out, each in zip(outputs, (source, target), strict=True))
        return torch.stack(list(terms))

    def conflicts(losses: Tensor) -> None:
        backward(list(losses), inputs=shared, parallel_chunk_size=1)
        jac_to_grad(shared, upgrad)

    return Plain([body, head], loss, conflicts if how == "upgrad" else lambda losses: losses.sum().backward())


def linked_plain(ground: Ground) -> Plain:
    first, second = ground.network(), ground.network(1)
    bodies, heads, done = (first.body.module, second.body.module), (first.head, second.head), [0.0]

    def loss(batch: Any, progress: float) -> Tensor:
        done[0] = progress
        rows = (batch["source"], batch["target"])
        triples = zip(bodies, heads, rows, strict=True)
        return sum(cross_entropy(head(body(last(each.inputs))), each.targets) for body, head, each in triples)

    def summed(total: Tensor) -> None:
        total.backward()
        if done[0] >= APART:  # both copies move by the sum of both gradients
            for one, other in zip(bodies[0].parameters(), bodies[1].parameters(), strict=True):
                one.grad += other.grad
                other.grad.copy_(one.grad)

    return Plain([*bodies, *heads], loss, summed)


def penalised(ground: Ground) -> Plain:
    network = ground.network()
    body, head = network.body.module, network.head

    def loss(batch: Any, _: float) -> Tensor:
        labelled, voted = batch["target"], batch["rules"]
        apart = kl_div(log_softmax(head(body(last(voted.inputs))), 1), voted.targets, reduction="batchmean")
        return cross_entropy(head(body(last(labelled.inputs))), labelled.targets) + apart

    return Plain([body, head], loss)


if __name__ == "__main__":
    main()
