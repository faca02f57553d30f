"""The order of rows: from the seed alone, whatever the workers, the start and the number of processes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.domains.inputs import Preparation
from sterna.errors import RequestError
from sterna.training.batches import Batch, Stream


class Numbers(Preparation):
    """Items are numbers; augmentation adds a random one."""

    kind = "table"

    def items(self, inputs):
        return inputs

    def augmented(self, items, row, random):
        return items[row] + random.normal()

    def collate(self, items):
        return torch.tensor(items, dtype=torch.float64)

    def state(self):
        return {"type": "numbers"}


def stream(n=50, **options):
    return Stream(Numbers(), list(range(n)), np.arange(n), **options)


@given(n=st.integers(1, 60), batch=st.integers(1, 20), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_every_row_once_an_epoch_in_batches_of_nearly_equal_size(n, batch, seed):
    rows = stream(n, batch_size=batch, seed=seed)
    batches = list(rows.epoch(0))
    assert len(batches) == rows.steps
    assert sorted(torch.cat([b.rows for b in batches]).tolist()) == list(range(n))
    sizes = [len(b) for b in batches]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch


def test_inputs_targets_and_weights_stay_together():
    rows = stream(weights=np.arange(50) / 10, batch_size=7)
    for batch in rows.epoch(3):
        assert torch.equal(batch.inputs.long(), batch.targets)
        torch.testing.assert_close(batch.weights, batch.rows.float() / 10)


def test_an_epoch_taken_up_in_the_middle_goes_on_as_it_would_have():
    whole = [b.inputs for b in stream(batch_size=8, augment=True, seed=1).epoch(2)]
    rest = [b.inputs for b in stream(batch_size=8, augment=True, seed=1).epoch(2, start=3)]
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], rest, strict=True))


def test_epochs_differ_and_seeds_differ():
    rows = stream(seed=1)
    assert rows.order(0).tolist() != rows.order(1).tolist()
    assert rows.order(0).tolist() != stream(seed=2).order(0).tolist()


def test_workers_change_nothing():
    alone = [b.inputs for b in stream(batch_size=8, augment=True).epoch(1)]
    helped = [b.inputs for b in stream(batch_size=8, augment=True, workers=2).epoch(1)]
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))


def test_two_processes_share_each_batch():
    whole = list(stream(48, batch_size=8).epoch(0))
    shares = [list(stream(48, batch_size=8, rank=r, world=2).epoch(0)) for r in range(2)]
    for batch, left, right in zip(whole, *shares, strict=True):
        assert sorted(left.rows.tolist() + right.rows.tolist()) == sorted(batch.rows.tolist())


@pytest.mark.parametrize(("count", "size", "world"), [(33, 8, 2), (33, 7, 3), (5, 2, 2), (3, 8, 4), (1, 1, 2)])
def test_every_row_of_an_uneven_batch_counts_alike(count, size, world):
    whole = list(stream(count, batch_size=size).epoch(0))
    shares = [list(stream(count, batch_size=size, rank=r, world=world).epoch(0)) for r in range(world)]
    for batch, *parts in zip(whole, *shares, strict=True):
        found, counts = np.unique([row for part in parts for row in part.rows.tolist()], return_counts=True)
        assert found.tolist() == sorted(batch.rows.tolist()) and len(set(counts)) == 1
        assert min(map(len, parts)) > 0
        assert len(batch) < world or counts[0] == 1  # no row is learnt twice where there are enough


def test_drawing_with_probabilities_balances_classes():
    draw = np.where(np.arange(100) < 90, 0.5 / 90, 0.5 / 10)
    rows = stream(100, draw=draw)
    rare = np.mean([np.mean(rows.order(epoch) >= 90) for epoch in range(50)])
    assert rare == pytest.approx(0.5, abs=0.03)


def test_parts_of_a_batch_put_together_are_the_batch():
    batch = Batch({"a": torch.arange(10), "b": [str(i) for i in range(10)]}, torch.arange(10), None, torch.arange(10))
    parts = batch.parts(3)
    assert [len(p) for p in parts] == [4, 3, 3]
    assert torch.equal(torch.cat([p.inputs["a"] for p in parts]), batch.inputs["a"])
    assert [b for p in parts for b in p.inputs["b"]] == batch.inputs["b"]


class Broken(Numbers):
    def collate(self, items):
        try:
            raise OSError("no such file")
        except OSError as error:
            raise RequestError("a/1.png cannot be read; replace it.") from error


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_worker_cannot_read_is_said_in_its_own_sentence(workers):
    rows = Stream(Broken(), list(range(4)), workers=workers)
    with pytest.raises(RequestError) as said:
        next(rows.epoch(0))
    assert str(said.value) == "a/1.png cannot be read; replace it."
