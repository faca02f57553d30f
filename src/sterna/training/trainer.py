"""The one training loop, and the one way to run a network over many rows."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sterna.domains.inputs import Inputs, Items, Preparation
from sterna.errors import RequestError, RunError
from sterna.networks.freezing import frozen_names
from sterna.networks.network import Network
from sterna.networks.preparation_text import TokenItems
from sterna.training import checkpoint
from sterna.training.batches import Batch, Stream, move
from sterna.training.cache import FeatureCache, Features
from sterna.training.distributed import agree, join, rank_and_world, shared
from sterna.training.log import Log
from sterna.training.objective import Objective
from sterna.training.progress import Progress
from sterna.training.schedule import Budget, warmup_cosine

Array = np.ndarray[Any, Any]
Score = tuple[float, ...]
"""A validation score, better when larger; later numbers break ties."""

INFERENCE_BATCH = 64
INFERENCE_PIXELS = (
    400_000  # of a batch on a CPU: activations that fit its cache make a convolutional body twice as fast
)


class Featured(Protocol):
    """A body, or a part of one: gives named features of a batch."""

    training: bool

    def features(self, inputs: Any, names: Sequence[str]) -> Mapping[str, Tensor]: ...

    def weights_fingerprint(self) -> str: ...

    def train(self, mode: bool = True) -> nn.Module: ...

    def to(self, device: torch.device) -> nn.Module: ...


class OutOfMemory(Exception):
    """Memory ran out in a step (one name for what each device raises)."""


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

    def __post_init__(self) -> None:
        self.torch_device = pick_device(self.device)
        if self.precision == "auto":
            half = self.torch_device.type == "cuda" and torch.cuda.is_bf16_supported()
            self.precision = "bfloat16" if half else "float32"
        self.rank, self.world = rank_and_world()
        join(self.torch_device)

    def say(self, sentence: str) -> None:
        """Tell the user, and keep it with the result."""
        self.log.messages.append(sentence)
        self.progress.say(sentence)

    # -- running a network over many rows ------------------------------------------------------------

    def features(self, body: Featured, preparation: Preparation, inputs: Inputs, blocks: Sequence[str]) -> Features:
        """Pooled features of these blocks for every row, each computed once and kept on disk."""

        def compute(missing: Sequence[str], write: Callable[[Array, dict[str, Array]], None]) -> None:
            for batch in self._sweep(preparation, inputs, f"features of {len(inputs)} rows", body):
                found = body.features(batch.inputs, missing)
                write(batch.rows.numpy(), {name: part.float().cpu().numpy() for name, part in found.items()})

        keys = (body.weights_fingerprint(), preparation.fingerprint(), inputs.fingerprint())
        return self.cache.get(*keys, blocks, len(inputs), compute)

    def outputs(self, network: Network, inputs: Inputs, rows: Array | None = None) -> Array:
        """What the network answers for these rows, or all: ``(n, outputs)`` float64.

        A frozen body's features come from the cache.
        """
        wanted = np.arange(len(inputs)) if rows is None else np.asarray(rows)
        if network.body_is_frozen() and any(True for _ in network.body.parameters()):
            return self._head_outputs(network, inputs, wanted)
        some = inputs if rows is None else inputs.take(wanted)
        parts: dict[int, Array] = {}
        for batch in self._sweep(network.preparation, some, f"answers for {len(some)} rows", network):
            part = network(batch.inputs).double().cpu().numpy()
            parts |= dict(zip(batch.rows.tolist(), part, strict=True))
        return np.stack([parts[i] for i in range(len(wanted))])

    def _head_outputs(self, network: Network, inputs: Inputs, rows: Array) -> Array:
        """Outputs of a network whose body is frozen, from cached features."""
        features = self.features(network.body, network.preparation, inputs, network.body.outputs)
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
        rows = by_length(items)
        stream = Stream(
            preparation,
            items,
            rows=rows,
            batch_size=inference_batch(preparation, self.torch_device),
            shuffle=False,
            workers=self._workers(inputs),
        )
        self.progress.start(what, len(inputs))
        with torch.inference_mode(), self._autocast():
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
            rank=self.rank,
            world=self.world,
        )

    def _prepared(self, preparation: Preparation, inputs: Inputs) -> Items:
        """Prepared rows; what was cut off is said, once for each sentence."""
        items = preparation.items(inputs)
        note = items.note() if isinstance(items, TokenItems) else None
        if note and note not in self.log.messages:
            self.say(note)
        return items

    def _workers(self, inputs: Inputs) -> int:
        """Processes that decode: worth their start only for many images."""
        if inputs.kind != "images" or len(inputs) < 512:
            return 0
        return 1 if self.torch_device.type == "cpu" else min(8, os.cpu_count() or 1)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    # -- training ------------------------------------------------------------------------------------

    def fit(
        self,
        objective: Objective,
        stream: Stream,
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
            Called with the number of each epoch: to freeze and thaw.
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
            If the loss is not finite, memory runs out for a single row, or someone asked to stop.
        """
        fit = _Fit(self, objective, stream, groups, stage, epochs, before_epoch, validate, patience, average)
        with torch.random.fork_rng(), checkpoint.interruptible() as interruption:
            fit.run(interruption)
        return fit.state.kept


