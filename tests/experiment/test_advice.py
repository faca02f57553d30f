"""The methods that a message names as fitting do not then refuse."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, Source, transfer
from sterna.methods.method import method_ids

RANDOM = np.random.default_rng(0)


def photographs(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (60, 8, 8, 3), dtype=np.uint8)
    return Domain.from_arrays(pixels, ["a", "b"] * 30)


def texts(seed=0):
    words = np.random.default_rng(seed).choice(["good", "bad", "day", "night", "tea"], (60, 5))
    return Domain.from_arrays([" ".join(row) for row in words], ["a", "b"] * 30)


def table(labels=None, seed=0):
    x = np.random.default_rng(seed).normal(size=(60, 3))
    return Domain.from_arrays(pd.DataFrame(x, columns=list("abc")), ["a", "b"] * 30 if labels is None else labels)


def advised(source, target, **asked):
    with pytest.raises(RequestError) as error:
        transfer(source, target, control="none", **asked)
    sentence = str(error.value)
    assert ": " in sentence
    found = sentence.rpartition(": ")[2].rstrip(".").split(", ")
    return [name for name in found if name in method_ids()]


@pytest.mark.parametrize(
    ("source", "target", "never"),
    [
        (None, photographs(), {"rule-head", "rule-penalty", "weak-labels"}),
        (None, texts(), {"prototypes", "label-propagation", "rule-head"}),
        (None, table(), {"rule-head", "rule-penalty", "weak-labels"}),
        (None, table(RANDOM.normal(size=60)), {"prototypes", "label-propagation"}),
        (Source("s", data=texts(1)), texts(), {"coral", "prototypes", "example-weighting", "feature-mapping"}),
        (Source("s", data=photographs(1)), photographs(), {"rule-head", "rule-penalty", "weak-labels"}),
    ],
)
def test_each_method_that_is_named_runs(source, target, never):
    named = advised(source, target, method="fine-tuning")
    assert "target-only" in named and not never & set(named)
    for name in set(named) - {"scratch", "target-only"}:
        transfer(source, target, method=name, control="none", steps=1, labels=20, seeds=1)


def test_without_labels_and_without_a_source_no_method_is_named():
    assert advised(None, photographs(), method="scratch", labels=0) == []
    assert advised(None, table(), method="scratch", labels=0) == []


def test_rules_are_named_where_the_source_gives_them():
    assert {"rule-head", "weak-labels"} <= set(advised(Source("s", data=table(seed=1)), table(), method="fine-tuning"))
