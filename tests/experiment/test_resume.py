"""A run that was cut off goes on exactly; a folder is never half-written, nor written over unasked."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sterna import Domain, RequestError, RunError, load_domain, load_transfer, transfer
from sterna.domains.inputs import Preparation
from sterna.experiment import fits
from sterna.training import checkpoint
from sterna.training.batches import Stream
from sterna.training.objective import Objective
from sterna.training.schedule import Budget
from sterna.training.trainer import Trainer

RUN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
from pathlib import Path
from sterna.training.batches import Stream
from sterna.training.trainer import Trainer
if {pause}:
    epoch = Stream.epoch
    def slow(self, *arguments):
        for batch in epoch(self, *arguments):
            yield batch
            time.sleep({pause})
    Stream.epoch = slow
init = Trainer.__init__
def eager(self, *args, **more):
    init(self, *args, **{{**more, "checkpoint_seconds": 0.0}})
Trainer.__init__ = eager
sys.argv = ["sterna", *{arguments!r}]
from sterna.cli import main
main()
"""


def command(*arguments, pause=0.0):
    """``sterna``, with a checkpoint after each step (and a pause, to be killed in)."""
    script = RUN.format(arguments=[str(a) for a in arguments], pause=pause)
    return subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def digits_file(digits_arrays, tmp_path_factory):
    images, labels = (part[:700] for part in digits_arrays)
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, images=images, labels=labels)
    return path


COMMAND = ["--method", "scratch", "--control", "none", "--epochs", "3", "--quiet", "--batch-size", "64"]


@pytest.fixture(scope="module")
def whole_command(digits_file, tmp_path_factory):
    """The folder of a command that nobody stopped."""
    folder = tmp_path_factory.mktemp("command") / "whole"
    process = command("transfer", digits_file, *COMMAND, "--out", folder)
    assert process.wait() == 0, process.stderr.read()
    return folder


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_killed_command_goes_on_to_the_same_weights_bit_for_bit(digits_file, tmp_path, how, whole_command):
    asked = ["transfer", digits_file, *COMMAND]
    cut = command(*asked, "--out", tmp_path / "cut", pause=0.12)
    work = tmp_path / "cut" / "work" / "0-scratch" / "scratch.pt"
    deadline = time.monotonic() + 60
    while not work.exists() and time.monotonic() < deadline:
        assert cut.poll() is None, cut.stderr.read()
        time.sleep(0.02)
    time.sleep(1.5)  # well into the training
    assert cut.poll() is None
    cut.send_signal(how)
    cut.wait()
    message = cut.stderr.read()
    assert cut.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 1), message
    if how == signal.SIGINT:
        assert "Stopped in scratch, after step" in message and "--resume" in message
    assert not (tmp_path / "cut" / "manifest.json").exists()
    with pytest.raises(RequestError, match="not a finished Sterna run"):
        load_transfer(tmp_path / "cut")
    assert work.exists()
    again = command(*asked, "--out", tmp_path / "cut", "--resume")
    assert again.wait() == 0, again.stderr.read()
    folders = (whole_command, tmp_path / "cut")
    files = [folder / "network" / "model.safetensors" for folder in folders]
    assert files[0].read_bytes() == files[1].read_bytes()
    records = [json.loads((folder / "manifest.json").read_text()) for folder in folders]
    for key in ("scores", "selected_by", "chosen", "trained_parameters"):
        assert records[0][key] == records[1][key]
    histories = [json.loads((folder / "history.json").read_text())["scratch"] for folder in folders]
    plain = [[{k: v for k, v in row.items() if k != "seconds"} for row in some] for some in histories]
    assert plain[0] == plain[1]
    assert not (tmp_path / "cut" / "work").exists()


class Cut(Exception):
    """Stands for a power cut."""


@pytest.mark.parametrize("after", (5, 11))
def test_a_cut_after_any_checkpoint_changes_nothing(digits, tmp_path, monkeypatch, after, whole_run):
    monkeypatch.setattr(Trainer, "__init__", eager(Trainer.__init__))
    saved, save = [], checkpoint.save

    def counted(*arguments):
        save(*arguments)
        saved.append(1)
        if len(saved) == after:
            raise Cut

    monkeypatch.setattr(checkpoint, "save", counted)
    with pytest.raises(Cut):
        transfer(None, digits(700), out=tmp_path / "cut", **ASKED)
    monkeypatch.setattr(checkpoint, "save", save)
    resumed = transfer(None, digits(700), out=tmp_path / "cut", resume=True, **ASKED)
    assert (resumed.folder.path / "network" / "model.safetensors").read_bytes() == whole_run[0]
    assert resumed.record["scores"] == whole_run[1]["scores"]
    assert resumed.record["chosen"] == whole_run[1]["chosen"]
    assert resumed.record["trained_parameters"] == whole_run[1]["trained_parameters"]


