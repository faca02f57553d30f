"""What a torch Dataset, or a Hugging Face Dataset or DatasetDict, holds: inputs, labels, splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from sterna.domains.audio import AudioSequence
from sterna.domains.images import ImageSequence, levelled
from sterna.domains.in_memory import from_array, from_frame, from_texts
from sterna.domains.inputs import Inputs
from sterna.domains.layout import SPLIT_NAMES, UNLABELLED
from sterna.errors import RequestError, closest

_LABEL_COLUMNS = ("label", "labels")


class Found(NamedTuple):
    """What a data set holds, as a Domain takes it."""

    inputs: Inputs
    labels: Any = None
    splits: Mapping[str, Any] = {}
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def read_dataset(dataset: Any, *, label: str | None, text: str | None, image: str | None) -> Found:
    """See `Domain.from_dataset`."""
    if hasattr(dataset, "keys") and not hasattr(dataset, "features"):
        return _from_dataset_dict(dataset, label=label, text=text, image=image)
    if hasattr(dataset, "features") and hasattr(dataset, "column_names"):
        return _from_hugging_face(dataset, label=label, text=text, image=image)
    for option, value in (("label", label), ("text", text), ("image", image)):
        if value is not None:
            raise RequestError(
                f"{option}={value!r} is for a Hugging Face Dataset; {type(dataset).__name__} gives (input, label)."
            )
    return _from_torch(dataset)


# A Hugging Face Dataset


def _from_dataset_dict(dataset: Any, *, label: str | None, text: str | None, image: str | None) -> Found:
    known = {**SPLIT_NAMES, **dict.fromkeys((*UNLABELLED, "unsupervised"), None)}
    parts = [part for part in dataset if part.lower() in known]
    if not parts:
        raise RequestError(
            f"The DatasetDict has the splits {', '.join(dataset)}; train, validation or test was expected."
        )
    import datasets

    left = [part for part in dataset if part not in parts]
    try:
        whole = datasets.concatenate_datasets([dataset[part] for part in parts])
    except (ValueError, TypeError) as error:
        raise RequestError(
            f"The splits {', '.join(parts)} have different columns ({error}); make them equal."
        ) from error
    found = _from_hugging_face(whole, label=label, text=text, image=image)
    ends = np.cumsum([len(dataset[part]) for part in parts])
    splits: dict[str, list[np.ndarray]] = {}
    for part, end in zip(parts, ends, strict=True):
        split = known[part.lower()]
        if split is not None:
            splits.setdefault(split, []).append(np.arange(end - len(dataset[part]), end))
    notes = (f"The splits {', '.join(left)} were left out; they are none of train, validation, test.",) if left else ()
    joined = {split: np.concatenate(rows) for split, rows in splits.items()}
    return found._replace(splits=joined, notes=(*found.notes, *notes))


def _from_hugging_face(dataset: Any, *, label: str | None, text: str | None, image: str | None) -> Found:
    if not hasattr(dataset, "__len__"):
        raise RequestError("An iterable (streaming) Dataset has no rows to split; load it without streaming=True.")
    dataset = dataset.with_format(None)
    features = dict(dataset.features)
    for option, value in (("label", label), ("text", text), ("image", image)):
        if value is not None and value not in features:
            raise RequestError(
                f"{option}={value!r} is no column of the Dataset ({', '.join(features)}).{closest(value, features)}"
            )
    label = label if label is not None else _label_column(features)
    labels, classes = (None, None) if label is None else _labels(dataset, features[label], label)
    others = [column for column in features if column != label]
    image = image or next((c for c in others if type(features[c]).__name__ == "Image" and text is None), None)
    if image is not None:
        images, notes = levelled(ImageSequence(_Column(dataset.select_columns([image]), image)))
        return Found(images, labels, classes=classes, notes=tuple(notes))
    audio = next((c for c in others if type(features[c]).__name__ == "Audio" and text is None), None)
    if audio is not None:  # not decoded by the data set, which would need a library of its own for it
        raw = dataset.select_columns([audio]).cast_column(audio, type(features[audio])(decode=False))
        return Found(AudioSequence(_Column(raw, audio)), labels, classes=classes)
    strings = [column for column in others if getattr(features[column], "dtype", None) in ("string", "large_string")]
    if text is None and len(strings) == len(others) == 1:
        text = strings[0]
    if text is not None:
        texts, notes = from_texts(list(dataset[text]))
        return Found(texts, labels, classes=classes, notes=tuple(notes))
    from sterna.domains.parquet_files import frame_of

    if not others:
        raise RequestError(
            f"The Dataset has no column beside its label {label!r}; an image, a text or table columns were expected."
        )
    inputs, notes = from_frame(frame_of(dataset.select_columns(others).with_format("arrow")[:]), None, ())
    return Found(inputs, labels, classes=classes, notes=tuple(notes))


def _label_column(features: Mapping[str, Any]) -> str | None:
    named = [column for column in _LABEL_COLUMNS if column in features]
    typed = [column for column, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    if not named and len(typed) > 1:
        raise RequestError(f"The Dataset has the label columns {', '.join(typed)}; choose one with label=.")
    return next(iter(named + typed), None)


def _labels(dataset: Any, feature: Any, label: str) -> tuple[Any, tuple[str, ...] | None]:
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else None)
    values = list(dataset.select_columns([label])[label])
    if inner is None:
        names = getattr(feature, "names", None)
        return np.array([*values, None], dtype=object)[:-1], None if names is None else tuple(names)
    names = getattr(inner, "names", None)
    if names is None and getattr(inner, "dtype", "") in ("string", "large_string"):
        return np.array([*values, None], dtype=object)[:-1], None  # lists of names, which a Domain reads
    if names is None:
        raise RequestError(
            f"The label column {label!r} holds lists of {inner}; lists of ClassLabel, or of names, were expected."
        )
    hot = np.zeros((len(values), len(names)))
    for row, codes in enumerate(values):
        hot[row] = np.nan if codes is None else 0.0
        hot[row, list(codes or [])] = 1.0
    return hot, tuple(names)


class _Column:
    """One column, decoded row by row when asked."""

    def __init__(self, dataset: Any, column: Any) -> None:
        self._dataset = dataset
        self._column = column

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, row: int) -> Any:
        return self._dataset[row][self._column]


# A torch Dataset


def _from_torch(dataset: Any) -> Found:
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise RequestError(
            f"{type(dataset).__name__} has no length or no rows by number; a map-style torch Dataset was expected."
        )
    if not len(dataset):
        raise RequestError(f"{type(dataset).__name__} is empty; rows of (input, label) were expected.")
    first = dataset[0]
    if not isinstance(first, (tuple, list)) or len(first) != 2:
        raise RequestError(
            f"{type(dataset).__name__} gives {type(first).__name__}; a pair (input, label) was expected."
        )
    example = first[0]
    shape = np.shape(example) if not hasattr(example, "getbands") else (1, 1)
    labels = _ready_labels(dataset)
    classes = getattr(dataset, "classes", None)
    if len(shape) >= 2:  # images: a pass over them only where the labels are not at hand
        labels = [dataset[row][1] for row in range(len(dataset))] if labels is None else labels
        images, notes = levelled(ImageSequence(_Column(dataset, 0)))
        return Found(images, _stacked(labels), classes=_names(classes, labels), notes=tuple(notes))
    pairs = [dataset[row] for row in range(len(dataset))]
    labels = [pair[1] for pair in pairs]
    if isinstance(example, str):
        texts, notes = from_texts([pair[0] for pair in pairs])
        return Found(texts, _stacked(labels), classes=_names(classes, labels), notes=tuple(notes))
    inputs, notes = from_array(np.stack([np.asarray(_plain(pair[0])) for pair in pairs]), None, ())
    return Found(inputs, _stacked(labels), classes=_names(classes, labels), notes=tuple(notes))


def _ready_labels(dataset: Any) -> list[Any] | None:
    """Labels that a torchvision Dataset keeps beside its images, where they are what its rows give."""
    for attribute in ("targets", "labels"):
        values = getattr(dataset, attribute, None)
        if values is None or not hasattr(values, "__len__") or len(values) != len(dataset):
            continue
        rows = sorted({int(row) for row in np.linspace(0, len(dataset) - 1, 5)})
        if all(_same(dataset[row][1], values[row]) for row in rows):
            return list(values)
    return None


def _same(given: Any, kept: Any) -> bool:
    return bool(np.array_equal(_plain(given), _plain(kept)))


def _plain(value: Any) -> Any:
    return np.asarray(value.detach().cpu()) if hasattr(value, "detach") else value


def _stacked(labels: list[Any]) -> Any:
    values = [_plain(label) for label in labels]
    if np.ndim(values[0]) > 0:
        return np.stack(values)
    return np.array(
        [*(v.item() if isinstance(v, (np.ndarray, np.generic)) else v for v in values), None], dtype=object
    )[:-1]


def _names(classes: Any, labels: list[Any]) -> tuple[str, ...] | None:
    """The names of a torchvision Dataset's classes, where the labels are their numbers."""
    if not isinstance(classes, (list, tuple)) or not all(isinstance(c, str) for c in classes):
        return None
    values = [np.asarray(_plain(label)) for label in labels]
    whole = all(v.ndim == 0 and v.dtype.kind in "iu" and -1 <= int(v) < len(classes) for v in values)
    return tuple(classes) if whole else None
