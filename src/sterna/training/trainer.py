"""The one training loop, and the one way to run a network over many rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from sterna.domains.inputs import Inputs, Items, Preparation
from sterna.errors import RequestError
from sterna.kinds.kind import kind_of
from sterna.networks.network import Network
from sterna.networks.views import Featured as Viewed
from sterna.networks.views import Views
from sterna.training import checkpoint
from sterna.training.batches import Batch, Stream, Streams, move
from sterna.training.cache import FeatureCache, Features
from sterna.training.fit import Fit, Score
from sterna.training.log import Log
from sterna.training.objective import Objective
from sterna.training.progress import Progress
from sterna.training.row_keys import row_keys
from sterna.training.schedule import Budget
from sterna.training.search import Search
from sterna.training.strategy import strategy_on

Array = np.ndarray[Any, Any]


class Featured(Viewed, Protocol):
    """A body, or a part of one, that can be run on a device."""

    def weights_fingerprint(self) -> str: ...

    def train(self, mode: bool = True) -> nn.Module: ...

    def to(self, device: torch.device) -> nn.Module: ...


@dataclass
class Trainer:
    """Trains objectives and runs networks, on one device, for one method and one seed.

    Attributes
    ----------
    seed
        All random numbers follow from it.
    device
        ``"auto"`` takes a GPU where there is one.
    precision
        ``"float32"`` or ``"bfloat16"`` (autocast); ``"auto"`` is bfloat16 on a GPU that has it.
    batch_size
        Rows of an optimiser step; the method's default where ``None``.
    budget
        When training ends.
    folder
        Where checkpoints go; none are written where ``None``.
    resume
        Go on from the checkpoint in `folder`.
    checkpoint_seconds
        Most seconds of work that a killed process loses.
    search
        What a search for the best candidate shares with those of other draws.
    until
        When a training must be able to end, in seconds of `time.monotonic`; without a bound where ``None``.
    """

    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    budget: Budget = field(default_factory=Budget)
    folder: Path | None = None
    resume: bool = False
    checkpoint_seconds: float = 60.0
    cache: FeatureCache = field(default_factory=FeatureCache)
    progress: Progress = field(default_factory=Progress)
    log: Log = field(default_factory=Log)
    search: Search = field(default_factory=Search)
    until: float | None = None

    def __post_init__(self) -> None:
        self.torch_device = pick_device(self.device)
        if self.precision == "auto":
            half = self.torch_device.type == "cuda" and torch.cuda.is_bf16_supported()
            self.precision = "bfloat16" if half else "float32"
        self.strategy = strategy_on(self.torch_device)

    def aside(self, name: str, *, quiet: bool = False) -> Trainer:
        """A trainer for what only serves to choose: its log and its checkpoints are not the run's; quiet, no bar is."""
        folder = None if self.folder is None else self.folder / name
        return replace(self, folder=folder, log=Log(), progress=Progress(quiet=True) if quiet else self.progress)

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Torch's own random numbers (of fresh layers) follow from the seed; the caller's stay."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            yield

    def say(self, sentence: str) -> None:
        """Tell the user, and keep it with the result."""
        self.log.messages.append(sentence)
        self.progress.say(sentence)

    # -- running a network over many rows ------------------------------------------------------------

    def features(
        self,
        body: Featured,
        preparation: Preparation,
        inputs: Inputs,
        blocks: Sequence[str],
        views: Views = Views.ONE,
    ) -> Features:
        """Pooled features of these blocks for every row, each row computed once and kept on disk.

        Rows that were computed before, whatever rows they came with, are only read. They do not mix with those of
        another kind of device or another precision.
        """

        def compute(missing: Sequence[str], rows: Array, write: Callable[[Array, dict[str, Array]], None]) -> None:
            some = inputs if len(rows) == len(inputs) else inputs.take(rows)
            for batch in self._sweep(preparation, some, f"features of {len(some)} rows", body):
                found = views.features(body, batch.inputs, missing)
                write(rows[batch.rows.numpy()], {name: part.float().cpu().numpy() for name, part in found.items()})

        prepared = f"{preparation.fingerprint()} {self.torch_device.type} {self.precision}"
        weights = f"{body.weights_fingerprint()}{'' if views is Views.ONE else f' {views.value}'}"
        return self.cache.get(weights, prepared, row_keys(inputs), blocks, compute)

    def outputs(self, network: Network, inputs: Inputs, rows: Array | None = None) -> Array:
        """What the network predicts for these rows, or all, ``(n, o)`` float64; a frozen body's features are cached."""
        wanted = np.arange(len(inputs)) if rows is None else np.asarray(rows)
        if network.body_is_frozen() and any(True for _ in network.body.parameters()):
            return self._head_outputs(network, inputs, wanted)
        some = inputs if rows is None else inputs.take(wanted)
        parts: dict[int, Array] = {}
        for batch in self._sweep(network.preparation, some, f"predictions for {len(some)} rows", network):
            part = network(batch.inputs).double().cpu().numpy()
            parts |= dict(zip(batch.rows.tolist(), part, strict=True))
        return np.stack([parts[i] for i in range(len(wanted))])

    def _head_outputs(self, network: Network, inputs: Inputs, rows: Array) -> Array:
        """Outputs of a network whose body is frozen, from cached features."""
        features = self.features(network.body, network.preparation, inputs, network.body.outputs, network.views)
        head = nn.Sequential(network.map, network.head).eval().cpu()
        found: Array | None = None
        for start, part in features.chunks():
            here = (rows >= start) & (rows < start + len(part))
            with torch.inference_mode():
                outputs = head(torch.from_numpy(part[rows[here] - start])).double().numpy()
            if found is None:
                found = np.empty((len(rows), outputs.shape[1]))
            found[here] = outputs
        assert found is not None
        return found

    def _sweep(
        self, preparation: Preparation, inputs: Inputs, what: str, module: Featured | nn.Module
    ) -> Iterator[Batch]:
        """Every row once, prepared and on the device, with the module ready for inference."""
        was_training = module.training
        module.train(False)
        module.to(self.torch_device)
        items = self._prepared(preparation, inputs)
        rows = preparation.order(items)
        stream = Stream(
            preparation,
            items,
            rows=rows,
            batch_size=preparation.inference_rows(self.torch_device.type == "cpu"),
            shuffle=False,
            workers=self._workers(inputs),
        )
        self.progress.start(what, len(inputs))
        with torch.inference_mode(), self.autocast():
            for batch in stream.epoch(0):
                yield Batch(move(batch.inputs, self.torch_device), None, None, batch.rows)
                self.progress.advance(len(batch))
        module.train(was_training)

    def stream(
        self,
        preparation: Preparation,
        inputs: Inputs,
        targets: Array | None,
        *,
        rows: Array | None = None,
        weights: Array | None = None,
        draw: Array | None = None,
        batch_size: int = 32,
        augment: bool = False,
    ) -> Stream:
        """Rows for training, in this trainer's order and share."""
        return Stream(
            preparation,
            self._prepared(preparation, inputs),
            targets,
            rows=rows,
            weights=weights,
            draw=draw,
            batch_size=self.batch_size or batch_size,
            seed=self.seed,
            augment=augment,
            workers=self._workers(inputs),
            rank=self.strategy.rank,
            world=self.strategy.world,
        )

    def _prepared(self, preparation: Preparation, inputs: Inputs) -> Items:
        """Prepared rows; what was cut off is said, once for each sentence."""
        items = preparation.items(inputs)
        note = preparation.note(items)
        if note and note not in self.log.messages:
            self.say(note)
        return items

    def _workers(self, inputs: Inputs) -> int:
        """Processes that decode: worth their start only for many rows that take long."""
        if not kind_of(inputs.kind).decoded or len(inputs) < 512:
            return 0
        return 1 if self.torch_device.type == "cpu" else min(8, os.cpu_count() or 1)

    def autocast(self) -> torch.autocast:
        """Where the networks run: half precision where the trainer has it."""
        return torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    # -- training ------------------------------------------------------------------------------------

    def fit(
        self,
        objective: Objective,
        stream: Stream | Streams,
        groups: list[dict[str, Any]],
        *,
        stage: str,
        epochs: int,
        before_epoch: Callable[[int], None] | None = None,
        validate: Callable[[], Score] | None = None,
        patience: int | None = None,
        average: bool = False,
    ) -> str:
        """Train in place.

        Parameters
        ----------
        objective
            Gives the loss terms of a batch; holds what is trained.
        stream
            The batches.
        groups
            Parameter groups of AdamW: ``params``, ``lr``, ``weight_decay``.
        stage
            Names this fit in the history, the progress bar and the checkpoint's file.
        epochs
            Where the budget names none.
        before_epoch
            Called with the number of each epoch: to freeze and unfreeze.
        validate
            Gives the score that chooses the epoch; called after each.
        patience
            Epochs without a better score after which training stops.
        average
            Also try the mean of the weights over the last third of the epochs, and keep it unless validation
            found a better epoch.

        Returns
        -------
        str
            Whose weights were kept: ``"epoch 7"``, or ``"mean of the last 3 epochs"``.

        Raises
        ------
        RunError
            If the loss is not finite, memory runs out for a single row, someone asked to stop, or it cannot end in
            time (`until`).
        """
        fit = Fit(self, objective, stream, groups, stage, epochs, before_epoch, validate, patience, average)
        with torch.random.fork_rng(), checkpoint.interruptible() as interruption:
            return fit.run(interruption)


def pick_device(name: str) -> torch.device:
    """The device of this name; ``"auto"`` is a GPU where there is one."""
    if name not in ("auto", "cpu", "cuda"):
        raise RequestError(f"device is {name!r}; expected 'auto', 'cpu' or 'cuda'.")
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("device is 'cuda', but no CUDA device is available here: use device='cpu' or 'auto'.")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
