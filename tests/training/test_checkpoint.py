"""Signals while a fit runs, and its state on disk."""

import dataclasses
import os
import signal

import pytest
import torch

from sterna import RequestError, transfer
from sterna.store.run import RunFolder
from sterna.training import checkpoint
from sterna.training.checkpoint import State, interruptible


@pytest.fixture(autouse=True)
def heard():
    """Ctrl-C is heard, also where a shell started the tests in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_the_handlers_before_come_back(name):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with interruptible() as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), name)
        assert interruption.requested
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_handler_that_is_not_pythons_own_is_left_alone(monkeypatch):
    getsignal, before = signal.getsignal, signal.getsignal(signal.SIGTERM)
    interrupted = getsignal(signal.SIGINT)
    monkeypatch.setattr(signal, "getsignal", lambda name: None if name == signal.SIGTERM else getsignal(name))
    with interruptible():
        assert getsignal(signal.SIGTERM) is before
        assert getsignal(signal.SIGINT) is not interrupted
    assert getsignal(signal.SIGINT) is interrupted


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_program_ignores_stays_ignored(name):
    before = signal.signal(name, signal.SIG_IGN)
    try:
        with interruptible() as interruption:
            os.kill(os.getpid(), name)
            os.kill(os.getpid(), signal.SIGTERM if name == signal.SIGINT else signal.SIGINT)
            assert interruption.requested
            assert signal.getsignal(name) is signal.SIG_IGN
        assert signal.getsignal(name) is signal.SIG_IGN
    finally:
        signal.signal(name, before)


def test_the_advice_on_a_damaged_checkpoint_works(digits, tmp_path):
    asked = {"method": "scratch", "control": "none", "epochs": 1, "out": tmp_path / "run"}
    whole = transfer(None, digits(60), **{**asked, "out": tmp_path / "whole"})
    asked_to_stop = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunFolder, "save_unit", asked_to_stop)
        transfer(None, digits(60), **asked)
    (left,) = (tmp_path / "run" / "work").rglob("*.pt")
    left.write_bytes(left.read_bytes()[:1000])
    with pytest.raises(RequestError, match=r"is damaged .*; delete it and go on with resume=True"):
        transfer(None, digits(60), resume=True, **asked)
    left.unlink()
    assert transfer(None, digits(60), resume=True, **asked).record["scores"] == whole.record["scores"]


@pytest.fixture
def written(tmp_path):
    """A checkpoint of a network in the middle of its training."""
    weights = {"a": torch.randn(300, generator=torch.Generator().manual_seed(0)), "n": torch.tensor(7)}
    state = State(step=5, best=weights, best_score=(0.5, -0.1), history=[{"epoch": 1, "loss": 0.3}])
    checkpoint.save(tmp_path / "fit.pt", state, weights, {"state": {0: {"exp_avg": weights["a"]}}, "param_groups": []})
    return tmp_path / "fit.pt", state, weights


def test_what_was_written_comes_back(written):
    path, state, weights = written
    found, objective, optimizer = checkpoint.load(path)
    assert torch.equal(objective["a"], weights["a"]) and torch.equal(found.best["a"], weights["a"])
    assert (found.step, found.best_score, found.history) == (5, (0.5, -0.1), state.history)
    assert torch.equal(optimizer["state"][0]["exp_avg"], weights["a"])


def test_every_flipped_byte_and_every_end_that_is_missing_is_seen(written):
    path, _, _ = written
    content = path.read_bytes()
    for place in range(0, len(content) - 8, 7):  # the last eight only say that a hash stands before them
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(RequestError, match="fit.pt' is damaged .*; delete it and go on with resume=True"):
            checkpoint.load(path)
    for end in (0, 1, 39, len(content) // 2, len(content) - 41):
        path.write_bytes(content[:end])
        with pytest.raises(RequestError, match="is damaged"):
            checkpoint.load(path)


def test_one_of_an_earlier_version_without_a_hash_is_read(written):
    path, _, weights = written
    path.write_bytes(path.read_bytes()[:-40])
    assert torch.equal(checkpoint.load(path)[1]["a"], weights["a"])


def test_a_state_of_other_types_is_refused(written):
    path, state, weights = written
    checkpoint.save(path, dataclasses.replace(state, step="five"), weights, {})
    with pytest.raises(RequestError, match="step"):
        checkpoint.load(path)
