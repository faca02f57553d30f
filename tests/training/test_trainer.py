"""The one loop: the same steps as plain torch, exact resume, and what happens when things go wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sterna.domains.inputs import Preparation
from sterna.errors import RunError, TooLongError
from sterna.training.batches import Stream
from sterna.training.cache import FeatureCache
from sterna.training.objective import Objective
from sterna.training.schedule import Budget, warmup_cosine
from sterna.training.trainer import Trainer


class Vectors(Preparation):
    """Items are rows of a matrix."""

    kind = "table"

    def items(self, inputs):
        return inputs

    def collate(self, items):
        return torch.stack(list(items))

    def state(self):
        return {"type": "vectors"}


X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
Y = (X.sum(1) > 0).long().numpy()


class Fit(Objective):
    """Cross-entropy of a small network, with a penalty term, so that there are two."""

    def __init__(self, dropout=0.3):
        super().__init__()
        torch.manual_seed(7)
        self.net = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 2))

    def forward(self, batch):
        outputs = self.net(batch.inputs)
        return {
            "task": nn.functional.cross_entropy(outputs, batch.targets),
            "size": 1e-3 * sum(p.square().sum() for p in self.net.parameters()),
        }


def stream(**options):
    return Stream(Vectors(), X, Y, batch_size=8, seed=3, **options)


def groups(objective, rate=0.01):
    return [{"params": list(objective.parameters()), "lr": rate, "weight_decay": 0.1}]


def trainer(tmp_path, **options):
    return Trainer(seed=3, device="cpu", cache=FeatureCache(tmp_path / "cache"), **options)


def same(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())


def test_it_is_adamw_with_warmup_cosine_and_clipping(tmp_path):
    ours, plain = Fit(dropout=0), Fit(dropout=0)
    trainer(tmp_path).fit(ours, stream(), groups(ours), stage="fit", epochs=3)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    rows, step = stream(), 0
    plain.train()
    for epoch in range(3):
        for batch in rows.epoch(epoch):
            optimizer.param_groups[0]["lr"] = 0.01 * warmup_cosine((step + 1) / (3 * rows.steps + 1))
            optimizer.zero_grad()
            sum(plain(batch).values()).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
            step += 1
    assert same(ours, plain)


def test_every_term_is_in_the_history_and_they_sum_to_the_loss(tmp_path):
    ours, coach = Fit(), trainer(tmp_path)
    coach.fit(ours, stream(), groups(ours), stage="fit", epochs=2)
    assert [row["epoch"] for row in coach.log.history] == [1, 2]
    for row in coach.log.history:
        assert row["loss"] == pytest.approx(row["task"] + row["size"])
    assert coach.log.history[1]["task"] < coach.log.history[0]["task"]


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_random_numbers_alone(tmp_path):
    first, second = Fit(), Fit()
    trainer(tmp_path).fit(first, stream(), groups(first), stage="fit", epochs=2)
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    trainer(tmp_path).fit(second, stream(), groups(second), stage="fit", epochs=2)
    assert torch.equal(torch.rand(3), expected)
    assert same(first, second)


@pytest.mark.parametrize(
    ("budget", "steps"), [(Budget(epochs=2), 16), (Budget(steps=11), 11), (Budget(epochs=1, steps=50), 8)]
)
def test_the_budget_that_ends_first_ends_it(tmp_path, budget, steps):
    ours, coach = Fit(), trainer(tmp_path, budget=budget)
    coach.fit(ours, stream(), groups(ours), stage="fit", epochs=10)
    assert coach.log.history[-1]["step"] == steps


def test_seconds_end_it(tmp_path):
    ours, coach = Fit(), trainer(tmp_path, budget=Budget(seconds=0.3))
    started = time.monotonic()
    coach.fit(ours, stream(), groups(ours), stage="fit", epochs=100_000)
    assert time.monotonic() - started < 5


def test_the_best_epoch_by_validation_is_kept_and_it_stops_early(tmp_path):
    ours, coach, scores, seen = Fit(), trainer(tmp_path), iter([0.1, 0.5, 0.4, 0.3, 0.2, 0.1]), []

    def validate():
        seen.append({k: v.clone() for k, v in ours.state_dict().items()})
        return (next(scores),)

    coach.fit(ours, stream(), groups(ours), stage="fit", epochs=6, validate=validate, patience=2)
    assert len(coach.log.history) == 4
    assert all(torch.equal(v, seen[1][k]) for k, v in ours.state_dict().items())


def test_the_mean_of_the_last_weights_is_their_mean_and_wins_only_when_no_worse(tmp_path):
    ours, seen = Fit(), []

    def validate():
        seen.append({k: v.clone() for k, v in ours.state_dict().items()})
        return (0.5,)

    trainer(tmp_path).fit(ours, stream(), groups(ours), stage="fit", epochs=6, validate=validate, average=True)
    weight = "net.0.weight"
    torch.testing.assert_close(ours.state_dict()[weight], (seen[4][weight] + seen[5][weight]) / 2)
    worse, scores = Fit(), iter([0.1, 0.2, 0.3, 0.4, 0.9, 0.6, 0.0])
    kept = []

    def falling():
        kept.append({k: v.clone() for k, v in worse.state_dict().items()})
        return (next(scores),)

    trainer(tmp_path).fit(worse, stream(), groups(worse), stage="fit", epochs=6, validate=falling, average=True)
    assert torch.equal(worse.state_dict()[weight], kept[4][weight])


class Greedy(Fit):
    """Runs out of memory for more than two rows."""

    def forward(self, batch):
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"task": nn.functional.cross_entropy(self.net[4](self.net[0](batch.inputs)), batch.targets)}


def test_out_of_memory_halves_the_batch_says_so_and_changes_nothing_else(tmp_path):
    class Ample(Greedy):
        def forward(self, batch):
            return {"task": nn.functional.cross_entropy(self.net[4](self.net[0](batch.inputs)), batch.targets)}

    tight, ample, coach = Greedy(), Ample(), trainer(tmp_path)
    coach.fit(tight, stream(), groups(tight), stage="fit", epochs=1)
    trainer(tmp_path).fit(ample, stream(), groups(ample), stage="fit", epochs=1)
    assert any("computed in 4 parts" in sentence for sentence in coach.log.messages)
    for name, value in ample.state_dict().items():
        torch.testing.assert_close(tight.state_dict()[name], value, atol=1e-5, rtol=1e-4)


def test_a_loss_that_is_not_finite_stops_with_advice_and_keeps_good_weights(tmp_path):
    class Breaks(Fit):
        steps = 0

        def forward(self, batch):
            Breaks.steps += 1
            terms = super().forward(batch)
            return terms if Breaks.steps < 12 else {"task": terms["task"] * float("nan")}

    ours = Breaks()
    with pytest.raises(RunError, match=r"loss of fit is nan at step 12: try a smaller learning rate.*fit\.pt"):
        trainer(tmp_path, folder=tmp_path, checkpoint_seconds=0).fit(
            ours, stream(), groups(ours), stage="fit", epochs=5
        )
    kept = torch.load(tmp_path / "fit.pt", weights_only=True)
    assert kept["state"]["step"] == 11
    assert all(torch.isfinite(v).all() for v in kept["objective"].values())


SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
sys.path.insert(0, {here!r})
from pathlib import Path
from test_trainer import Fit, groups, stream, trainer
class Slow(Fit):
    def forward(self, batch):
        time.sleep({pause})
        return super().forward(batch)
fit = Slow()
t = trainer(Path({folder!r}), folder=Path({folder!r}), checkpoint_seconds=0.0, resume={resume})
t.fit(fit, stream(), groups(fit), stage="fit", epochs=6, validate=lambda: (-t.log.history.__len__(),), average=True)
import torch
torch.save(fit.state_dict(), Path({folder!r}) / "final.pt")
"""


