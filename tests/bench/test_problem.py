"""What a method may see of its sources."""

from dataclasses import replace

import pytest

from sterna import RequestError, Source
from sterna.bench import Known


def test_a_method_for_one_source_refuses_two(digits, problem_of):
    problem, _ = problem_of(Source("old", data=digits(60)), digits(60))
    assert problem.only() is problem.sources[0] and problem.source is problem.sources[0].source
    two = replace(problem, sources=(*problem.sources, Known(Source("older", data=digits(60)))))
    for read in (two.only, lambda: two.source, lambda: two.known, lambda: two.with_rows(None)):
        with pytest.raises(RequestError, match="2 sources were given, but this method moves knowledge from one"):
            read()
    assert problem.without_source().only() is None
