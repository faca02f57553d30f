"""Which method runs where none was asked for."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, Source, load_transfer, transfer
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
    "source", [model(table()), Source("more", data=table(seed=1)), Source("more", data=photographs())]
)
@pytest.mark.parametrize("asked", [{}, {"labels": 5}, {"labels": 0}, {"settings": {"methods": ["pooled"]}}])
def test_without_a_method_what_fits_is_tried(source, asked):
    request, notes = with_method(Request(**asked), [source], table())
    assert request == Request(method="auto", **asked)
    assert notes == ("No method was asked for: auto tries what fits and takes the best.",)


def test_settings_of_another_method_need_its_name():
    with pytest.raises(
        RequestError, match="auto, which runs then, has no setting 'blocks'; name .*: feature-extraction"
    ):
        transfer(None, table(), settings={"blocks": "last"})


@pytest.mark.parametrize(
    ("domain", "spec"),
    [
        (photographs(), "packaged/efficientnet-lite0"),
        (Domain.from_arrays([f"text {i}" for i in range(20)], ["a", "b"] * 10), "packaged/minilm-l6"),
    ],
)
def test_a_source_that_fits_the_kind_of_data_is_named(domain, spec):
    assert f"There is no source; source={spec!r} is a model" in with_method(Request(), [], domain)[1][0]


def test_a_method_that_was_asked_for_stays():
    assert with_method(Request(method="scratch"), [], table()) == (Request(method="scratch"), ())


def test_the_folder_says_which_and_the_run_goes_on_with_it(tmp_path):
    asked = {"control": "none", "out": tmp_path / "run"}
    result = transfer(None, table(), **asked)
    kept = load_transfer(tmp_path / "run").evidence
    assert kept.method == result.method == "auto"
    assert '"method": "auto"' in (tmp_path / "run" / "request.json").read_text()
    assert any("No method was asked for: auto" in note for note in kept.target.notes)
    assert transfer(None, table(), resume=True, **asked).record["scores"] == result.record["scores"]
