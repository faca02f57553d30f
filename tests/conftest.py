"""Small real data and a small source for all tests; nothing is written into the user's cache."""

from __future__ import annotations

import os

# Before anything imports torch, also in processes that tests start: tests run beside each other, one on a core, and
# small networks are slower in several threads.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.pop("COLUMNS", None)  # how wide a terminal is decides what commands print

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Fresh layers start alike whatever ran before: alone, in order, or in one of several processes."""
    import torch

    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Features go to a folder of the test run, one for all its processes (also commands that tests start)."""
    before, folder = os.environ.get("STERNA_CACHE"), tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    os.environ["STERNA_CACHE"] = str(folder / "cache")
    yield
    os.environ.pop("STERNA_CACHE")
    if before is not None:
        os.environ["STERNA_CACHE"] = before


@pytest.fixture(scope="session")
def shared_data():
    """The folder of larger data sets (``$STERNA_DATA``)."""
    folder = Path(os.environ.get("STERNA_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"the data sets of {str(folder)!r} are not here; set STERNA_DATA")
    return folder


@pytest.fixture(scope="session")
def digits_arrays():
    """8 x 8 grey digits: images ``(1797, 8, 8)`` uint8, and class numbers."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images * 255 / 16).astype(np.uint8), found.target


@pytest.fixture(scope="session")
def digits(digits_arrays):
    """Makes a Domain of the first rows: ``digits(300)``, ``digits(300, splits=(200, 50))`` (train, validation)."""
    from sterna import Domain

    def make(rows=300, splits=None, **more):
        images, labels = (part[:rows] for part in digits_arrays)
        if splits is not None:
            first, second = splits[0], splits[0] + splits[1]
            given = {"train": range(first), "validation": range(first, second), "test": range(second, rows)}
            more["splits"] = {k: list(v) for k, v in given.items()}
        return Domain.from_arrays(images, [str(v) for v in labels], name="digits", **more)

    return make


def tiny_module(seed=77):
    """Four blocks of convolution, batch norm and dropout: features ``(n, 24)``."""
    import torch
    from torch import nn

    def block(before, after):
        return nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.Dropout(0.1)
        )

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential()
        for i, (before, after) in enumerate([(1, 8), (8, 12), (12, 16), (16, 24)]):
            module.add_module(f"block{i}", block(before, after))
        module.add_module("pool", nn.AdaptiveAvgPool2d(1))
        module.add_module("flat", nn.Flatten())
        module.train()
        for _ in range(20):  # statistics that are not those of a fresh layer
            module(torch.randn(16, 1, 8, 8) * 2 + 0.5)
    return module.eval()


@pytest.fixture
def source():
    """A small convolutional source with batch norm and dropout, for grey images of 8 pixels."""
    from sterna import load_source
    from sterna.networks import ImagePreparation

    preparation = ImagePreparation(size=8, mean=(0.5,), std=(0.25,), crop=1.0, channels=1)
    return load_source(tiny_module(), preparation=preparation)


@pytest.fixture(scope="session")
def problem_of():
    """Makes the Problem of a Domain as ``transfer`` does: ``problem_of(source, domain, seed=0)``."""

    def make(source, domain, *, seed=0, balance="none", task=None, metric=None, splits=None, **draws):
        from sterna.domains.splits import make_splits
        from sterna.experiment.problem import applied_balance, make_problem
        from sterna.tasks import infer_task

        asked = infer_task(domain, task, metric)
        targets = asked.encode(domain.labels)
        splits = make_splits(domain, targets, seed=seed, **draws) if splits is None else splits
        asked = infer_task(domain, task, metric, fit_rows=np.concatenate([splits.train, splits.validation]))
        balance = applied_balance(balance, asked, by_metric=metric is not None or len(splits.train) > 0)
        return make_problem(() if source is None else (source,), domain, asked, splits, balance, seed), splits

    return make


def trainer_in(folder):
    """A maker of Trainers whose cache is in this folder."""
    from sterna.training.cache import FeatureCache
    from sterna.training.schedule import Budget
    from sterna.training.trainer import Trainer

    def make(seed=0, epochs=None, **options):
        return Trainer(
            seed=seed, device="cpu", cache=FeatureCache(folder / "features"), budget=Budget(epochs=epochs), **options
        )

    return make


@pytest.fixture
def trainer(tmp_path):
    """Makes a Trainer with a cache of its own."""
    return trainer_in(tmp_path)


@pytest.fixture
def bench_of(trainer):
    """Makes the Bench of a Problem, with every method to be a part: ``bench_of(problem, epochs=2)``."""
    from sterna.bench import Bench
    from sterna.methods.method import make_method

    def make(problem, **options):
        return Bench(problem, trainer(**options), make_method)

    return make


@pytest.fixture(scope="module")
def module_trainer(tmp_path_factory):
    """Makes a Trainer for what the tests of a file share."""
    return trainer_in(tmp_path_factory.mktemp("module"))


@pytest.fixture
def weights_of():
    """All parameters and buffers of a module, copied."""

    def copied(module):
        return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    return copied
