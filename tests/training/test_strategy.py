"""What is said where processes do not find each other."""

import pytest
import torch

from sterna.errors import RequestError
from sterna.training.strategy import ManyProcesses, OneProcess, leads, strategy_on

BROKEN = [
    "[/x/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:63199. GLHF!",
    "NCCL error in: ProcessGroupNCCL.cpp:1234, remote process exited",
    "The client socket has failed to connect: Connection refused",
]


def test_processes_that_cannot_be_joined_are_one_sentence(monkeypatch):
    for name, value in {"RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RequestError, match="process 1 of 2.*MASTER_ADDR.*torchrun --nproc-per-node 2 -m sterna"):
        strategy_on(torch.device("cpu"))
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(RequestError, match="RANK is 'first'"):
        leads()


@pytest.mark.parametrize("message", BROKEN)
def test_an_error_of_a_lost_process_is_told_from_others(message):
    many = object.__new__(ManyProcesses)
    assert many.lost(RuntimeError(message))
    assert not many.lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not many.lost(ValueError(message))
    assert not OneProcess(torch.device("cpu")).lost(RuntimeError(message))
