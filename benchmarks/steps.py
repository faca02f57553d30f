"""Cost of a step of the methods that look at two domains, beside plain loops written by hand."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from benchmarks.common import write
from benchmarks.pairs.digits import mnist
from sterna.methods.adaptation import Adaptation
from sterna.methods.features.dan import KernelDistance
from sterna.methods.features.dann import DomainClassifier
from sterna.methods.features.deep_coral import CovarianceDistance
from sterna.methods.two_domains import TwoDomains
from sterna.networks import small_body
from sterna.networks.network import Network
from sterna.tasks import infer_task
from sterna.training.batches import Stream, Streams
from sterna.training.objective import Objective
from sterna.training.schedule import warmup_cosine
from sterna.training.trainer import Trainer

ROWS, BATCH, RATE, ROUNDS = 1600, 32, 1e-3, 5
Step = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


def main() -> None:
    """Both loops in turn, the ratio of each round, and the median of the rounds."""
    domain = mnist(2 * ROWS)
    task = infer_task(domain)
    targets = task.encode(domain.labels)
    body, preparation = small_body(domain.inputs, seed=0)
    items = preparation.items(domain.inputs)
    prepared = [np.asarray(items[i]) for i in range(len(items))]
    first, second = np.arange(ROWS), np.arange(ROWS, 2 * ROWS)

    def streams() -> Streams:
        return Streams(
            source=Stream(preparation, prepared, targets, rows=first, batch_size=BATCH),
            target=Stream(preparation, prepared, targets, rows=second, batch_size=BATCH),
        )

    rows = []
    for name, objective_of, plain_of in _methods(task, body.width):
        ratios = []
        for _ in range(ROUNDS):
            torch.manual_seed(0)
            network = Network(preparation, body.scratch(0), task.head(body.width), task=task)
            objective = objective_of(network)
            groups = [{"params": list(objective.parameters()), "lr": RATE, "weight_decay": 0.01}]
            started = time.perf_counter()
            Trainer(device="cpu").fit(objective, streams(), groups, stage=name, epochs=1)
            ours = time.perf_counter() - started
            torch.manual_seed(0)
            module, head = body.scratch(0).module, task.head(body.width)
            step, parameters = plain_of(module, head)
            optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01, fused=True)
            started = time.perf_counter()
            _plain(streams(), optimizer, parameters, step)
            ratios.append(ours / (time.perf_counter() - started))
        rows.append({"method": name, "steps": ROWS // BATCH, "time / plain loop, median": statistics.median(ratios),
                     "least": min(ratios), "most": max(ratios)})  # fmt: skip
    write("steps", f"A step of training on two domains, beside a plain loop ({ROUNDS} rounds in turn)", rows)


def _plain(streams: Streams, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], step: Step) -> None:
    total = streams.steps
    for number, batch in enumerate(streams.epoch(0)):
        for group in optimizer.param_groups:
            group["lr"] = RATE * warmup_cosine((number + 1) / (total + 1))
        optimizer.zero_grad(set_to_none=True)
        source, target = batch["source"], batch["target"]
        assert source.targets is not None and target.targets is not None
        loss = step(source.inputs, source.targets, target.inputs, target.targets, number / total)
        loss.item()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def _methods(task, width) -> Iterator[tuple[str, Callable[[Network], Objective], Callable]]:
    yield "deep-coral", lambda n: Adaptation(n, task, CovarianceDistance(), 1.0), _adapted(_coral)
    yield "dan", lambda n: Adaptation(n, task, KernelDistance(), 1.0), _adapted(_mmd)

    def dann(module: nn.Module, head: nn.Module) -> tuple[Step, list[nn.Parameter]]:
        classifier = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))

        def domains(source: Tensor, target: Tensor, progress: float) -> Tensor:
            scale = 2 / (1 + math.exp(-10 * progress)) - 1
            both = torch.cat([source, target])
            both = (1 + scale) * both.detach() - scale * both  # the same values, the gradient turned round
            truth = torch.cat([torch.ones(len(source)), torch.zeros(len(target))])
            return binary_cross_entropy_with_logits(classifier(both)[:, 0], truth)

        step, parameters = _adapted(domains)(module, head)
        return step, [*parameters, *classifier.parameters()]

    yield "dann", lambda n: Adaptation(n, task, DomainClassifier(width), 1.0), dann

    def joint(module: nn.Module, head: nn.Module) -> tuple[Step, list[nn.Parameter]]:
        def step(xs: Tensor, ys: Tensor, xt: Tensor, yt: Tensor, progress: float) -> Tensor:
            outputs = head(module(torch.cat([xs, xt]).contiguous(memory_format=torch.channels_last)))
            return cross_entropy(outputs[: len(xs)], ys) + cross_entropy(outputs[len(xs) :], yt)

        return step, [*module.parameters(), *head.parameters()]

    def twins(network: Network) -> Objective:
        return TwoDomains(Network(network.preparation, network.body, network.head, task=task), network, task)

    yield "joint-training", twins, joint


def _adapted(apart: Callable[[Tensor, Tensor, float], Tensor]) -> Callable:
    """A plain step of adaptation: the source's batch does not move the running statistics."""

    def build(module: nn.Module, head: nn.Module) -> tuple[Step, list[nn.Parameter]]:
        norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]

        def step(xs: Tensor, ys: Tensor, xt: Tensor, yt: Tensor, progress: float) -> Tensor:
            for norm in norms:
                norm.track_running_stats = False
            theirs = module(xs.contiguous(memory_format=torch.channels_last))
            for norm in norms:
                norm.track_running_stats = True
            ours = module(xt.contiguous(memory_format=torch.channels_last))
            return cross_entropy(head(theirs), ys) + apart(theirs, ours, progress)

        return step, [*module.parameters(), *head.parameters()]

    return build


def _coral(source: Tensor, target: Tensor, progress: float) -> Tensor:
    return (torch.cov(source.T) - torch.cov(target.T)).square().sum() / (4 * source.shape[1] ** 2)


def _mmd(source: Tensor, target: Tensor, progress: float) -> Tensor:
    both = torch.cat([source, target])
    squares = torch.cdist(both, both).square()
    mean = squares.detach().sum() / (len(both) * (len(both) - 1))
    kernel = sum(torch.exp(-squares / (mean * 2.0**k)) for k in range(-2, 3))
    n = len(source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


if __name__ == "__main__":
    main()
