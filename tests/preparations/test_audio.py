"""Log-mel spectrograms and what is made of them, against an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sterna.domains.audio import AudioSequence, Sound
from sterna.errors import RequestError
from sterna.networks import (
    LogMelPreparation,
    LogMelStatistics,
    Network,
    load_network,
    preparation_from_state,
    save_network,
    small_body,
)
from sterna.preparations.log_mel import RANGE, log_mel, mel_filters
from sterna.preparations.speech import SpeechPreparation
from sterna.tasks import Classification


def noise(seconds: float, rate: int = 8000, seed: int = 0) -> Sound:
    samples = np.random.default_rng(seed).normal(size=round(seconds * rate)).astype(np.float32)
    return Sound(0.1 * samples * np.linspace(0.2, 1, len(samples), dtype=np.float32), rate)


@pytest.mark.parametrize(("rate", "mels", "bins"), [(8000, 40, 129), (16000, 64, 257), (12000, 40, 257)])
def test_the_mel_bands_are_those_of_transformers(rate, mels, bins):
    audio_utils = pytest.importorskip("transformers.audio_utils")
    expected = audio_utils.mel_filter_bank(bins, mels, 0.0, rate / 2, rate, norm=None, mel_scale="htk")
    np.testing.assert_allclose(mel_filters(mels, bins, rate), expected.T, atol=1e-9)
    assert (mel_filters(mels, bins, rate).sum(1) > 0).all()


@pytest.mark.parametrize(("rate", "mels", "seconds"), [(8000, 40, 0.5), (16000, 64, 0.337), (8000, 40, 0.013)])
def test_the_spectrogram_is_that_of_transformers(rate, mels, seconds):
    audio_utils = pytest.importorskip("transformers.audio_utils")
    samples = noise(seconds, rate).samples
    width = round(0.025 * rate)
    size = 2 ** int(np.ceil(np.log2(width)))
    expected = audio_utils.spectrogram(
        samples, audio_utils.window_function(width, "hann"), width, rate // 100, fft_length=size, power=2.0,
        pad_mode="constant",
        mel_filters=audio_utils.mel_filter_bank(1 + size // 2, mels, 0.0, rate / 2, rate, mel_scale="htk"),
        mel_floor=1e-10, log_mel="log10",
    )  # fmt: skip
    expected = np.maximum(expected - expected.max(), -RANGE)
    found = log_mel(samples, rate, mels)
    assert found.shape == (mels, 1 + len(samples) // (rate // 100)) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_how_loud_a_recording_is_does_not_matter_and_silence_is_finite():
    samples = noise(0.3).samples
    steep = samples * np.logspace(-4, 0, len(samples), dtype=np.float32)  # its softest places matter, too
    for factor in (1e-2, 1e-5, 1e3):
        np.testing.assert_allclose(log_mel(steep, 8000, 40), log_mel(steep * factor, 8000, 40), atol=1e-4)
    assert log_mel(samples, 8000, 40).max() == 0 and log_mel(samples, 8000, 40).min() >= -RANGE
    assert (log_mel(np.zeros(100, np.float32), 8000, 40) == -RANGE).all()  # as what is put behind a recording
    shifted = np.concatenate([np.zeros(800, np.float32), samples])
    np.testing.assert_allclose(log_mel(shifted, 8000, 40)[:, 12:30], log_mel(samples, 8000, 40)[:, 2:20], atol=1e-4)


def test_length_rate_and_statistics_come_from_the_rows():
    inputs = AudioSequence([noise(0.4 + 0.01 * i, rate, i) for i, rate in enumerate([11025, 44100, 11025, 16000] * 5)])
    fitted = LogMelPreparation().fit(inputs)
    assert (fitted.rate, fitted.mels) == (11025, 40) and fitted.frames % 8 == 0 and 50 <= fitted.frames <= 64
    parts = [fitted.spectrogram(inputs[i])[:, : fitted.frames] for i in range(20)]
    every = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(fitted.mean, every.mean(1), atol=1e-4)
    items = fitted.items(inputs)
    for row in (0, 7):
        item = items[row]
        assert item.shape == (1, 40, fitted.frames) and item.dtype == np.float32
        expected = (parts[row] - np.array(fitted.mean)[:, None]) / np.array(fitted.std)[:, None]
        np.testing.assert_allclose(item[0, :, : expected.shape[1]], expected, atol=1e-4)
        behind = (-RANGE - np.array(fitted.mean)) / np.array(fitted.std)
        np.testing.assert_allclose(item[0, :, -1], behind, atol=1e-4)
    assert fitted.collate([items[0], items[1]]).shape == (2, 1, 40, fitted.frames)
    assert fitted.note(items) is None
    longer = fitted.items(AudioSequence([noise(2.0)]))
    assert longer[0].shape == (1, 40, fitted.frames)
    assert fitted.note(longer) == f"Recordings are read up to {fitted.frames / 100:.3g} s; what comes after is cut off."
    again = preparation_from_state(fitted.state())
    np.testing.assert_array_equal(again.items(inputs)[3], items[3])
    assert again.fingerprint() == fitted.fingerprint()


def test_in_training_a_recording_is_moved_and_masked_by_the_generator_alone():
    inputs = AudioSequence([noise(0.5, seed=i) for i in range(4)])
    fitted = LogMelPreparation().fit(inputs)
    items = fitted.items(inputs)
    before = items[0].copy()
    first, again, other = (fitted.augmented(items, 0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == before.shape and not np.array_equal(first, other)
    np.testing.assert_array_equal(items[0], before)
    many = [fitted.augmented(items, 0, np.random.default_rng(seed))[0] for seed in range(200)]
    bands = [int((part == 0).all(axis=1).sum()) for part in many]
    frames = [int((part == 0).all(axis=0).sum()) for part in many]
    assert max(bands) == fitted.mels // 8 and max(frames) == fitted.frames // 8 and min(bands) == min(frames) == 0


def test_the_statistics_of_a_recording():
    inputs = AudioSequence([noise(0.5), noise(0.012, seed=1)])
    fitted = LogMelStatistics().fit(inputs)
    assert (fitted.rate, fitted.mels, fitted.width) == (8000, 40, 200)
    items = fitted.items(inputs)
    part = log_mel(inputs[0].samples, 8000, 40)
    thirds = [part[:, :17].mean(1), part[:, 17:34].mean(1), part[:, 34:].mean(1)]  # of 51 frames
    np.testing.assert_allclose(items[0], np.concatenate([part.mean(1), part.std(1), *thirds]), atol=1e-5)
    assert np.isfinite(items[1]).all() and items[1].shape == (200,)
    assert preparation_from_state(fitted.state()).fingerprint() == fitted.fingerprint()


def test_images_are_refused():
    from sterna.domains import ImageArray

    with pytest.raises(RequestError, match="takes recordings, but came upon images"):
        LogMelPreparation().items(ImageArray(np.zeros((1, 8, 8), np.uint8)))


def test_a_small_network_on_recordings_survives_saving(tmp_path):
    inputs = AudioSequence([noise(0.3 + 0.02 * i, seed=i) for i in range(6)])
    body, preparation = small_body(inputs, seed=3)
    assert body.width == 128 and body.blocks[0].name == "stem"
    assert body.weights_fingerprint() == small_body(inputs, seed=3)[0].weights_fingerprint()
    task = Classification(("a", "b"))
    network = Network(preparation, body, task.head(body.width), task=task)
    save_network(network, tmp_path / "n")
    again = load_network(tmp_path / "n")
    batches = [
        each.preparation.collate([each.preparation.items(inputs)[i] for i in range(6)]) for each in (network, again)
    ]
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(batches[0]), again.eval()(batches[1]))


@pytest.mark.parametrize("rate", [0, 1, 99, 2_000_000])
def test_a_rate_that_no_recording_has_is_refused(rate):
    with pytest.raises(RequestError, match="expected a rate of 100 to 1,000,000 samples a second"):
        LogMelPreparation(rate, 40, 10, [0.0] * 40, [1.0] * 40)


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sampling_rate": 0}, "the sampling_rate 0; expected 100 to 192,000"),
        ({"sampling_rate": 192_000}, "5,760,000 samples of each recording are more than"),
        ({"hop_length": 1}, "the hop_length 1; expected 16"),
        ({"n_fft": 10**9}, "the n_fft 1000000000"),
        ({"padding_side": {"type": "x"}}, "settings do not fit together .*Invalid padding"),
    ],
)
def test_settings_of_a_speech_extractor_that_mean_nothing_are_refused(settings, words):
    transformers = pytest.importorskip("transformers")
    about = {
        **transformers.WhisperFeatureExtractor(feature_size=80).to_dict(),
        "feature_extractor_type": "WhisperFeatureExtractor",
    }
    SpeechPreparation(about, [(2, 2)], 1.0)
    with pytest.raises(RequestError, match=words):
        SpeechPreparation({**about, **settings}, [(2, 2)], 30.0)
