"""Which blocks of a body a linear head sees."""

import numpy as np

from sterna.bench import probe
from sterna.bench.probe import block_sets, inner_blocks
from sterna.record.choice import Choice
from sterna.selection.cross_validation import Trial


def test_the_first_set_within_one_standard_error_of_the_best_is_chosen(
    source, digits, problem_of, bench_of, monkeypatch
):
    losses = {1: 0.50, 2: 0.40, 3: 0.60}  # by number of blocks beside the last; only one is best

    def choose(x, targets, task, weights, seed, units):
        each = np.tile([0.0, 2.0], len(x))[: len(x)] * 1.0
        return Trial(0.1, each + losses.get(x.shape[1] // 24, 0.7))

    problem, _ = problem_of(source, digits(120))
    monkeypatch.setattr(probe, "choose_penalty", choose)
    choices = probe.probe(bench_of(problem)).choices
    # Constant differences have no standard error, so only the best itself is near.
    sets = block_sets(["block0", "block1", "block2"])
    widths = {"block0": 8, "block1": 12, "block2": 16, "last": 24}
    best = min(sets, key=lambda each: losses.get(sum(widths[n] for n in each) // 24, 0.7))
    rows = len(problem.train)
    assert choices == (
        Choice("blocks", list(best), "cross-validation", rows, "target"),
        Choice("penalty", 0.1, "cross-validation", rows, "target"),
    )


def test_blocks_that_give_the_last_features_again_are_not_tried_twice():
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert inner_blocks({"a": x + 1, "b": x, "last": x}) == ["a"]
