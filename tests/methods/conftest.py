"""What the tests of methods share."""

import pytest


@pytest.fixture
def quickly():
    """Fits a method where a probe reads the last features and has a given penalty: choosing both takes longest."""
    from sterna.bench import Bench
    from sterna.methods.method import make_method

    class Quick(Bench):
        def probe(self, blocks="last", penalty=0.1):
            return super().probe(blocks, penalty)

    def fit(method, problem, trainer):
        fitted = method.run(Quick(problem, trainer, make_method))
        trainer.log.choices += fitted.choices
        return fitted

    return fit


@pytest.fixture
def seeded(quickly):
    """Runs a method from random numbers that start alike."""
    import torch

    def run(method, problem, trainer):
        torch.manual_seed(0)
        return quickly(method, problem, trainer).network

    return run
