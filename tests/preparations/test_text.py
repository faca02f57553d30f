from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sterna.domains import ImageArray, TextInputs
from sterna.errors import RequestError
from sterna.networks import HashedTextPreparation, RawText, TextPreparation, preparation_from_state

WORDS = ["the", "arctic", "tern", "flies", "far", "a", "gull", "stays", "here"]
TEXTS = ["the tern flies far", "a gull", "", "the arctic tern flies far " * 5, "unknown words"]


def make_tokenizer(side: str = "right") -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side=side, model_max_length=64, **names)


def test_items_are_the_tokenizers_own_numbers_cut_and_counted() -> None:
    preparation = TextPreparation(make_tokenizer(), max_length=8)
    items = preparation.items(TextInputs(TEXTS))
    plain = make_tokenizer()
    for text, item in zip(TEXTS, items, strict=True):
        assert item == plain(text, truncation=True, max_length=8)["input_ids"] and isinstance(item, list)
    assert items.truncated == sum(len(plain(t)["input_ids"]) > 8 for t in TEXTS) == 1
    assert items.note() == "1 of 5 texts are longer than the 8 tokens that are read; what came after was cut off."
    assert TextPreparation(make_tokenizer()).items(TextInputs(TEXTS)).note() is None
    assert TextPreparation(make_tokenizer()).max_length == 64


@pytest.mark.parametrize("side", ["right", "left"])
def test_collate_pads_as_the_tokenizer_does(side: str) -> None:
    preparation = TextPreparation(make_tokenizer(side))
    items = preparation.items(TextInputs(TEXTS))
    batch = preparation.collate([items[i] for i in range(len(items))])
    expected = make_tokenizer(side)(TEXTS, padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])


def test_it_is_rebuilt_from_its_files(tmp_path: Path) -> None:
    preparation = TextPreparation(make_tokenizer(), max_length=8)
    preparation.save_assets(tmp_path)
    state = json.loads(json.dumps(preparation.state()))
    again = preparation_from_state(state, tmp_path)
    assert list(again.items(TextInputs(TEXTS))) == list(preparation.items(TextInputs(TEXTS)))
    assert again.fingerprint() == preparation.fingerprint()
    assert again.fingerprint() != TextPreparation(make_tokenizer(), max_length=9).fingerprint()
    with pytest.raises(RequestError, match="name the folder"):
        preparation_from_state(state)
    with pytest.raises(RequestError, match="There is no folder"):
        preparation_from_state(state, tmp_path / "missing")
    (tmp_path / "bad" / "tokenizer").mkdir(parents=True)
    with pytest.raises(RequestError, match="no tokenizer that can be read"):
        preparation_from_state(state, tmp_path / "bad")


def test_using_it_leaves_the_fingerprint() -> None:
    preparation = TextPreparation(make_tokenizer(), max_length=8)
    before = preparation.fingerprint()
    preparation.items(TextInputs(TEXTS))
    assert preparation.fingerprint() == before


def test_wrong_requests_are_named() -> None:
    with pytest.raises(RequestError, match="max_length is 2"):
        TextPreparation(make_tokenizer(), max_length=2)
    with pytest.raises(RequestError, match="takes texts, but came upon images"):
        RawText().items(ImageArray(np.zeros((1, 4, 4), dtype=np.uint8)))
    with pytest.raises(RequestError, match="'poem' is not known"):
        preparation_from_state({"type": "poem"})


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        (["the tern flies far", "a gull stays here"], None),
        (["the tern flies far away", "a gull stays", "here the gull"], None),  # 1 of 11 tokens
        (["北 极 tern flies", "far a gull 燕"], "38%"),  # 3 of 8
        (["北 极 燕", ""], "100%"),
        ([""], None),
        ([], None),
        (["北"] * 300, "100%"),
    ],
)
def test_the_share_of_unknown_tokens_is_said_from_a_tenth_on(texts: list[str], share: str | None) -> None:
    said = TextPreparation(make_tokenizer()).unknown(TextInputs(texts))
    start = [] if share is None else [f"{share} of the tokens of {min(200, len(texts))} texts are unknown"]
    assert [sentence.partition(" to the")[0] for sentence in said] == start
    assert RawText().unknown(TextInputs(texts)) == []


def test_raw_texts_pass_through() -> None:
    preparation = preparation_from_state(RawText().state())
    items = preparation.items(TextInputs(TEXTS))
    assert preparation.collate([items[0], items[3]]) == [TEXTS[0], TEXTS[3]]


def test_hashed_grams_are_words_and_characters() -> None:
    preparation = HashedTextPreparation(buckets=2**12)
    items = preparation.items(TextInputs(["ab cd", "ab cd", "ab", "很好吃", "很难吃", ""]))
    assert items[0] == items[1] and len(set(items[0])) == len(items[0])
    # "ab cd": words ab, cd, "ab cd"; characters: 4 of two, 3 of three, 2 of four.
    assert len(items[0]) == 3 + 9 and set(items[2]) <= set(items[0])
    assert items[3] != items[4] and items[5] == []
    assert min(items[0]) > 0 and max(max(i) for i in items if i) < preparation.size
    batch = preparation.collate([items[2], items[0], items[5]])
    assert batch.shape == (3, 12) and batch[0, 2:].sum() == 0 and batch[2].sum() == 0
    again = preparation_from_state(preparation.state())
    assert list(again.items(TextInputs(["ab cd"]))) == [items[0]]


def test_long_texts_keep_grams_from_all_over() -> None:
    preparation = HashedTextPreparation(max_length=50)
    items = preparation.items(TextInputs([" ".join(f"word{i}" for i in range(300)), "short"]))
    assert len(items[0]) == 50 and items.truncated == 1
    assert {number > preparation.buckets for number in items[0]} == {True, False}
