"""From records to what a network takes."""

import numpy as np
import torch

from sterna.domains import Preparation
from sterna.errors import RequestError


class TidePreparation(Preparation):
    """Levels as float32 ``(n, hours)``, shifted and scaled; its arguments are its saved state."""

    kind = "tides"

    def __init__(self, hours: int, mean: float = 0.0, scale: float = 1.0) -> None:
        self.hours, self.mean, self.scale = hours, mean, scale

    def fit(self, inputs):
        """With the mean and the deviation of these records."""
        return TidePreparation(self.hours, float(inputs.levels.mean()), float(inputs.levels.std()) or 1.0)

    def items(self, inputs):
        if inputs.levels.shape[1] != self.hours:
            raise RequestError(f"The records are of {inputs.levels.shape[1]} hours; {self.hours} were expected.")
        return (inputs.levels - np.float32(self.mean)) / np.float32(self.scale)

    def collate(self, items):
        return torch.from_numpy(np.stack(list(items)))

    def example(self, rows=2):
        return torch.zeros(rows, self.hours)

    def state(self):
        return {"type": "tides", "hours": self.hours, "mean": self.mean, "scale": self.scale}
