"""Signals while a fit runs."""

import os
import signal

import pytest

from sterna import RequestError, transfer
from sterna.store.run import RunFolder
from sterna.training.checkpoint import interruptible


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
    with pytest.raises(RequestError, match=r"is damaged; delete it and go on with --resume"):
        transfer(None, digits(60), resume=True, **asked)
    left.unlink()
    assert transfer(None, digits(60), resume=True, **asked).record["scores"] == whole.record["scores"]
