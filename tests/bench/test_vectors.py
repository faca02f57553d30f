"""Where source and target rows are compared: the blocks of a body, a table's columns, a network of the source's own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, Source, transfer
from sterna.bench.vectors import vectors_of
from sterna.errors import RequestError


def test_the_space_of_a_body_is_its_deepest_quarter_and_its_last_features(source, digits, problem_of, bench_of):
    problem, _ = problem_of(source, digits(60), labels=20)
    vectors = vectors_of(bench_of(problem))
    every = source.body.copied().selecting([*(b.name for b in source.body.blocks), "last"])
    inner = [b.name for b in source.body.blocks][:-1]  # the last block gives the last features
    assert vectors.body.outputs == (*inner[3 * len(inner) // 4 :], "last")
    items = problem.source.preparation.items(problem.inputs)
    batch = problem.source.preparation.collate([items[i] for i in range(5)])
    found = every.eval().features(batch, vectors.body.outputs)
    beside = np.concatenate([part.detach().numpy() for part in found.values()], axis=1)
    np.testing.assert_allclose(vectors.of(problem.inputs)[:5], beside, rtol=1e-4, atol=1e-5)


def test_scales_make_the_blocks_weigh_alike(source, digits, problem_of, bench_of):
    problem, _ = problem_of(source, digits(60), labels=20)
    vectors = vectors_of(bench_of(problem))
    x = vectors.of(problem.inputs)
    first = vectors.body.widths[vectors.body.outputs[0]]
    scales = vectors.scales(x)
    np.testing.assert_allclose(scales[:first], x[:, :first].std(0).mean())
    np.testing.assert_allclose(scales[first:], x[:, first:].std(0).mean())
    np.testing.assert_allclose((x / scales)[:, first:].std(0).mean(), 1.0)
    np.testing.assert_array_equal(vectors.scales(x[:1]), np.ones(x.shape[1]))  # one row does not vary


def drifted(rows: int, seed: int, shift: float, **more: float) -> Domain:
    random = np.random.default_rng(seed)
    code = random.integers(0, 2, rows)
    frame = pd.DataFrame({"a": code * 3 + random.normal(size=rows) + shift, "b": random.normal(size=rows)})
    for name, value in more.items():
        frame[name] = value + random.normal(size=rows)
    return Domain.from_arrays(frame, np.where(code == 1, "yes", "no"))


@pytest.mark.parametrize("method", ["domain-scaling", "coral", "prototypes", "label-propagation"])
def test_a_source_table_may_have_more_columns_than_the_target(method):
    source = Source("old", data=drifted(200, 0, 0.0, extra=5.0))
    result = transfer(source, drifted(200, 1, 0.3), method=method, labels=20, control="none", seeds=1)
    assert result.scores["accuracy"].value > 0.8


def test_a_column_that_is_text_in_the_source_and_number_in_the_target_is_named():
    source = drifted(200, 0, 0.0)
    source.inputs.frame["b"] = "word"
    known = Source("old", data=Domain.from_arrays(source.inputs.frame, source.labels))
    with pytest.raises(RequestError, match="'b'"):
        transfer(known, drifted(200, 1, 2.0), method="coral", labels=20, control="none", seeds=1)


def test_images_without_a_source_model_are_compared_by_a_network_trained_on_the_sources_rows(
    digits, problem_of, bench_of
):
    problem, _ = problem_of(Source("digits", data=digits(200)), digits(60), labels=0)
    vectors = vectors_of(bench_of(problem, epochs=2))
    assert any(True for _ in vectors.body.parameters()) and not any(p.requires_grad for p in vectors.body.parameters())
    pixels, _ = problem_of(None, digits(60), labels=20)
    assert vectors_of(bench_of(pixels)).body.width == 3 * 32 * 32
