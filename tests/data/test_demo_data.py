"""The data that ship: whole, balanced as the notice says, and nothing on two sides."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from sterna.data import demo_names, demo_path
from sterna.errors import RequestError


def test_pneumonia_is_as_the_notice_says() -> None:
    with np.load(demo_path("pneumonia"), allow_pickle=False) as data:
        assert set(data) == {"train_images", "train_labels", "test_images", "test_labels", "class_names"}
        assert data["train_images"].shape == (1140, 28, 28) and data["train_images"].dtype == np.uint8
        assert np.bincount(data["train_labels"]).tolist() == [380, 760]
        assert np.bincount(data["test_labels"]).tolist() == [234, 390]
        assert data["class_names"].tolist() == ["normal", "pneumonia"]
        train = {image.tobytes() for image in data["train_images"]}
        test = {image.tobytes() for image in data["test_images"]}
    assert len(train) == 1140
    assert not train & test


def test_pneumonia_stays_small() -> None:
    assert demo_path("pneumonia").stat().st_size <= 1_500_000


def test_reviews_are_balanced_and_distinct() -> None:
    with demo_path("reviews").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    cells = Counter((row["split"], row["department"], row["sentiment"]) for row in rows)
    assert len(rows) == len({row["text"] for row in rows}) == 200
    assert {cells[key] for key in cells if key[0] == "train"} == {8}
    assert {cells[key] for key in cells if key[0] == "test"} == {12}
    assert len(cells) == 2 * 5 * 2


def test_every_named_set_is_there() -> None:
    assert all(demo_path(name).is_file() for name in demo_names())


def test_an_unknown_name_is_refused_with_the_near_one() -> None:
    with pytest.raises(RequestError, match="'pneumona'.*Did you mean 'pneumonia'"):
        demo_path("pneumona")
