"""Speech encoders in the Hugging Face format: tiny ones with random weights, against the library itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sterna.data import demo_path
from sterna.domains import Domain, load_domain
from sterna.domains.audio import AudioSequence, Sound
from sterna.errors import RequestError
from sterna.experiment import load_transfer, transfer
from sterna.networks import Network, load_network, preparation_from_state, save_network
from sterna.sources import Source
from sterna.sources.load import load_source
from sterna.tasks import Classification

transformers = pytest.importorskip("transformers")
pytest.importorskip("soundfile")

TINY = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4), "conv_stride": (8, 8, 5), "num_feat_extract_layers": 3, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2, "vocab_size": 8, "mask_time_prob": 0.05,
}  # fmt: skip
LAYERED = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
FAMILY = {
    "wav2vec2": (transformers.Wav2Vec2Model, transformers.Wav2Vec2Config(**TINY, **LAYERED)),
    "hubert": (transformers.HubertModel, transformers.HubertConfig(**TINY, **LAYERED)),
    "wavlm": (transformers.WavLMModel, transformers.WavLMConfig(**TINY, **LAYERED)),
    "wav2vec2-group": (transformers.Wav2Vec2Model, transformers.Wav2Vec2Config(**TINY)),
}


def saved(folder: Path, name: str) -> torch.nn.Module:
    """A tiny model of the family in a folder, with its feature extractor."""
    torch.manual_seed(0)
    if name == "whisper":
        config = transformers.WhisperConfig(
            d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=24, decoder_ffn_dim=24, num_mel_bins=20, vocab_size=64, pad_token_id=1, bos_token_id=1,
            eos_token_id=1, decoder_start_token_id=1, begin_suppress_tokens=None, suppress_tokens=None,
        )  # fmt: skip
        model = transformers.WhisperForConditionalGeneration(config).eval()
        extractor = transformers.WhisperFeatureExtractor(feature_size=20)
    else:
        cls, config = FAMILY[name]
        model = cls(config).eval()
        masked = "group" not in name
        extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=masked)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return model


def sounds(*seconds: float, rate: int = 16000) -> AudioSequence:
    random = np.random.default_rng(0)
    return AudioSequence([Sound(random.normal(0, 0.1, round(s * rate)).astype(np.float32), rate) for s in seconds])


def features(source, inputs):
    preparation = source.prepared(inputs)
    items = preparation.items(inputs)
    with torch.inference_mode():
        return source.body.eval()(preparation.collate([items[i] for i in range(len(items))]))


@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "wavlm"])
def test_features_are_the_mean_of_what_the_model_gives_for_the_recording_alone(tmp_path, name):
    model = saved(tmp_path, name)
    source = load_source(f"hf/{tmp_path}")
    inputs = sounds(0.5, 0.9, 0.2)
    found = features(source, inputs)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    for row in range(3):
        alone = extractor(inputs[row].samples, sampling_rate=16000, return_tensors="pt")["input_values"]
        with torch.inference_mode():
            states = model(alone).last_hidden_state
        torch.testing.assert_close(found[row], states.mean(1)[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [*FAMILY, "whisper"])
def test_blocks_are_averaged_over_the_recording_and_not_over_the_silence_behind_it(tmp_path, name):
    saved(tmp_path, name)
    source = load_source(f"hf/{tmp_path}")
    assert set(source.body.widths.values()) <= {8, 16}  # channels, and never frames
    inputs, found = sounds(0.5, 0.9), []
    for seconds in (1.0, 2.5):
        about = source.preparation.state() | {"seconds": seconds}
        preparation = preparation_from_state(about)
        batch = preparation.collate([preparation.items(inputs)[i] for i in range(2)])
        with torch.inference_mode():
            found.append(source.body.eval().features(batch, [block.name for block in source.body.blocks]))
    first = {"whisper": ["conv1", "conv2"], "wav2vec2-group": []}.get(name, list(found[0]))
    for block in first:  # later blocks of an encoder without masks look at the silence, too
        torch.testing.assert_close(found[0][block], found[1][block], rtol=1e-2, atol=1e-3)


def test_an_encoder_without_masks_gives_for_a_row_what_depends_on_it_alone(tmp_path):
    model = saved(tmp_path, "wav2vec2-group")
    source = load_source(f"hf/{tmp_path}")
    inputs = sounds(0.5, 0.9, 0.2)
    preparation = source.prepared(inputs)
    batch = preparation.collate([preparation.items(inputs)[i] for i in range(3)])
    assert "attention_mask" not in batch and batch["input_values"].shape[1] == preparation.samples
    found = features(source, inputs)
    with torch.inference_mode():
        states = model(batch["input_values"]).last_hidden_state
        frames = [int(model._get_feat_extract_output_lengths(round(s * 16000))) for s in (0.5, 0.9, 0.2)]
        assert batch["frame_mask"].sum(1).tolist() == frames and batch["frame_mask"].shape == states.shape[:2]
        for row, count in enumerate(frames):
            torch.testing.assert_close(found[row], states[row, :count].mean(0))
            one = preparation.collate([preparation.items(inputs)[row]])
            torch.testing.assert_close(source.body(one)[0], found[row], rtol=1e-4, atol=1e-5)


def test_the_encoder_of_whisper_is_that_of_the_library_and_takes_short_recordings(tmp_path):
    model = saved(tmp_path, "whisper")
    source = load_source(f"hf/{tmp_path}")
    assert not any("decoder" in name for name, _ in source.body.named_parameters())
    inputs = sounds(0.5, 1.0)
    whole = source.preparation  # 30 s
    batch = whole.collate([whole.items(inputs)[i] for i in range(2)])
    assert batch["input_features"].shape == (2, 20, 3000) and batch["frame_mask"].sum(1).tolist() == [25, 50]
    with torch.inference_mode():
        states = model.model.encoder(batch["input_features"]).last_hidden_state
        expected = torch.stack([states[0, :25].mean(0), states[1, :50].mean(0)])
        torch.testing.assert_close(source.body.eval()(batch), expected, rtol=1e-4, atol=1e-5)
        # Cut to 1.5 s, it is the library's encoder with a table of so many positions.
        short = source.prepared(inputs)
        cut = short.collate([short.items(inputs)[i] for i in range(2)])
        assert short.seconds == 1.5 and cut["input_features"].shape == (2, 20, 150)
        encoder = model.model.encoder
        encoder.config.max_source_positions = 75
        encoder.embed_positions = torch.nn.Embedding.from_pretrained(encoder.embed_positions.weight[:75])
        states = encoder(cut["input_features"]).last_hidden_state
        expected = torch.stack([states[0, :25].mean(0), states[1, :50].mean(0)])
        torch.testing.assert_close(source.body(cut), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["wav2vec2", "wavlm", "whisper"])
def test_a_network_survives_saving_and_starts_anew_by_the_seed(tmp_path, name):
    saved(tmp_path / "model", name)
    source = load_source(f"hf/{tmp_path / 'model'}")
    inputs = sounds(0.5, 0.31, rate=8000)
    task = Classification(("a", "b"))
    network = Network(source.prepared(inputs), source.body, task.head(source.body.width), task=task).eval()
    save_network(network, tmp_path / "n")
    again = load_network(tmp_path / "n").eval()
    outputs = []
    for each in (network, again):
        items = each.preparation.items(inputs)
        with torch.inference_mode():
            outputs.append(each(each.preparation.collate([items[0], items[1]])))
    torch.testing.assert_close(*outputs)
    first, second = source.body.scratch(1), source.body.scratch(1)
    assert first.weights_fingerprint() == second.weights_fingerprint() != source.body.weights_fingerprint()
    assert source.body.cut(0) is None  # what comes later also looks at the mask
    assert preparation_from_state(source.preparation.state()).fingerprint() == source.preparation.fingerprint()


def test_in_training_the_same_seed_gives_the_same_features(tmp_path):
    saved(tmp_path, "wav2vec2")
    source = load_source(f"hf/{tmp_path}")
    body, batch = source.body.copied().train(), source.preparation.example()
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        found.append(body(batch))  # the library's own masks would come from numpy's random numbers, which nobody seeds
    torch.testing.assert_close(*found)
    items = source.preparation.items(sounds(0.5))
    before = items[0].copy()
    first, again = (source.preparation.augmented(items, 0, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(items[0], before)
    assert not np.array_equal(first[: len(before)], before[: len(first)]) and first.dtype == np.float32


def test_very_short_and_very_long_recordings(tmp_path):
    saved(tmp_path, "wav2vec2")
    source = load_source(f"hf/{tmp_path}")
    assert torch.isfinite(features(source, sounds(0.001, 0.4))).all()
    preparation = source.prepared(sounds(0.4))
    items = preparation.items(sounds(0.4, 3.0))
    assert preparation.seconds == 0.5 or preparation.seconds == 1.0
    assert len(items[1]) == preparation.samples and "what comes after is cut off" in preparation.note(items)
    assert source.prepared(sounds(31.0)).seconds == 30.0


def test_refusals_are_one_sentence(tmp_path):
    saved(tmp_path, "wav2vec2")
    about = tmp_path / "preprocessor_config.json"
    other = json.loads(about.read_text()) | {"feature_extractor_type": "EncodecFeatureExtractor"}
    about.write_text(json.dumps(other))
    with pytest.raises(RequestError, match="EncodecFeatureExtractor, which is not supported"):
        load_source(f"hf/{tmp_path}")
    about.unlink()
    with pytest.raises(RequestError, match="preprocessor_config.json of .* is missing or cannot be read"):
        load_source(f"hf/{tmp_path}")


def test_another_model_of_spectrograms_is_not_taken_for_one_of_images(tmp_path):
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, max_length=64, num_mel_bins=32
    )
    transformers.ASTModel(config).save_pretrained(tmp_path)
    transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(tmp_path)
    with pytest.raises(RequestError, match="takes recordings through a ASTFeatureExtractor, which is not supported"):
        load_source(f"hf/{tmp_path}")


def speaker(name: str, digits: int = 3) -> Domain:
    """The first digits of one speaker, of the recordings that ship: four of each."""
    domain = load_domain(demo_path("speech"), label="digit", domain_column="speaker", domain=name)
    return domain.take(np.flatnonzero(domain.labels < digits))


def test_spoken_digits_of_one_speaker_for_another(tmp_path, capsys):
    """A whole run: every control, mistakes by file name, answers for new files."""
    ours = speaker("yweweler")
    known = Source(spec="theo", data=speaker("theo"))
    result = transfer(known, ours, method="scratch", labels_per_class=2, epochs=2, out=tmp_path / "run", seeds=1)
    assert set(result.controls) == {"constant", "target-only", "source-only", "pooled"}
    assert result.controls["target-only"]["accuracy"].value > 0.5
    names = pd.read_parquet(tmp_path / "run" / "predictions.parquet")["name"]
    assert set(names) <= set(ours.inputs.names())
    page = result.report(tmp_path / "r.html").read_text()
    wrong = pd.read_parquet(tmp_path / "run" / "predictions.parquet").query("label != answer")["name"]
    assert len(wrong) and all(name in page for name in wrong)
    again = load_transfer(tmp_path / "run")
    np.testing.assert_allclose(again.outputs(ours), result.outputs(ours), atol=1e-5)
    assert len(again.predict(again.read_inputs([demo_path("speech")]))) == 80
    assert again.score(speaker("yweweler"))["accuracy"].value < 1  # two epochs: it errs
    long = [Sound(np.random.default_rng(0).normal(size=60_000).astype(np.float32) / 9, 8000)]
    capsys.readouterr()
    again.outputs(long, progress=True)
    assert "what comes after is cut off" in capsys.readouterr().err
    again.outputs(long)
    assert capsys.readouterr().err == ""


def test_features_of_an_encoder_answer_without_target_labels(tmp_path):
    saved(tmp_path / "model", "whisper")
    source = load_source(f"hf/{tmp_path / 'model'}").with_data(speaker("theo"))
    result = transfer(source, speaker("yweweler"), method="source-only", labels=0, control="none", seeds=1)
    assert "without" in result.selected_by or "source" in result.selected_by
    assert result.network.preparation.seconds <= 2
