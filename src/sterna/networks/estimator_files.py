"""Fitted scikit-learn estimators on disk, by skops: what such a file may hold, and what it may not.

skops itself loads functions of numpy, calls constructors and builds bound methods where the types are known to it.
None of that is part of an estimator that Sterna fits, so the ways of building are a closed list as well.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sterna.errors import RequestError
from sterna.record.reading import AGAIN, in_words
from sterna.untrusted import check_unpacked

_TYPES = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
"""Types a file may hold beside plain values and scikit-learn's estimators: inner parts of those that Sterna fits."""

_BUILT = frozenset(
    {
        "BytesNode", "DTypeNode", "DefaultDictNode", "DictNode", "JsonNode", "ListNode", "LossNode", "MaskedArrayNode",
        "NdArrayNode", "ObjectNode", "RandomGeneratorNode", "RandomStateNode", "SetNode", "SliceNode",
        "SparseMatrixNode", "TreeNode", "TupleNode", "TypeNode", "_DictWithDeprecatedKeysNode",
    }
)  # fmt: skip
"""Ways of building them: containers, arrays, and objects from their attributes; no function and no method is called."""


def load_estimator(path: Path) -> Any:
    """Read a file of skops; nothing is unpickled, imported or called but the known parts of estimators."""
    from skops.io import get_untrusted_types, load

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            check_unpacked(repr(str(path)), path.stat().st_size, size, AGAIN)
            built = {str(name) for name in _loaders(json.loads(archive.read("schema.json")))}
        foreign = sorted(built - _BUILT) or sorted(set(get_untrusted_types(file=path)) - _TYPES)
        if not foreign:
            found = load(path, trusted=sorted(_TYPES))
            for part in _parts(found):
                _check_tree(part)
                _check_features(part)
            return found
    except RequestError:
        raise
    except Exception as error:  # a cut or changed file makes zipfile, json and skops raise many types
        raise RequestError(f"{str(path)!r} is missing or damaged ({in_words(error)}); {AGAIN}.") from error
    raise RequestError(
        f"{str(path)!r} holds types that Sterna does not load ({', '.join(foreign[:3])}), so it was refused; "
        "expected an estimator that Sterna saved."
    )


def _loaders(schema: Any) -> Iterator[Any]:
    """How each part of a file is built."""
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if "__loader__" in part:
                yield part["__loader__"]
            todo.extend(part.values())
        elif isinstance(part, list):
            todo.extend(part)


def _parts(estimator: Any) -> Iterator[Any]:
    """An estimator and all objects in it, each once."""
    seen: set[int] = set()
    todo = [estimator]
    while todo:
        part = todo.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float):
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            todo.extend(part.values())
        elif isinstance(part, list | tuple | set) or (isinstance(part, np.ndarray) and part.dtype == object):
            todo.extend(part.flat if isinstance(part, np.ndarray) else part)
        else:
            todo.extend(getattr(part, "__dict__", {}).values())


def _check_tree(part: Any) -> None:
    """Refuse trees whose branches lead out of them or in a circle: scikit-learn follows them without looking."""
    name = type(part).__name__
    if name == "TreePredictor":
        nodes = part.nodes
        inner = np.flatnonzero(nodes["is_leaf"] == 0)
        sets = len(part.raw_left_cat_bitsets) if nodes["is_categorical"].any() else 0
        wrong = (nodes["is_categorical"][inner] != 0) & (nodes["bitset_idx"][inner] >= sets)
        branches, features = (nodes["left"][inner], nodes["right"][inner]), nodes["feature_idx"][inner]
    elif name == "Tree":
        inner = np.flatnonzero(part.children_left != -1)
        wrong = part.feature[inner] >= part.n_features
        branches, features = (part.children_left[inner], part.children_right[inner]), part.feature[inner]
        nodes = part.children_left
    else:
        return
    forward = all((each > inner).all() and (each < len(nodes)).all() for each in branches)
    if not forward or wrong.any() or (features < 0).any() or not len(nodes):
        raise ValueError("a tree has branches that lead nowhere")


def _check_features(part: Any) -> None:
    """Refuse boosting and trees that look at a feature that there is not."""
    trees: list[Any] = [getattr(each, "tree_", None) for each in [part, *getattr(part, "estimators_", ())]]
    wide = any(type(tree).__name__ == "Tree" and tree.n_features > part.n_features_in_ for tree in trees)
    for tree in _parts(getattr(part, "_predictors", [])):
        wide |= type(tree).__name__ == "TreePredictor" and (tree.nodes["feature_idx"] >= part.n_features_in_).any()
    if wide:
        raise ValueError("a tree looks at a feature that there is not")