class Half(Objective):
    """A small network with batch norm and dropout."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 2))

    def forward(self, batch):
        return {"task": nn.functional.cross_entropy(self.net(batch.inputs), batch.targets)}


class Rows(Preparation):
    kind = "table"

    def items(self, inputs):
        return inputs

    def collate(self, items):
        return torch.stack(list(items))

    def state(self):
        return {}


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("budget", [Budget(epochs=4), Budget(steps=15)])
def test_a_fit_cut_after_any_checkpoint_ends_the_same(tmp_path, monkeypatch, patience, budget):
    """Also between an epoch's last step and its validation, and when patience has just run out."""
    x = torch.randn(24, 4, generator=torch.Generator().manual_seed(1))
    scores = {4: 0.8, 8: 0.5, 12: 0.4, 16: 0.95, 15: 0.9}  # by step; without patience the best comes last

    def fit(folder, resume, cut=None):
        objective, saves, save = Half(), [], checkpoint.save

        def counted(*arguments):
            save(*arguments)
            saves.append(1)
            if len(saves) == cut:
                raise Cut

        monkeypatch.setattr(checkpoint, "save", counted)
        coach = Trainer(seed=4, device="cpu", folder=folder, resume=resume, checkpoint_seconds=0.0, budget=budget)
        stream = Stream(Rows(), x, (x.sum(1) > 0).long().numpy(), batch_size=6, seed=4)
        validate = lambda: (scores[int(objective.net[1].num_batches_tracked)],)
        groups = [{"params": list(objective.parameters()), "lr": 0.05, "weight_decay": 0.1}]
        try:
            kept = coach.fit(
                objective, stream, groups, stage="fit", epochs=6, validate=validate, patience=patience, average=True
            )
        finally:
            monkeypatch.setattr(checkpoint, "save", save)
        history = [{k: v for k, v in row.items() if k != "seconds"} for row in coach.log.history]
        return kept, history, objective.state_dict(), len(saves)

    whole = fit(tmp_path / "whole", False)
    for cut in range(1, whole[3] + 1):
        with pytest.raises(Cut):
            fit(tmp_path / str(cut), False, cut)
        again = fit(tmp_path / str(cut), True)
        assert again[:2] == whole[:2], cut
        assert all(torch.equal(value, again[2][name]) for name, value in whole[2].items()), cut


ASKED = {"method": "scratch", "control": "none", "epochs": 3, "batch_size": 90, "settings": {"augment": False}}


def eager(init):
    return lambda self, *args, **more: init(self, *args, **{**more, "checkpoint_seconds": 0.0})


@pytest.fixture(scope="module")
def whole_run(digits, tmp_path_factory):
    result = transfer(None, digits(700), out=tmp_path_factory.mktemp("whole") / "run", **ASKED)
    return (result.folder.path / "network" / "model.safetensors").read_bytes(), result.record


@pytest.fixture
def finished(digits, tmp_path):
    def run(domain=None, **more):
        more = {"method": "scratch", "control": "none", "epochs": 1, **more}
        return transfer(None, domain or digits(100), out=tmp_path / "run", **more)

    return run


def test_resuming_a_finished_run_gives_it_back(finished):
    first = finished()
    again = finished(resume=True)
    assert again.record == first.record


@pytest.mark.parametrize("how", ["gone", "cut", "replaced"])
def test_an_image_that_breaks_during_a_run_loses_no_fit_that_was_done(digits_arrays, tmp_path, monkeypatch, how):
    for i, (pixels, label) in enumerate(zip(*(part[:60] for part in digits_arrays), strict=True)):
        place = tmp_path / "photos" / ("even" if label % 2 == 0 else "odd") / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    asked = {"method": "scratch", "control": "none", "epochs": 1, "seeds": 2, "out": tmp_path / "run"}
    fit, fitted, aside = fits.fit_unit, [], tmp_path / "aside"

    def broken_after_the_first(name, method, problem, *others, **more):
        fitted.append(problem.seed)
        if len(fitted) == 2:
            place.rename(aside)
            if how == "cut":
                place.write_bytes(aside.read_bytes()[:60])
            elif how == "replaced":  # by what can be read as well as before
                Image.fromarray(digits_arrays[0][70]).save(place)
        return fit(name, method, problem, *others, **more)

    monkeypatch.setattr(fits, "fit_unit", broken_after_the_first)
    with pytest.raises(RunError, match=rf"{place.name} in .* cannot be read as an image any more .*resume=True"):
        transfer(None, load_domain(tmp_path / "photos"), **asked)
    assert (tmp_path / "run" / "work" / "0-scratch" / "unit.json").exists()
    aside.replace(place)
    again = transfer(None, load_domain(tmp_path / "photos"), resume=True, **asked)
    assert again.evidence.seeds == (0, 1) and fitted == [0, 1, 0, 1]


