"""Whisper's encoder for recordings of any length."""

from __future__ import annotations

import inspect
from typing import Any

from torch import Tensor, nn

from sterna.networks.pooling import tensor_of


class WhisperSounds(nn.Module):
    """The encoder of a Whisper model, which otherwise takes exactly 30 seconds.

    Its positions are a table of sinusoids that is never trained; a shorter recording uses the first of them. What
    comes out for the frames of the recording is nearly what 30 seconds with silence behind it give, at a fraction of
    the cost (Radford et al., 2022, "Robust speech recognition via large-scale weak supervision").

    Parameters
    ----------
    encoder
        A ``transformers`` WhisperEncoder; its parts are shared.
    """

    positions: Tensor

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.conv1, self.conv2 = encoder.conv1, encoder.conv2
        self.register_buffer("positions", encoder.embed_positions.weight.detach().clone())
        self.layers, self.layer_norm = encoder.layers, encoder.layer_norm
        # Older versions of transformers ask for one more argument.
        known = inspect.signature(type(self.layers[0]).forward).parameters
        self._more = {name: None for name in ("layer_head_mask",) if name in known}

    def forward(self, input_features: Tensor) -> Tensor:
        """Log-mel spectrograms ``(n, mels, 2 t)`` to features ``(n, t, width)``, ``t`` at most 1,500 (30 s)."""
        convolved = nn.functional.gelu(self.conv2(nn.functional.gelu(self.conv1(input_features))))
        hidden = convolved.permute(0, 2, 1)
        hidden = hidden + self.positions[: hidden.shape[1]]
        for layer in self.layers:
            hidden = tensor_of(layer(hidden, None, **self._more))
        features: Tensor = self.layer_norm(hidden)
        return features
