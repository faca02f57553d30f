"""A source that was not trained: what the moon does to water is known."""

import numpy as np
import torch
from torch import nn

from sterna.errors import RequestError
from sterna.networks import ModuleBody
from sterna.sources import Source
from sterna.sources.catalogue import Form
from sterna_tides.preparation import TidePreparation

PERIODS = (23.934, 12.421, 6.210)
"""Hours of the tides K1, M2 and M4: daily, twice a day, and what shallow water makes of that."""


class Harmonics(nn.Module):
    """The mean level of a record and the amplitudes of its tides: levels ``(n, hours)`` to features ``(n, 4)``."""

    def __init__(self, hours: int) -> None:
        super().__init__()
        angles = 2 * np.pi * np.arange(hours)[:, None] / np.array(PERIODS)
        waves = np.concatenate([np.ones((hours, 1)), np.cos(angles), np.sin(angles)], axis=1)
        self.waves = nn.Linear(hours, 7, bias=False)  # the least-squares fit is linear in the levels
        self.waves.weight.data = torch.from_numpy(np.linalg.pinv(waves)).float()
        self.amplitudes = Amplitudes()

    def forward(self, levels):
        return self.amplitudes(self.waves(levels))


class Amplitudes(nn.Module):
    """Mean, cosines and sines ``(n, 7)`` to mean and amplitudes ``(n, 4)``."""

    def forward(self, parts):
        squares = parts[:, 1:4] ** 2 + parts[:, 4:] ** 2
        return torch.cat([parts[:, :1], (squares + 1e-12).sqrt()], dim=1)


def source_for(hours: int) -> Source:
    """The harmonics of records of so many hours; a saved network is built again by the recipe."""
    recipe = {"loader": "python", "function": "sterna_tides.harmonics:Harmonics", "options": {"hours": hours}}
    body = ModuleBody(Harmonics(hours), recipe, example=torch.zeros(2, hours))
    card = {"licence": "none needed", "origin": "periods of the moon and the sun"}
    return Source(f"tides/{hours}", body, TidePreparation(hours), card=card)


def three_days() -> Source:
    """Amplitudes of the tides in records of 72 hours."""
    return source_for(72)


three_days.kind = "tides"  # for the list of sources


def load(asked) -> Source:
    """The source behind ``tides/<hours>``."""
    if not asked.name.isdecimal() or int(asked.name) < 48:
        raise RequestError(f"{asked.spec!r} asks for the tides of {asked.name} hours; 48 or more were expected.")
    return source_for(int(asked.name))


FORM = Form("tides/<hours>", "tides", "amplitudes of the tides in records of so many hours", load)
