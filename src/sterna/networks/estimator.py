"""A fitted scikit-learn estimator as a head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.networks.estimator_files import load_estimator
from sterna.record.reading import read_object, reading
from sterna.tasks import task_from_state
from sterna.tasks.task import Task


class EstimatorHead(nn.Module):
    """A fitted estimator behind the interface of a torch head; it is never trained by gradients.

    Parameters
    ----------
    estimator
        Fitted on encoded targets: class codes 0 … k − 1, label columns, or numbers in the user's units.
    task
        What it answers.
    """

    def __init__(self, estimator: Any, task: Task) -> None:
        super().__init__()
        self.estimator = estimator
        self.task = task

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
            the smallest), log-odds of each label, or predictions; float64.
        """
        x = inputs.detach().cpu().numpy() if isinstance(inputs, Tensor) else list(inputs)
        outputs = torch.from_numpy(self.task.from_estimator(self.estimator, x))
        return outputs.to(inputs.device) if isinstance(inputs, Tensor) else outputs

    def save(self, folder: str | Path) -> None:
        """Write the estimator (skops) and its task (JSON) into `folder`."""
        from skops.io import dump

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        dump(self.estimator, folder / "estimator.skops")
        (folder / "task.json").write_text(json.dumps(self.task.state(), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> EstimatorHead:
        """Read what `save` wrote; nothing is unpickled."""
        folder = Path(folder)
        estimator = load_estimator(folder / "estimator.skops")
        with reading(folder / "task.json"):
            return cls(estimator, task_from_state(read_object(folder / "task.json")))
