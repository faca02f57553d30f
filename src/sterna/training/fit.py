"""One fit of the training loop: steps, epochs, checkpoints, and which weights are kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError, RunError, StoppedError, TooLongError
from sterna.networks.freezing import frozen_names
from sterna.training import checkpoint
from sterna.training.batches import Batch, Batches, Stream, Streams
from sterna.training.objective import Objective
from sterna.training.schedule import warmup_cosine

if TYPE_CHECKING:
    from sterna.training.trainer import Trainer

Score = tuple[float, ...]
"""A validation score, better when larger; later numbers break ties."""

WARM = 2
"""First steps that say nothing of how long the others take: memory is set aside in them."""


@dataclass
class Fit:
    """One call of :meth:`Trainer.fit`."""

    trainer: Trainer
    objective: Objective
    stream: Stream | Streams
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
        self.timed: tuple[int, float] | None = None

    def run(self, interruption: checkpoint.Interruption) -> str:
        """Train to the end: whose weights were kept."""
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
        return state.kept

    def _epoch(self, epoch: int, interruption: checkpoint.Interruption) -> None:
        state, start = self.state, self.state.step % self.stream.steps
        if self.before_epoch is not None:
            self.before_epoch(epoch)
        state.frozen = frozen_names(self.objective)
        self.objective.train()
        module = self.trainer.strategy.wrapped(self.objective)
        ended = True
        for batch in self.stream.epoch(epoch, start):
            self._step(module, batch.to(self.device))
            ended = state.step % self.stream.steps == 0
            if ended or state.step >= self.total or self._out_of_time():
                break
            self._stop_if_asked(interruption)
            self._stop_if_too_long()
            if time.monotonic() - self.saved > self.trainer.checkpoint_seconds:
                self._save()
        # An epoch's last step and its end go together: no checkpoint comes between them.
        self._end_epoch(epoch, ended)
        self._stop_if_asked(interruption)

    def _stop_if_asked(self, interruption: checkpoint.Interruption) -> None:
        if self.trainer.strategy.agree(interruption.requested):
            self._save()
            stopped = StoppedError(
                f"Stopped in {self.stage}, after step {self.state.step} of {self.total}; "
                + ("nothing is lost: start again with resume=True." if self.path else "nothing was kept on disk.")
            )
            stopped.by_user = interruption.by_user
            raise stopped

    def _stop_if_too_long(self) -> None:
        """Where steps as long as those before would not end in time."""
        until, now, step = self.trainer.until, time.monotonic(), self.state.step
        if until is None:
            return
        if self.timed is None:
            self.timed = (step + WARM, now)
        if step <= self.timed[0]:
            self.timed = (self.timed[0], now)
            return
        each = (now - self.timed[1]) / (step - self.timed[0])
        if self.trainer.strategy.agree(now + each * (self.total - step) > until):
            whole = now - self.started + each * (self.total - step)
            raise TooLongError(f"{self.stage} would take about {whole:.0f} s, longer than there is time.", whole)

    def _out_of_patience(self) -> bool:
        return self.patience is not None and self.state.stale >= self.patience

    def _step(self, module: nn.Module, batch: Batch | Batches) -> None:
        state = self.state
        torch.manual_seed(self.trainer.seed * 1_000_003 + state.step * 1009 + self.trainer.strategy.rank)
        self.objective.progress = state.step / self.total
        factor = warmup_cosine((state.step + 1) / (self.total + 1))
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        terms = self._gradients(module, batch)
        loss = sum(terms.values())
        if not self.trainer.strategy.agree(not math.isfinite(loss)):
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
            f"(settings={{'learning_rate': ...}}), or look for broken inputs; {kept}."
        )

    def _gradients(self, module: nn.Module, batch: Batch | Batches) -> dict[str, float]:
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

    def _accumulate(self, module: nn.Module, batch: Batch | Batches) -> dict[str, float]:
        totals: dict[str, float] = {}
        for part in batch.parts(self.state.micro) if self.state.micro > 1 else [batch]:
            share = len(part) / len(batch)
            with self.trainer.autocast():
                terms: dict[str, Tensor] = module(part)
                losses = [term * share for term in terms.values()]
            self._backward(losses)
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + float(term.detach()) * share
        return totals

    def _backward(self, losses: list[Tensor]) -> None:
        """Add the gradients of the losses' sum; where the objective says so, of shared parts without their conflict."""
        objective = self.objective
        if objective.aggregator is None or len(losses) < 2:
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            return
        from torchjd.aggregation import Sum
        from torchjd.autojac import backward, jac_to_grad

        shared = {id(p) for p in objective.shared}
        trained = [p for p in objective.parameters() if p.requires_grad]
        backward(losses, inputs=trained, parallel_chunk_size=1)  # one loss at a time: not every layer can be vmapped
        found = [getattr(p, "jac", None) for p in trained]
        self.trainer.strategy.average(jacobian for jacobian in found if jacobian is not None)
        for some, how in (
            ([p for p in trained if id(p) in shared], objective.aggregator),
            ([p for p in trained if id(p) not in shared], Sum()),
        ):
            if some:
                jac_to_grad(some, how)

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
        return self.trainer.strategy.shared(tuple(float(v) for v in self.validate()))

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
        return self.trainer.strategy.agree(late) if seconds is not None else False

    def _save(self) -> None:
        self.saved = time.monotonic()
        if self.path is not None and self.trainer.strategy.leads:
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
                "start again with overwrite=True, or with the settings it was made with."
            ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
