"""Rules for a method: on which columns of the source they are drawn."""

import pandas as pd

from sterna import Domain
from sterna.bench.drawn_rules import shared_columns


def test_columns_of_another_kind_or_mostly_empty_are_left_aside():
    def inputs(**columns):
        return Domain.from_arrays(pd.DataFrame(columns)).inputs

    ours = inputs(a=[1.0, 2, 3, 4], b=[1.0, 2, 3, 4], c=["x", "y", "x", "y"], A=[1.0, 2, 3, 5])
    theirs = inputs(a=[1.0, None, None, None], b=["u", "v", "u", "v"], c=["x", None, "y", "y"], z=[1.0, 2, 3, 4])
    assert shared_columns(ours, theirs, {}) == ["c"]
    assert shared_columns(ours, theirs, {"A": "z", "b": "a"}) == ["c", "A"]