def test_resuming_where_there_is_nothing_is_refused(finished, tmp_path):
    with pytest.raises(RequestError, match="no run in .* to go on with"):
        finished(resume=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 2}, "another epochs=: repeat"),
        ({"seed": 1}, "another seed"),
        ({"settings": {"learning_rate": 0.1}}, "another settings"),
        ({"labels_per_class": 3}, "another labels_per_class=: repeat"),
    ],
)
def test_resuming_with_other_settings_is_refused(finished, tmp_path, change, words):
    finished()
    before = contents(tmp_path / "run")
    with pytest.raises(RequestError, match=words):
        finished(resume=True, **change)
    assert contents(tmp_path / "run") == before


def test_resuming_with_other_rows_or_labels_is_refused(finished, digits, digits_arrays):
    finished()
    with pytest.raises(
        RequestError, match=r"another content of the target \(.*\), set of the target's labels, groups, .*: repeat"
    ):
        finished(digits(120), resume=True)
    images, labels = (part[:100] for part in digits_arrays)
    other = [str(v) for v in labels]
    other[5] = "0" if other[5] != "0" else "1"
    with pytest.raises(RequestError, match="another set of the target's labels"):
        finished(Domain.from_arrays(images, other, name="digits"), resume=True)


def test_a_run_is_never_written_over_unasked(finished, tmp_path):
    finished()
    before = contents(tmp_path / "run")
    with pytest.raises(RequestError, match="exists: continue it with resume=True, replace it with overwrite=True"):
        finished(epochs=2)
    assert contents(tmp_path / "run") == before
    again = finished(epochs=2, overwrite=True)
    assert again.record["budget"]["epochs"] == 2
    assert not (tmp_path / "run" / "work").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_no_run_is_left_alone(finished, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    for more in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(RequestError, match="is not a Sterna run, so it is left alone"):
            finished(**more)
    assert contents(tmp_path / "run") == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize(
    "more", [{"labels_per_class": 500}, {"method": "fine-tuning"}, {"metric": "r2"}, {"control": "nothing"}]
)
def test_overwriting_with_a_wrong_request_keeps_the_old_run(finished, tmp_path, more):
    finished()
    before = contents(tmp_path / "run")
    with pytest.raises(RequestError):
        finished(overwrite=True, **more)
    assert contents(tmp_path / "run") == before


def test_a_request_that_proves_wrong_on_the_way_brings_the_old_run_back(finished, digits, source, tmp_path):
    finished()
    before = contents(tmp_path / "run")
    wrong = {"method": "fine-tuning", "settings": {"freeze_until": "nowhere", "linear_probe": False}, "control": "none"}
    with pytest.raises(RequestError, match="no block 'nowhere'"):
        transfer(source, digits(100), out=tmp_path / "run", overwrite=True, **wrong)
    assert contents(tmp_path / "run") == before
    with pytest.raises(RequestError, match="no block 'nowhere'"):
        transfer(source, digits(100), out=tmp_path / "new", **wrong)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_run_that_fails_under_way_can_be_overwritten_and_keeps_the_old_one_till_then(finished, tmp_path, monkeypatch):
    finished()
    old = (tmp_path / "run" / "manifest.json").read_bytes()
    fit = Trainer.fit
    for _ in range(2):
        monkeypatch.setattr(Trainer, "fit", lambda *_, **__: (_ for _ in ()).throw(Cut))
        with pytest.raises(Cut):
            finished(overwrite=True)
        assert (tmp_path / "run" / "work" / "replaced" / "manifest.json").read_bytes() == old
        assert not (tmp_path / "run" / "manifest.json").exists()
    monkeypatch.setattr(Trainer, "fit", fit)
    finished(overwrite=True)
    assert not (tmp_path / "run" / "work").exists()


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_test_rows_do_not_depend_on_the_seed_but_a_run_begun_before_that_keeps_its_own(tmp_path):
    random = np.random.default_rng(0)
    domain = Domain.from_arrays(random.normal(size=(60, 2)), random.choice(["a", "b"], 60))

    def tested(name, **more):
        result = transfer(None, domain, method="target-only", control="none", seeds=1, out=tmp_path / name, **more)
        return result.folder.path, load_transfer(tmp_path / name).evidence.target.splits, rows_of(tmp_path / name)

    def rows_of(path):
        import pandas as pd

        frame = pd.read_parquet(path / "splits.parquet")
        return frame.row[frame.split == "test"].tolist()

    first, second, other = tested("one"), tested("two", seed=3), tested("older", seed=3, split_seed=3)
    assert first[2] == second[2] != other[2]
    (tmp_path / "older" / "manifest.json").unlink()  # as if it had been stopped
    path = tmp_path / "older" / "request.json"
    kept = json.loads(path.read_text())
    for name in ("split_seed", "test_size", "test_repeats", "gap", "target_splits", "source_splits"):
        del kept[name]  # which older versions did not know
    path.write_text(json.dumps(kept))
    assert tested("older", seed=3, resume=True) == other
