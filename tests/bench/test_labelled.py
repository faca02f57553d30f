"""Which labelled rows can be examples of the target's classes."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, Source
from sterna.bench.labelled import check_classification, check_labels, fitting_source
from sterna.tasks import Classification, MultiLabel, Regression


def table(names=("up", "down"), columns=("a", "b"), rows=60):
    x = np.random.default_rng(0).normal(size=(rows, 2))
    return Domain.from_arrays(pd.DataFrame(x, columns=list(columns)), np.array(names, dtype=object)[(x[:, 0] > 0) * 1])


@pytest.mark.parametrize(
    ("theirs", "fits"), [(table(), True), (table(("left", "right")), False), (table(columns=("u", "v")), False)]
)
def test_a_source_lends_its_rows_where_task_and_inputs_are_the_targets(theirs, fits, problem_of):
    problem, _ = problem_of(Source("known", data=theirs), table(rows=80), labels=10)
    assert problem.known is not None
    assert (fitting_source(problem).known is not None) == fits
    assert fitting_source(problem).source is problem.source


def test_a_choice_of_one_class_is_asked_for():
    check_classification("prototypes", Classification(("a", "b")))
    for task in (Regression(), MultiLabel(("a", "b"))):
        with pytest.raises(RequestError, match="^prototypes is for rows of one class each, but the task here is "):
            check_classification("prototypes", task)


def test_some_row_has_to_have_a_label(problem_of):
    known = Source("known", data=table())
    check_labels("prototypes", problem_of(None, table(rows=80), labels=10)[0])
    check_labels("prototypes", problem_of(known, table(rows=80), labels=0)[0])
    with pytest.raises(RequestError, match="^prototypes needs labels to start from"):
        check_labels("prototypes", problem_of(known, table(rows=80), labels=0)[0].with_rows(None))
