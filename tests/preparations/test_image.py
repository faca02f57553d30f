from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sterna.domains import ImageArray, ImageSequence, TextInputs
from sterna.errors import RequestError
from sterna.networks import ImagePreparation, preparation_from_state


def picture(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    shape = (height, width) if mode == "L" else (height, width, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


CONFIGS = [
    {"input_size": (3, 224, 224), "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.5,) * 3, "crop_pct": 0.875},
    {
        "input_size": (3, 96, 96),
        "interpolation": "bilinear",
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "crop_pct": 0.95,
    },
    {
        "input_size": (3, 64, 64),
        "interpolation": "bicubic",
        "mean": (0.48, 0.45, 0.4),
        "std": (0.2, 0.25, 0.3),
        "crop_pct": 1.0,
        "crop_mode": "squash",
    },
    {
        "input_size": (3, 33, 33),
        "interpolation": "bicubic",
        "mean": (0.5, 0.4, 0.3),
        "std": (0.2, 0.25, 0.3),
        "crop_pct": 0.9,
        "crop_mode": "center",
    },
]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    config=st.sampled_from(CONFIGS),
    width=st.integers(5, 300),
    height=st.integers(5, 300),
    mode=st.sampled_from(["L", "RGB"]),
    seed=st.integers(0, 9),
)
def test_equal_to_timms_evaluation_transform(config: dict, width: int, height: int, mode: str, seed: int) -> None:
    image = picture(width, height, mode, seed)
    expected = timm.data.create_transform(**config)(image.convert("RGB"))
    found = ImagePreparation.from_timm(config).prepared(image)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "vit_tiny_patch16_224", "convnext_atto"])
def test_equal_to_timm_for_a_models_own_config(name: str) -> None:
    model = timm.create_model(name, num_classes=0)
    config = timm.data.resolve_model_data_config(model)
    image = picture(301, 200)
    expected = timm.data.create_transform(**config)(image)
    np.testing.assert_allclose(ImagePreparation.from_timm(config).prepared(image), expected.numpy(), atol=1e-5)


def test_collate_stacks_channels_last() -> None:
    preparation = ImagePreparation(32)
    items = preparation.items(ImageArray(np.random.default_rng(0).integers(0, 256, (4, 28, 20), dtype=np.uint8)))
    batch = preparation.collate([items[i] for i in range(len(items))])
    assert batch.shape == (4, 3, 32, 32) and batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    for i in range(4):
        np.testing.assert_array_equal(batch[i].numpy(), items[i])
        np.testing.assert_array_equal(batch.flatten(1)[i].numpy(), np.asarray(items[i]).ravel())


def test_grey_bodies_and_colour_images() -> None:
    preparation = ImagePreparation(16, (0.5,), (0.25,), crop=1.0, channels=1)
    colour = picture(16, 16)
    expected = (np.asarray(colour.convert("L"), dtype=np.float64) / 255 - 0.5) / 0.25
    np.testing.assert_allclose(preparation.prepared(colour)[0], expected, atol=1e-5)
    assert preparation.prepared(picture(20, 30, "L")).shape == (1, 16, 16)
    assert ImagePreparation(16, (0.1, 0.2, 0.6), (0.5,) * 3, channels=1).mean == pytest.approx((0.3,))


def test_augmentation_follows_the_generator() -> None:
    preparation = ImagePreparation(32)
    items = preparation.items(ImageSequence([picture(90, 70, seed=i) for i in range(3)]))
    draws = [preparation.augmented(items, 1, np.random.default_rng([0, 1, seed])) for seed in range(20)]
    again = [preparation.augmented(items, 1, np.random.default_rng([0, 1, seed])) for seed in range(20)]
    assert all(np.array_equal(a, b) for a, b in zip(draws, again, strict=True))
    assert len({a.tobytes() for a in draws}) == 20 and draws[0].shape == (3, 32, 32)


def test_augmentation_stays_inside_the_image_and_is_gentle_for_small_grey_ones() -> None:
    plain = ImagePreparation(16, (0.0,), (1.0,), "bilinear", 1.0, channels=1)
    ramp = Image.fromarray(np.tile(np.arange(28, dtype=np.uint8) * 9, (28, 1)))
    items = plain.items(ImageSequence([ramp, Image.fromarray(np.full((28, 28), 200, np.uint8))]))
    for seed in range(40):
        changed = plain.augmented(items, 0, np.random.default_rng(seed))[0]
        assert (np.diff(changed, axis=1) > 0).all()  # never mirrored
        assert changed.max() - changed.min() > 0.6 * 243 / 255  # most of it is kept
        np.testing.assert_allclose(plain.augmented(items, 1, np.random.default_rng(seed)), 200 / 255, atol=1e-6)


def test_colour_images_are_mirrored_in_half_of_the_cases() -> None:
    preparation = ImagePreparation(16, (0.0,) * 3, (1.0,) * 3, "bilinear", 1.0)
    ramp = np.tile((np.arange(100) * 2).astype(np.uint8)[None, :, None], (100, 1, 3))
    items = preparation.items(ImageSequence([Image.fromarray(ramp)]))
    mirrored = [
        preparation.augmented(items, 0, np.random.default_rng(s))[0, 8, -1]
        < preparation.augmented(items, 0, np.random.default_rng(s))[0, 8, 0]
        for s in range(200)
    ]
    assert 70 < sum(mirrored) < 130


