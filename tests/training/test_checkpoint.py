"""Signals while a fit runs."""

import os
import signal

import pytest

from sterna.training.checkpoint import interruptible


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
    interrupted = getsignal(signal.SIGINT)  # ignored, where a shell started the tests in the background
    monkeypatch.setattr(signal, "getsignal", lambda name: None if name == signal.SIGTERM else getsignal(name))
    with interruptible():
        assert getsignal(signal.SIGTERM) is before
        assert getsignal(signal.SIGINT) is not interrupted
    assert getsignal(signal.SIGINT) is interrupted
