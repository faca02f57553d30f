"""Images for a body: resize, crop, normalise, as timm's own evaluation transform does."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from sterna.domains.inputs import INFERENCE_ROWS, Inputs, Kind, Preparation
from sterna.errors import RequestError, require

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray[Any, np.dtype[np.float32]]

INTERPOLATIONS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
"""Pillow's number of each way to resample."""

_LEFT_RIGHT: Any = 0  # Pillow's Transpose.FLIP_LEFT_RIGHT

SMALL = 64
"""Pixels: images up to this side are small, and are changed gently in training."""

SMALL_SIZE = 96
"""Pixels a convolutional body gets small images at: the smallest size where its last blocks still see 3 × 3 places."""

PIXELS_AT_ONCE = 400_000
"""Of a batch on a CPU: activations that fit its cache make a convolutional body twice as fast."""

_SAMPLE = 32


class ImagePreparation(Preparation):
    """Resize, cut out the centre, normalise.

    ``mode="center"`` brings the shorter side to ``floor(size / crop)`` and cuts out the centre; ``"squash"`` brings
    both sides there, whatever the shape of the image. Values are
    ``(pixel / 255 − mean) / std``. Equal to timm's evaluation transform.

    Parameters
    ----------
    size
        Side of the square the body takes, in pixels.
    mean, std
        Of each channel, on a scale from 0 to 1.
    interpolation
        One of nearest, bilinear, bicubic, lanczos, box, hamming.
    crop
        Part of the resized image that the centre keeps, in (0, 1] (timm's ``crop_pct``).
    channels
        3, or 1 for bodies that take grey images.
    mode
        ``"center"`` or ``"squash"`` (timm's ``crop_mode``).
    colours
        ``"rgb"``, or ``"bgr"`` for bodies that take the colours the other way round.

    Raises
    ------
    RequestError
        If an argument is out of its range.
    """

    kind: ClassVar[Kind] = "images"

    def __init__(
        self,
        size: int,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        interpolation: str = "bicubic",
        crop: float = 0.875,
        channels: int = 3,
        mode: Literal["center", "squash"] = "center",
        colours: Literal["rgb", "bgr"] = "rgb",
    ) -> None:
        require("PIL", "image")
        if interpolation not in INTERPOLATIONS:
            raise RequestError(f"interpolation is {interpolation!r}; expected one of {', '.join(INTERPOLATIONS)}.")
        if not 1 <= size <= 4096 or not 0 < crop <= 1 or channels not in (1, 3) or mode not in ("center", "squash"):
            raise RequestError(
                f"ImagePreparation(size={size}, crop={crop}, channels={channels}, mode={mode!r}): expected a size from "
                "1 on (4096 at most), a crop in (0, 1], 1 or 3 channels and the mode 'center' or 'squash'."
            )
        if colours not in ("rgb", "bgr"):
            raise RequestError(f"colours is {colours!r}; expected 'rgb' or 'bgr'.")
        self.size, self.interpolation, self.crop = int(size), interpolation, float(crop)
        self.channels, self.mode = channels, mode
        self.mean, self.std = _each(mean, channels, "mean"), _each(std, channels, "std")
        if not (np.isfinite([*self.mean, *self.std]).all() and min(self.std) > 0):
            raise RequestError(
                f"mean is {self.mean} and std is {self.std}; numbers were expected, those of std above 0."
            )
        self.colours = colours
        # (pixel / 255 - mean) / std = pixel * factor + shift
        deviation = np.array(self.std, dtype=np.float64)
        self._factor = (1 / (255 * deviation)).astype(np.float32)
        self._shift = (-np.array(self.mean, dtype=np.float64) / deviation).astype(np.float32)
        self.recolours = False

    @classmethod
    def from_timm(cls, config: Mapping[str, Any], size: int | None = None) -> ImagePreparation:
        """From what ``timm.data.resolve_model_data_config(model)`` gives.

        Parameters
        ----------
        config
            ``input_size``, ``mean``, ``std``, ``interpolation``, ``crop_pct``, ``crop_mode``.
        size
            Another input size than the model's own.
        """
        channels, height, _ = config["input_size"]
        interpolation = str(config.get("interpolation", "bicubic"))
        return cls(
            size=size or int(height),
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            interpolation=interpolation if interpolation in INTERPOLATIONS else "bicubic",
            crop=float(config.get("crop_pct") or 0.875),
            channels=1 if channels == 1 else 3,
            mode="squash" if config.get("crop_mode") == "squash" else "center",
        )

    def state(self) -> dict[str, Any]:
        return {
            "type": "image",
            "size": self.size,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation,
            "crop": self.crop,
            "channels": self.channels,
            "mode": self.mode,
            **({"colours": self.colours} if self.colours != "rgb" else {}),
        }

    def suited(self, inputs: Inputs, works: Callable[[Preparation], bool]) -> ImagePreparation:
        """At 96 px, if these images are small (up to 64 px) and the body takes them so.

        Enlarging them further adds no knowledge and costs five times the work.
        """
        if self.size <= SMALL_SIZE or not len(inputs) or longest_side(inputs) > SMALL:
            return self
        smaller = self.resized(SMALL_SIZE)
        return smaller if works(smaller) else self

    def resized(self, size: int) -> ImagePreparation:
        return ImagePreparation.from_state({**self.state(), "size": size})

    def inference_rows(self, on_cpu: bool) -> int:
        return int(np.clip(PIXELS_AT_ONCE // self.size**2, 4, INFERENCE_ROWS)) if on_cpu else INFERENCE_ROWS

    def recolouring(self) -> ImagePreparation:
        """The same for training on grey and on coloured images at once.

        In `augmented` two random colours stand for the black and the white of a grey image, which is otherwise told
        from a coloured one at a glance, and no image is mirrored, since those of the other kind never are.
        """
        other = copy.copy(self)
        other.recolours = self.channels == 3
        return other

    def __repr__(self) -> str:
        return f"ImagePreparation({self.size} px, {self.channels} channels)"

    def items(self, inputs: Inputs) -> ImageItems:
        """Rows as float32 arrays ``(channels, size, size)``, decoded when asked for."""
        return ImageItems(inputs, self)

    def prepared(self, image: Image) -> Array:
        """One image as the body sees it, ``(channels, size, size)`` float32."""
        image = self._moded(image)
        scale = math.floor(self.size / self.crop)
        width, height = image.size
        if self.mode == "squash":
            goal = (scale, scale)
        elif width <= height:
            goal = (scale, int(scale * height / width))
        else:
            goal = (int(scale * width / height), scale)
        if image.size != goal:
            image = image.resize(goal, INTERPOLATIONS[self.interpolation])
        left, top = round((goal[0] - self.size) / 2), round((goal[1] - self.size) / 2)
        if goal != (self.size, self.size):
            image = image.crop((left, top, left + self.size, top + self.size))
        return self._normalised(image)

    def augmented(self, items: Any, row: int, random: np.random.Generator) -> Any:
        """One image cut out, stretched and mirrored at random.

        A part of 35 to 100 % of the area, of an aspect from 3/4 to 4/3 (Szegedy et al., 2015), mirrored in half of the
        cases. Small images (up to 64 px) and grey ones keep at least 75 % and nearly their shape; grey ones are never
        mirrored: digits and X-rays have a left and a right. See also :meth:`recolouring`.

        Not torchvision's v2 transforms: they cut at whole pixels, bound the aspect of the part whatever the shape of
        the image, and draw from a generator that all code shares. Measured on one thread, with that generator set and
        put back for each row, they make 0.8, 1.1 and 2.3 times as many images a second, from tensors, at 64, 96 and
        224 px; from Pillow's images, where the resampling is this one, fewer at every size.
        """
        if not isinstance(items, ImageItems):
            return items[row]
        image = self._moded(items.inputs[row])
        grey = image.mode == "L"
        gentle = grey or max(image.size) <= SMALL
        box = _random_box(image.size, (0.75, 1.0) if gentle else (0.35, 1.0), 1.1 if gentle else 4 / 3, random)
        mirrored = random.random() < 0.5 and not grey and not self.recolours
        square = (self.size, self.size)
        image = image.resize(square, INTERPOLATIONS[self.interpolation], box=box)
        if grey and self.recolours:
            image = _recoloured(image, random)
        return self._normalised(image.transpose(_LEFT_RIGHT) if mirrored else image)

    def collate(self, items: Sequence[Any]) -> Tensor:
        """Rows ``(channels, size, size)`` to a tensor ``(n, channels, size, size)`` that lies channels last."""
        batch = np.stack([np.asarray(item).transpose(1, 2, 0) for item in items])
        return torch.from_numpy(batch).permute(0, 3, 1, 2)

    def example(self, rows: int = 2) -> Tensor:
        """Noise of the shape the body takes."""
        return torch.randn(rows, self.channels, self.size, self.size, generator=torch.Generator().manual_seed(0))

    def _moded(self, image: Image) -> Image:
        if image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        return image.convert("L") if self.channels == 1 and image.mode == "RGB" else image

    def _normalised(self, image: Image) -> Array:
        pixels = np.asarray(image, dtype=np.float32)
        if pixels.ndim == 2:
            pixels = np.broadcast_to(pixels[:, :, None], (*pixels.shape, self.channels))
        if self.colours == "bgr":
            pixels = pixels[:, :, ::-1]
        values: Array = pixels * self._factor
        values += self._shift
        return values.transpose(2, 0, 1)


class ImageItems:
    """Prepared images, one when asked for."""

    def __init__(self, inputs: Inputs, preparation: ImagePreparation) -> None:
        if inputs.kind != "images":
            raise RequestError(f"An image preparation takes images, but came upon {inputs.kind}.")
        self.inputs, self.preparation = inputs, preparation

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> Array:
        return self.preparation.prepared(self.inputs[row])


def longest_side(inputs: Inputs) -> int:
    """The longest side of up to 32 images spread evenly over `inputs`, in pixels."""
    rows = np.unique(np.linspace(0, len(inputs) - 1, min(_SAMPLE, len(inputs))).astype(int))
    return int(max(max(inputs[int(row)].size) for row in rows))


def _each(values: Sequence[float], channels: int, name: str) -> tuple[float, ...]:
    """One number a channel; grey images take the mean over the three channels."""
    numbers = tuple(float(v) for v in values)
    if len(numbers) == 1:
        return numbers * channels
    if channels == 1 and len(numbers) == 3:
        return (sum(numbers) / 3,)
    if len(numbers) != channels:
        raise RequestError(f"{name} has {len(numbers)} numbers for {channels} channels; give one a channel.")
    return numbers


def _recoloured(image: Image, random: np.random.Generator) -> Image:
    """A grey image between two random colours, one where it is black and one where it is white."""
    from PIL import Image as pil

    dark, light = random.integers(0, 256, (2, 3))
    share = np.asarray(image, dtype=np.float32)[:, :, None] / 255
    return pil.fromarray(np.rint(dark + (light - dark) * share).astype(np.uint8))


def _random_box(
    size: tuple[int, int], areas: tuple[float, float], aspect: float, random: np.random.Generator
) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a part of an image, in pixels."""
    width, height = size
    area = random.uniform(*areas) * width * height
    ratio = math.exp(random.uniform(-math.log(aspect), math.log(aspect))) * width / height
    w, h = min(width, math.sqrt(area * ratio)), min(height, math.sqrt(area / ratio))
    left, top = random.uniform(0, width - w), random.uniform(0, height - h)
    return left, top, left + w, top + h