@dataclass
class _Fit:
    """One call of :meth:`Trainer.fit`."""

    trainer: Trainer
    objective: Objective
    stream: Stream
    groups: list[dict[str, Any]]
    stage: str
    epochs: int
    before_epoch: Callable[[int], None] | None
    validate: Callable[[], Score] | None
    patience: int | None
    average: bool

    def __post_init__(self) -> None:
        self.device = self.trainer.torch_device
        self.objective.to(self.device)
        for group in self.groups:
            group["base"] = group["lr"]
        self.optimizer = torch.optim.AdamW(self.groups, fused=True)
        self.total = self.trainer.budget.done(self.stream.steps, self.epochs)
        self.state = checkpoint.State()
        folder = self.trainer.folder
        self.path = folder / f"{self.stage}.pt" if folder is not None else None
        self.saved = self.started = time.monotonic()

    def run(self, interruption: checkpoint.Interruption) -> None:
        if self.trainer.resume and self.path is not None and self.path.exists():
            self._restore(self.path)
        state = self.state
        self.started = time.monotonic() - state.seconds
        self.trainer.progress.start(self.stage, self.total, state.step)
        if state.done and self.before_epoch is not None:
            self.before_epoch(max(0, len(state.history) - 1))  # what is frozen is no part of the weights
        while not (state.done or state.step >= self.total or self._out_of_patience() or self._out_of_time()):
            self._epoch(state.step // self.stream.steps, interruption)
        if not state.done:
            self._finish()
        self.trainer.log.history.extend(state.history)
        if state.micro > 1:
            self.trainer.say(f"{self.stage}: memory ran out, so each batch was computed in {state.micro} parts.")

    def _epoch(self, epoch: int, interruption: checkpoint.Interruption) -> None:
        state, start = self.state, self.state.step % self.stream.steps
        if self.before_epoch is not None:
            self.before_epoch(epoch)
        state.frozen = frozen_names(self.objective)
        self.objective.train()
        module = self._wrapped()
        ended = True
        for batch in self.stream.epoch(epoch, start):
            self._step(module, batch.to(self.device))
            ended = state.step % self.stream.steps == 0
            if ended or state.step >= self.total or self._out_of_time():
                break
            self._stop_if_asked(interruption)
            if time.monotonic() - self.saved > self.trainer.checkpoint_seconds:
                self._save()
        # An epoch's last step and its end go together: no checkpoint comes between them.
        self._end_epoch(epoch, ended)
        self._stop_if_asked(interruption)

    def _stop_if_asked(self, interruption: checkpoint.Interruption) -> None:
        if agree(interruption.requested, self.device):
            self._save()
            raise RunError(
                f"Stopped in {self.stage}, after step {self.state.step} of {self.total}; "
                + ("nothing is lost: start again with --resume." if self.path else "nothing was kept on disk.")
            )

    def _out_of_patience(self) -> bool:
        return self.patience is not None and self.state.stale >= self.patience

    def _wrapped(self) -> nn.Module:
        """The objective, its gradients averaged over processes where there are several."""
        if self.trainer.world == 1:
            return self.objective
        return DistributedDataParallel(self.objective)  # anew for each epoch: what is frozen may have changed

    def _step(self, module: nn.Module, batch: Batch) -> None:
        state = self.state
        torch.manual_seed(self.trainer.seed * 1_000_003 + state.step * 1009 + self.trainer.rank)
        factor = warmup_cosine((state.step + 1) / (self.total + 1))
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        terms = self._gradients(module, batch)
        loss = sum(terms.values())
        if not agree(not math.isfinite(loss), self.device):
            parameters = [p for g in self.optimizer.param_groups for p in g["params"] if p.grad is not None]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            self.optimizer.step()
            state.step += 1
            for name, value in {**terms, "steps": 1.0}.items():
                state.sums[name] = state.sums.get(name, 0.0) + value
            self.trainer.progress.advance(1, f"{self.stage} · loss {loss:.3f}")
            return
        kept = (
            f"the last good weights are in {str(self.path)!r}" if self.path and self.path.exists() else "none are kept"
        )
        raise RunError(
            f"The loss of {self.stage} is {loss} at step {state.step + 1}: try a smaller learning rate "
            f"(--set learning_rate=...), or look for broken inputs; {kept}."
        )

    def _gradients(self, module: nn.Module, batch: Batch) -> dict[str, float]:
        """Gradients of one batch; where memory runs out the batch is cut in halves, and said so at the end."""
        while True:
            try:
                self.optimizer.zero_grad(set_to_none=True)
                return self._accumulate(module, batch)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if self.state.micro >= len(batch):
                    raise RunError(
                        f"Memory ran out in {self.stage} even for a single row: use a smaller body or input size."
                    ) from error
            self.optimizer.zero_grad(set_to_none=True)
            self.state.micro *= 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _accumulate(self, module: nn.Module, batch: Batch) -> dict[str, float]:
        totals: dict[str, float] = {}
        for part in batch.parts(self.state.micro) if self.state.micro > 1 else [batch]:
            share = len(part) / len(batch)
            with self.trainer._autocast():
                terms: dict[str, Tensor] = module(part)
                loss = torch.stack(list(terms.values())).sum() * share
            loss.backward()  # type: ignore[no-untyped-call]
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + float(term.detach()) * share
        return totals

    def _end_epoch(self, epoch: int, ended: bool) -> None:
        state = self.state
        if self.average and ended and state.step > self.total * 2 / 3:
            state.averaged += 1
            state.average = checkpoint.averaged(state.average, self.objective.state_dict(), state.averaged)
        score = self._validated()
        if score is not None:
            better = state.best_score is None or score > state.best_score
            state.stale = 0 if better else state.stale + 1
            if better:
                state.best, state.best_score, state.best_epoch = (
                    checkpoint.copied(self.objective.state_dict()), score, epoch)  # fmt: skip
        steps = state.sums.pop("steps", 1.0)
        terms = {name: value / steps for name, value in state.sums.items()}
        state.sums = {}
        state.seconds = time.monotonic() - self.started
        state.history.append(
            {"seed": self.trainer.seed, "stage": self.stage, "epoch": epoch + 1, "step": state.step,
             "loss": sum(terms.values()), **terms, "validation": None if score is None else score[0],
             "seconds": round(state.seconds, 3)}
        )  # fmt: skip
        if time.monotonic() - self.saved > min(10.0, self.trainer.checkpoint_seconds):
            self._save()

    def _validated(self) -> Score | None:
        """The score of the weights as they are, the same in all processes."""
        if self.validate is None:
            return None
        return shared(tuple(float(v) for v in self.validate()), self.device)

    def _finish(self) -> None:
        """Keep the best epoch's weights, or the mean of the last ones where that is no worse."""
        state = self.state
        state.kept = f"epoch {len(state.history) if state.best is None else state.best_epoch + 1}"
        if state.average is not None and state.averaged > 1:
            last = checkpoint.copied(self.objective.state_dict())
            self.objective.load_state_dict(state.average)
            score = self._validated()
            if score is not None and state.best_score is not None and score < state.best_score:
                self.objective.load_state_dict(last)
            else:
                state.best, state.kept = None, f"mean of the last {state.averaged} epochs"
        if state.best is not None:
            self.objective.load_state_dict(state.best)
        state.done, state.best, state.average = True, None, None
        self._save()

    def _out_of_time(self) -> bool:
        seconds = self.trainer.budget.seconds
        late = seconds is not None and time.monotonic() - self.started > seconds
        return agree(late, self.device) if seconds is not None else False

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.path is not None and self.trainer.rank == 0:
            self.state.seconds = self.saved - self.started
            checkpoint.save(self.path, self.state, self.objective.state_dict(), self.optimizer.state_dict())

    def _restore(self, path: Path) -> None:
        self.state, weights, optimizer = checkpoint.load(path)
        try:
            self.objective.load_state_dict(weights)
            if not self.state.done:
                self.optimizer.load_state_dict(optimizer)
        except (RuntimeError, ValueError, KeyError) as error:
            raise RequestError(
                f"The checkpoint {str(path)!r} is of another network or other settings; "
                "start again with --overwrite, or with the settings it was made with."
            ) from error


def pick_device(name: str) -> torch.device:
    """The device of this name; ``"auto"`` is a GPU where there is one."""
    if name not in ("auto", "cpu", "cuda"):
        raise RequestError(f"device is {name!r}; expected 'auto', 'cpu' or 'cuda'.")
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("device is 'cuda', but no CUDA device is available here: use device='cpu' or 'auto'.")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def inference_batch(preparation: Preparation, device: torch.device) -> int:
    """Rows to run at once where nothing is learnt."""
    size = getattr(preparation, "size", None)
    if preparation.kind != "images" or size is None or device.type != "cpu":
        return INFERENCE_BATCH
    return int(np.clip(INFERENCE_PIXELS // size**2, 4, INFERENCE_BATCH))


def by_length(items: Items) -> Array:
    """Row numbers with token lists of like length together (less padding); as they are for other items."""
    if isinstance(items, Sequence) and len(items) and isinstance(items[0], list):
        return np.argsort([len(item) for item in items], kind="stable")
    return np.arange(len(items))


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
