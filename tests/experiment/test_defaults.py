"""Which method runs where none was asked for."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, Source, load_transfer, transfer
from sterna.experiment.defaults import with_method
from sterna.networks.small import small_body
from sterna.record.request import Request


def table(columns="abc", seed=0, labels=("low", "high")):
    x = np.random.default_rng(seed).normal(size=(60, len(columns)))
    return Domain.from_arrays(pd.DataFrame(x, columns=list(columns)), np.where(x[:, 0] > 0, *labels[::-1]))


def photographs():
    pixels = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 3), dtype=np.uint8)
    return Domain.from_arrays(pixels, ["a", "b"] * 20)


def model(domain):
    return Source("known", *small_body(domain.inputs))


@pytest.mark.parametrize(
    ("source", "asked", "method", "words"),
    [
        (None, {}, "target-only", "there is no source; no model for table rows is packaged"),
        (model(table()), {}, "feature-extraction", "known is a model"),
        (model(table()).with_data(table(seed=1)), {}, "feature-extraction", "known is a model"),
        (Source("more", data=table(seed=1)), {}, "pooled", "is labelled data like the target's"),
        (Source("more", data=table(seed=1)), {"labels": 5}, "pooled", "is labelled data like the target's"),
        (Source("more", data=table(seed=1)), {"labels": 0}, "source-only", "labels=0 hides every target label"),
        (Source("more", data=table("abcd", 1)), {}, "pooled", "is labelled data like the target's"),
        (Source("more", data=table("ab", 1)), {}, "target-only", "lacks columns of the target (method="),
        (Source("more", data=table(labels=("x", "y"))), {}, "target-only", "is not labelled as the target is"),
        (Source("more", data=table(labels=("x", "y"))), {"map_classes": {"x": "low", "y": "high"}}, "pooled", "like"),
        (Source("more", data=photographs()), {}, "target-only", "holds images, not table rows"),
    ],
)  # fmt: skip
def test_what_there_is_decides(source, asked, method, words):
    request, notes = with_method(Request(**asked), [] if source is None else [source], table())
    assert request.method == method
    (note,) = notes
    assert note.startswith(f"No method was asked for: {method}, because ") and words in note and note.endswith(".")


@pytest.mark.parametrize(
    ("domain", "spec"),
    [
        (photographs(), "packaged/efficientnet-lite0"),
        (Domain.from_arrays([f"text {i}" for i in range(20)], ["a", "b"] * 10), "packaged/minilm-l6"),
    ],
)
def test_a_source_that_fits_the_kind_of_data_is_named(domain, spec):
    assert f"source={spec!r}" in with_method(Request(), [], domain)[1][0]


def test_a_method_that_was_asked_for_stays():
    assert with_method(Request(method="scratch"), [], table()) == (Request(method="scratch"), ())


def test_the_folder_says_which_and_the_run_goes_on_with_it(tmp_path):
    asked = {"control": "none", "out": tmp_path / "run"}
    result = transfer(None, table(), **asked)
    kept = load_transfer(tmp_path / "run").evidence
    assert kept.method == result.method == "target-only"
    assert '"method": "target-only"' in (tmp_path / "run" / "request.json").read_text()
    assert any("No method was asked for: target-only" in note for note in kept.target.notes)
    assert transfer(None, table(), resume=True, **asked).record["scores"] == result.record["scores"]
