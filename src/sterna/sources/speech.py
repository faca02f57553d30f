"""Speech encoders in the Hugging Face format: Whisper's, and those of the family of wav2vec 2.0."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError
from sterna.sources import hub

if TYPE_CHECKING:
    from torch import nn

    from sterna.preparations.speech import SpeechPreparation

WHISPER = "whisper"


def takes_sounds(config: Any) -> bool:
    """Whether a configuration is that of a speech encoder: over mel bands as Whisper, or convolutions over samples."""
    return hasattr(config, "num_mel_bins") or (hasattr(config, "conv_kernel") and hasattr(config, "conv_stride"))


def settle(config: Any) -> Any:
    """A configuration without what is drawn at random behind the seed's back while training: masks, dropped layers."""
    for name in ("apply_spec_augment", "mask_time_prob", "mask_feature_prob", "layerdrop", "encoder_layerdrop"):
        if hasattr(config, name):
            setattr(config, name, type(getattr(config, name))(0))
    return config


def speech_preparation(transformers: Any, folder: Path, config: Any, spec: str) -> SpeechPreparation:
    """What the folder's feature extractor does.

    Raises
    ------
    RequestError
        If there is none that can be read, or it is of a kind that is not known.
    """
    from sterna.preparations.speech import EXTRACTORS, SpeechPreparation

    try:
        with hub.quiet():
            extractor = transformers.AutoFeatureExtractor.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise RequestError(
            f"The preprocessor_config.json of {spec!r}, which says how it takes recordings, is missing or cannot be "
            "read; get the model again."
        ) from error
    if type(extractor).__name__ not in EXTRACTORS:
        raise RequestError(
            f"{spec!r} takes recordings through a {type(extractor).__name__}, which is not supported; choose a model "
            "of the family of Whisper or of wav2vec 2.0."
        )
    if config.model_type == WHISPER:
        layers = [(1, 2 * extractor.hop_length)]  # the second convolution takes every other frame of the spectrogram
    else:
        layers = list(zip(config.conv_kernel, config.conv_stride, strict=True))
    return SpeechPreparation(extractor.to_dict(), layers)


def encoder_of(module: Any) -> nn.Module:
    """The part of a loaded model that gives features: of Whisper the encoder, which then takes any length."""
    from sterna.networks.speech import WhisperSounds

    return WhisperSounds(module.encoder) if module.config.model_type == WHISPER else module
