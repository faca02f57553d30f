"""Cost of the one loop: fine-tuning's training beside a hand-written plain torch loop, same batches, same steps."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from benchmarks.common import data, write
from sterna import load_domain, load_source
from sterna.networks.network import Network
from sterna.tasks import infer_task
from sterna.training.batches import Stream
from sterna.training.objective import Supervised
from sterna.training.schedule import warmup_cosine
from sterna.training.trainer import Trainer

ROUNDS, EPOCHS, RATE = 3, 1, 1e-4


def main() -> None:
    """Five rounds of both, in turn; the ratio of each round, and the median."""
    domain = load_domain(data("images_hymenoptera.zip"))
    domain = domain.take(domain.splits["train"][::2][:96])
    source = load_source("packaged/efficientnet-lite0")
    task = infer_task(domain)
    targets = task.encode(domain.labels)
    preparation = source.prepared(domain.inputs)
    items = preparation.items(domain.inputs)
    prepared = [items[i] for i in range(len(items))]  # decoded before the clock starts: it is the loop that is timed

    def stream() -> Stream:
        return Stream(preparation, prepared, targets, batch_size=16, seed=0)

    def network() -> Network:
        torch.manual_seed(0)
        body = source.body.copied()
        return Network(preparation, body, task.head(body.width), task=task)

    def sterna_loop() -> tuple[float, nn.Module]:
        net, rows = network(), stream()
        groups = [{"params": list(net.parameters()), "lr": RATE, "weight_decay": 0.01}]
        trainer = Trainer(seed=0, device="cpu")
        started = time.perf_counter()
        trainer.fit(Supervised(net, task), rows, groups, stage="loop", epochs=EPOCHS)
        return time.perf_counter() - started, net

    def plain_loop() -> tuple[float, nn.Module]:
        net, rows = network(), stream()
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01, fused=True)
        loss_of, total, step = nn.CrossEntropyLoss(), rows.steps * EPOCHS, 0
        net.train()
        started = time.perf_counter()
        for epoch in range(EPOCHS):
            for batch in rows.epoch(epoch):
                torch.manual_seed(step * 1009)
                for group in optimizer.param_groups:
                    group["lr"] = RATE * warmup_cosine((step + 1) / (total + 1))
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(net(batch.inputs), batch.targets)
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                step += 1
        return time.perf_counter() - started, net

    plain_loop()
    ours, plain, ratios = [], [], []
    for _ in range(ROUNDS):
        (a, left), (b, right) = sterna_loop(), plain_loop()
        ours.append(a)
        plain.append(b)
        ratios.append(a / b)
    same = all(torch.equal(p, q) for p, q in zip(left.parameters(), right.parameters(), strict=True))
    rows = [
        {"loop": "Sterna's Trainer", "median seconds": statistics.median(ours)},
        {"loop": "plain torch", "median seconds": statistics.median(plain)},
        {
            "loop": "ratio, round by round",
            "median": statistics.median(ratios),
            "least": min(ratios),
            "most": max(ratios),
            "same weights, bit for bit": str(same),
        },
    ]
    write("loop", f"Cost of the loop: EfficientNet-Lite0, 224 px, batch 16, 96 images, {ROUNDS} rounds in turn", rows)