def test_state_round_trip_and_fingerprint() -> None:
    preparation = ImagePreparation(96, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bilinear", 0.9, mode="squash")
    again = preparation_from_state(json.loads(json.dumps(preparation.state())))
    image = picture(50, 80)
    assert isinstance(again, ImagePreparation) and again.fingerprint() == preparation.fingerprint()
    np.testing.assert_array_equal(again.prepared(image), preparation.prepared(image))
    smaller = preparation_from_state({**preparation.state(), "size": 32})
    assert smaller.fingerprint() != preparation.fingerprint() and smaller.prepared(image).shape == (3, 32, 32)


def test_items_reach_a_worker_process() -> None:
    preparation = ImagePreparation(16)
    items = preparation.items(ImageArray(np.zeros((2, 28, 28), dtype=np.uint8)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(items))[1], items[1])


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(RequestError, match="interpolation is 'cubic'"):
        ImagePreparation(32, interpolation="cubic")
    with pytest.raises(RequestError, match="expected a size from 1 on"):
        ImagePreparation(0)
    with pytest.raises(RequestError, match="mean has 2 numbers for 3 channels"):
        ImagePreparation(32, mean=(0.5, 0.5))
    with pytest.raises(RequestError, match="takes images, but came upon text"):
        ImagePreparation(32).items(TextInputs(["a"]))


def test_grey_images_between_two_random_colours_beside_coloured_ones_that_no_mirror_turns() -> None:
    ramp = np.linspace(0, 255, 16).round().astype(np.uint8)
    grey = Image.fromarray(np.tile(ramp, (16, 1)))
    preparation = ImagePreparation(16, (0.0,), (1.0,), crop=1.0)
    items = preparation.items(ImageSequence([grey, grey.convert("RGB")]))
    other, ends = preparation.recolouring(), []
    for seed in range(60):
        plain, coloured = (p.augmented(items, 0, np.random.default_rng(seed)) for p in (preparation, other))
        for channel in coloured:  # of one cut, each channel is a line in the grey value
            slope, start = np.polyfit(plain[0].ravel(), channel.ravel(), 1)
            np.testing.assert_allclose(start + slope * plain[0], channel, atol=0.5 / 255 + 1e-3)
            ends += [start, start + slope]
        turned = other.augmented(items, 1, np.random.default_rng(seed))
        assert (np.diff(turned, axis=2) >= 0).all() and (turned[0] == turned[1]).all()  # coloured ones stay as they are
    np.testing.assert_allclose(np.quantile(ends, (0.1, 0.5, 0.9)), (0.1, 0.5, 0.9), atol=0.1)
    np.testing.assert_array_equal(other.items(items.inputs)[0], preparation.items(items.inputs)[0])
    assert not ImagePreparation(16, channels=1).recolouring().recolours


def cuts(image: Image.Image, slopes: tuple[float, float], draws: int) -> np.ndarray:
    """Share of the area, aspect beside the image's own, and mirrored or not, of random cuts; ``(draws, 3)``.

    Pixels rise by so much from left to right in the first channel, and from top to bottom in the last.
    """
    size, inner = 32, np.arange(6, 26)  # a resampled ramp is straight but for its ends
    preparation = ImagePreparation(size, (0.0,), (1 / 255,), "bilinear", 1.0)
    items = preparation.items(ImageSequence([image]))
    found = []
    for draw in range(draws):
        values = preparation.augmented(items, 0, np.random.default_rng([3, draw]))[:, 6:26, 6:26]
        across = np.polyfit(inner, values[0].mean(axis=0), 1)[0] * size / slopes[0] / image.width
        down = np.polyfit(inner, values[-1].mean(axis=1), 1)[0] * size / slopes[1] / image.height
        found.append((abs(across) * down, abs(across) / down, across < 0))
    return np.array(found)


def ramps(width: int, height: int, slope: float) -> Image.Image:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.rint(np.stack([slope * x, 0 * x, slope * y], axis=-1)).astype(np.uint8))


def test_cuts_are_of_35_to_100_percent_and_nearly_the_shape_of_the_image() -> None:
    share, aspect, mirrored = cuts(ramps(250, 160, 1), (1, 1), 600).T
    assert 0.34 < share.min() < 0.38 and 0.95 < share.max() < 1.01
    np.testing.assert_allclose(np.quantile(share, (0.25, 0.5, 0.75)), (0.51, 0.67, 0.80), atol=0.04)
    assert 0.73 < aspect.min() < 0.77 and 1.30 < aspect.max() < 1.36
    np.testing.assert_allclose(np.quantile(np.log(aspect), (0.25, 0.5, 0.75)), (-0.12, 0, 0.12), atol=0.03)
    assert 0.44 < mirrored.mean() < 0.56


def test_cuts_of_small_and_of_grey_images_keep_more_and_grey_ones_are_never_mirrored() -> None:
    x, y = np.meshgrid(np.arange(250), np.arange(250))
    grey = Image.fromarray(((x + y) // 2).astype(np.uint8))
    for image, slope, turned in ((ramps(64, 64, 4), 4, 0.5), (grey, 0.5, 0.0)):
        share, aspect, mirrored = cuts(image, (slope, slope), 300).T
        assert 0.74 < share.min() < 0.78 and 0.95 < share.max() < 1.01
        np.testing.assert_allclose(np.median(share), 0.87, atol=0.03)
        assert 0.89 < aspect.min() < 0.93 and 1.07 < aspect.max() < 1.12
        assert abs(mirrored.mean() - turned) < 0.09 * (turned > 0) + 1e-9
