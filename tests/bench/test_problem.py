"""What a method may see of its sources."""

from dataclasses import replace

import numpy as np
import pytest

from sterna import Domain, RequestError, Source
from sterna.bench import Known


def test_a_method_for_one_source_refuses_two(digits, problem_of):
    problem, _ = problem_of(Source("old", data=digits(60)), digits(60))
    assert problem.only() is problem.sources[0] and problem.source is problem.sources[0].source
    two = replace(problem, sources=(*problem.sources, Known(Source("older", data=digits(60)))))
    for read in (two.only, lambda: two.source, lambda: two.known, lambda: two.with_rows(None)):
        with pytest.raises(RequestError, match="2 sources were given, but this method moves knowledge from one"):
            read()
    assert problem.without_source().only() is None


def test_rows_of_one_group_or_content_are_one_unit_in_the_target_and_beside_the_source(problem_of):
    def texts(first, groups):
        return Domain.from_arrays([f"text {first + i}" for i in range(len(groups))], list("ab") * 15, groups=groups)

    target = texts(0, [f"p{i // 3}" for i in range(30)])
    problem, _ = problem_of(Source("old", data=texts(29, ["q1", "p0"] + [None] * 28)), target)
    groups = problem.target.groups
    assert np.array_equal(problem.units[:, None] == problem.units, groups[:, None] == groups)
    pooled = problem.pooled()
    named = np.concatenate([groups, problem.known.domain.groups])
    alone = np.array([name is None for name in named])
    same = (named[:, None] == named) & ~alone[:, None] | np.eye(len(named), dtype=bool)
    words = np.array([pooled.inputs[i] for i in range(len(named))])
    tied = same | (words[:, None] == words)
    for _ in range(3):  # directly or through others
        tied = tied @ tied
    assert np.array_equal(pooled.units[:, None] == pooled.units, tied)
    assert problem.on_source().units.max() + 1 == len(problem.known)
