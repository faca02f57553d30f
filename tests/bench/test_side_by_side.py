"""What networks that learn from both domains at once minimise."""

import numpy as np
import torch

from sterna import Domain, Source
from sterna.bench.side_by_side import BATCH, TwoDomains, sides_of, streams_of


def test_the_loss_is_that_of_the_source_and_lambda_times_that_of_the_target(digits_arrays, problem_of, bench_of):
    images, labels = digits_arrays
    old, new = np.flatnonzero(labels < 5)[:120], np.flatnonzero(labels >= 5)[:180]
    known, domain = (Domain.from_arrays(images[rows], [str(v) for v in labels[rows]]) for rows in (old, new))
    problem, _ = problem_of(Source("digits", data=known), domain)
    bench = bench_of(problem)
    sides = sides_of(bench)
    target = bench.network(sides.target_preparation, sides.target)
    source = bench.on(problem.on_source()).network(sides.source_preparation, sides.source)
    objective = TwoDomains(source, target, problem.known.task, weight=0.3).eval()
    batch = next(iter(streams_of(bench, sides, augment=False).epoch(0)))
    assert BATCH == 32 and all(2 <= len(batch[name].targets) <= BATCH for name in ("source", "target"))
    terms = objective(batch)
    for name, network, weight in (("source", source, 1.0), ("target", target, 0.3)):
        logits = network(batch[name].inputs)
        by_hand = -torch.log_softmax(logits, 1)[torch.arange(len(logits)), batch[name].targets].mean() * weight
        torch.testing.assert_close(terms[name], by_hand)