def run_script(folder, resume=False, pause=0.0):
    code = SCRIPT.format(here=str(Path(__file__).parent), folder=str(folder), resume=resume, pause=pause)
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})


@pytest.fixture(scope="module")
def whole_script(tmp_path_factory):
    """The folder of a script that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    assert run_script(folder).wait() == 0
    return folder


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_and_resumed_gives_the_same_weights_bit_for_bit(tmp_path, how, whole_script):
    (tmp_path / "cut").mkdir()
    process = run_script(tmp_path / "cut", pause=0.05)
    while not (tmp_path / "cut" / "fit.pt").exists() or torch.load(tmp_path / "cut" / "fit.pt")["state"]["step"] < 11:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(how)
    assert process.wait() != 0
    assert not (tmp_path / "cut" / "final.pt").exists()
    assert run_script(tmp_path / "cut", resume=True).wait() == 0
    folders = (whole_script, tmp_path / "cut")
    whole, resumed = (torch.load(folder / "final.pt", weights_only=True) for folder in folders)
    assert all(torch.equal(v, resumed[k]) for k, v in whole.items())


def test_features_and_outputs_of_rows_in_any_order(tmp_path):
    from sterna.domains import Domain
    from sterna.networks import ImagePreparation, Network, freeze
    from sterna.networks.small import small_body

    images = np.random.default_rng(0).integers(0, 255, (20, 16, 16), dtype=np.uint8)
    domain = Domain.from_arrays(images)
    body, preparation = small_body(domain.inputs, seed=0)
    assert isinstance(preparation, ImagePreparation)
    network, coach = Network(preparation, body, nn.Linear(body.width, 3)), trainer(tmp_path)
    plain = coach.outputs(network, domain.inputs)
    freeze(network.body)
    rows = np.array([7, 3, 3, 19])
    np.testing.assert_allclose(coach.outputs(network, domain.inputs, rows), plain[rows], atol=1e-5)
    np.testing.assert_allclose(coach.outputs(network, domain.inputs), plain, atol=1e-5)


@pytest.mark.parametrize(("seconds", "ends"), [(60.0, True), (40.0, False)])
def test_a_training_that_cannot_end_in_time_stops_early_and_says_what_it_takes(monkeypatch, seconds, ends):
    """Steps of a second each by a clock of its own, 48 of them; the first take longer."""
    clock = [100.0]
    monkeypatch.setattr("sterna.training.fit.time.monotonic", lambda: clock[0])

    class Slow(Fit):
        steps = 0

        def forward(self, batch):
            self.steps += 1
            clock[0] += 5.0 if self.steps < 3 else 1.0
            return super().forward(batch)

    objective = Slow()
    trainer = Trainer(until=100.0 + seconds)
    groups = [{"params": list(objective.parameters()), "lr": 1e-3, "weight_decay": 0.0}]
    if ends:
        trainer.fit(objective, stream(), groups, stage="slow", epochs=6)
        assert objective.steps == 48
    else:
        with pytest.raises(TooLongError, match="slow would take about 56 s"):
            trainer.fit(objective, stream(), groups, stage="slow", epochs=6)
        assert objective.steps == 4
