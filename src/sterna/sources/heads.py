"""The heads of Hugging Face classifiers as plain layers after pooled features."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sterna.tasks import Classification, MultiLabel, Regression

if TYPE_CHECKING:
    from torch import nn

    from sterna.tasks import Task

_POOLINGS = ("pooler", "cls", "mean")


def candidates(classifier: Any) -> Iterator[tuple[str, nn.Module]]:
    """Ways to read a classifier as a pooling and a row of layers; which one is right, a trial must show.

    Yields
    ------
    tuple of str and Module
        The pooling, and a head (copied) from pooled features ``(n, width)`` to logits ``(n, o)``.
    """
    from torch import nn

    for layers in _rows(classifier):
        for pooling in _POOLINGS:
            yield pooling, copy.deepcopy(layers[0] if len(layers) == 1 else nn.Sequential(*layers))


def _rows(classifier: Any) -> Iterator[list[nn.Module]]:
    from torch import nn

    activations = (nn.Tanh, nn.GELU, nn.ReLU)
    final = getattr(classifier, "classifier", None) or getattr(classifier, "score", None)
    if isinstance(final, nn.Sequential) and isinstance(final[-1], nn.Linear):  # ResNet: Flatten, Linear
        yield list(final)
    if isinstance(final, nn.Linear):  # BERT, ALBERT, ViT, ConvNeXt, Swin
        yield [final]
        before = getattr(classifier, "pre_classifier", None)  # DistilBERT
        context = getattr(getattr(classifier, "pooler", None), "dense", None)  # DeBERTa
        for layer in (before, context):
            if isinstance(layer, nn.Linear):
                for activation in activations:
                    yield [layer, activation(), final]
    dense, out = getattr(final, "dense", None), getattr(final, "out_proj", None)
    if isinstance(dense, nn.Linear) and isinstance(out, nn.Linear):  # RoBERTa, ELECTRA
        for activation in activations:
            yield [dense, activation(), out]


def task_of(config: Any) -> Task | None:
    """What a classifier answers, by its configuration."""
    classes = tuple(str(config.id2label[key]) for key in sorted(config.id2label, key=int))
    if config.problem_type == "regression" or len(classes) == 1:
        return Regression() if len(classes) == 1 else None
    if len(set(classes)) < len(classes):
        return None
    if config.problem_type == "multi_label_classification":
        return MultiLabel(classes)
    return Classification(classes)
