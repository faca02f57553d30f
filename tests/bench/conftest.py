"""What the tests of the bench share."""

import pytest


@pytest.fixture
def bench_of(trainer):
    """Makes the Bench of a Problem, with every method to be a part: ``bench_of(problem, epochs=2)``."""
    from sterna.bench import Bench
    from sterna.methods.method import make_method

    def make(problem, **options):
        return Bench(problem, trainer(**options), make_method)

    return make
