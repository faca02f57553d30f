"""A fitted scikit-learn estimator as a head."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.networks.estimator_files import load_estimator
from sterna.record.reading import damaged, read_object, reading
from sterna.tasks import task_from_state
from sterna.tasks.task import Task

CALIBRATION = "calibration.json"


class EstimatorHead(nn.Module):
    """A fitted estimator behind the interface of a torch head; it is never trained by gradients.

    Parameters
    ----------
    estimator
        Fitted on encoded targets: class codes 0 … k − 1, label columns, or numbers in the user's units.
    task
        What it answers.
    scale, offset
        Its outputs are multiplied by the one, and then added to the other, one number an output.
    """

    def __init__(self, estimator: Any, task: Task, scale: float = 1.0, offset: Sequence[float] = ()) -> None:
        super().__init__()
        self.estimator = estimator
        self.task = task
        self.scale, self.offset = scale, tuple(offset) if any(offset) else ()

    def forward(self, inputs: Tensor | list[str]) -> Tensor:
        """Answer.

        Parameters
        ----------
        inputs
            Features ``(n, d)``, or n texts.

        Returns
        -------
        Tensor, shape (n, o)
            Logarithms of the probabilities in the order of the codes (a class that was not among the training rows gets
            the smallest), up to a constant in a row; log-odds of each label; or predictions. float64.
        """
        x = inputs.detach().cpu().numpy() if isinstance(inputs, Tensor) else list(inputs)
        outputs = torch.from_numpy(self.task.from_estimator(self.estimator, x)) * self.scale
        if self.offset:
            outputs = outputs + torch.tensor(self.offset, dtype=torch.float64)
        return outputs.to(inputs.device) if isinstance(inputs, Tensor) else outputs

    def save(self, folder: str | Path) -> None:
        """Write the estimator (skops) and its task (JSON) into `folder`."""
        from skops.io import dump

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        dump(self.estimator, folder / "estimator.skops")
        (folder / "task.json").write_text(json.dumps(self.task.state(), ensure_ascii=False), encoding="utf-8")
        if self.scale != 1.0 or self.offset:
            (folder / CALIBRATION).write_text(
                json.dumps({"scale": self.scale, "offset": self.offset}), encoding="utf-8"
            )

    @classmethod
    def load(cls, folder: str | Path) -> EstimatorHead:
        """Read what `save` wrote; nothing is unpickled."""
        folder = Path(folder)
        estimator = load_estimator(folder / "estimator.skops")
        with reading(folder / "task.json"):
            task = task_from_state(read_object(folder / "task.json"))
        path = folder / CALIBRATION
        return cls(estimator, task, *_calibration(path, task)) if path.exists() else cls(estimator, task)


def _calibration(path: Path, task: Task) -> tuple[float, list[float]]:
    """Scale and offset of a file."""
    with reading(path):
        found = read_object(path)
        scale, offset = float(found["scale"]), [float(each) for each in found["offset"]]
    right = isinstance(found["offset"], list) and scale > 0 and all(map(math.isfinite, (scale, *offset)))
    if not right or len(offset) not in (0, task.outputs):
        raise damaged(path, f"it should hold a scale above 0 and {task.outputs} offsets")
    return scale, offset
