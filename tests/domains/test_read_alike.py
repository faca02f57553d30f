"""Tables that come after a first one: its forms decide, unless a file is written in another country's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sterna.domains import load_domain
from sterna.domains.load_alike import load_as_learnt
from sterna.selection.shift import shift

WHOLE = [9033, 8216, 2257, 4601]


def german(value: float, decimals: int = 2) -> str:
    return f"{value:,.{decimals}f}".translate(str.maketrans(",.", ".,"))


def table(path: Path, separator: str = ";", **columns: list[str]) -> Path:
    pd.DataFrame(columns).to_csv(path, sep=separator, index=False)
    return path


@pytest.mark.parametrize("name", ["price", "w"])
def test_labels_and_weights_keep_the_form_of_the_training_table(tmp_path, name):
    """All of ``9.033`` could be decimals; the training table has written ``1.234,50``."""
    beside = {"price": "w", "w": "price"}[name]
    plain = {"x": ["1", "2", "3", "4"], beside: ["1", "2", "3", "4"]}
    train = table(
        tmp_path / "train.csv", **plain, **{name: ["3.116,50", "1,25", "-2,5" if name == "price" else "2", "7"]}
    )
    later = table(
        tmp_path / "later.csv", **{**plain, "x": ["5", "6", "7", "8"]}, **{name: [german(v, 0) for v in WHOLE]}
    )
    asked = {"label": "price", "weight": "w"}
    first = load_domain(train, **asked)
    assert first.reading["forms"][{"price": "label", "w": "weight"}[name]] == "1.234,5"
    both = load_domain(train, test=later, **asked)
    for found in (load_as_learnt(later, dict(both.reading)), both.take(both.splits["test"])):
        np.testing.assert_array_equal(found.labels if name == "price" else found.weights, WHOLE)
    typed = table(tmp_path / "plain.csv", **plain, **{name: [f"{v}.5" for v in WHOLE]})  # no such form: its own
    found = load_as_learnt(typed, dict(first.reading))
    np.testing.assert_array_equal(found.labels if name == "price" else found.weights, np.array(WHOLE) + 0.5)


@pytest.mark.parametrize("training", ["9033", "9,033"])
def test_a_file_of_another_country_is_read_by_its_own_marks(tmp_path, training):
    """Its other columns have a decimal comma where the training table has a point, so ``9.033`` is a whole number."""
    number = {"9033": str, "9,033": lambda v: f"{v:,}"}[training]
    first = load_domain(
        table(tmp_path / "us.csv", ",", x=["1.5", "2.25"] * 2, km=[*map(number, WHOLE)], y=["1", "2", "3", "4"]),
        label="y",
    )
    foreign = {"x": ["1,5", "2,25"] * 2, "km": [german(v, 0) for v in WHOLE]}
    later = table(tmp_path / "de.csv", **foreign, y=["1", "2", "3", "4"])
    np.testing.assert_array_equal(load_as_learnt(later, dict(first.reading)).inputs.frame["km"], WHOLE)
    alone = table(tmp_path / "alone.csv", x=["1", "2"] * 2, km=[german(v, 0) for v in WHOLE], y=["1", "2", "3", "4"])
    np.testing.assert_array_equal(  # nothing speaks against the training table
        load_as_learnt(alone, dict(first.reading)).inputs.frame["km"], np.array(WHOLE) / 1000
    )


def test_columns_that_mix_marks_already_in_training_are_no_sign_of_another_country(tmp_path):
    first = load_domain(
        table(tmp_path / "a.csv", x=["1,5", "2,25"] * 2, km=["1.5", "2.25"] * 2, y=["1", "2", "3", "4"]), label="y"
    )
    later = table(tmp_path / "b.csv", x=["1,5", "2,25"] * 2, km=[german(v, 0) for v in WHOLE], y=["1", "2", "3", "4"])
    found = load_as_learnt(later, dict(first.reading)).inputs.frame
    np.testing.assert_array_equal(found["km"], np.array(WHOLE) / 1000)


def test_test_rows_of_the_classes_that_are_numbers_are_of_the_training_classes(tmp_path):
    train = table(tmp_path / "train.csv", x=["1", "2", "3"], y=["1", "2", "unknown"])
    found = load_domain(train, label="y", test=table(tmp_path / "test.csv", x=["4", "5", "6"], y=["1", "2.0", ""]))
    assert found.labels.tolist() == ["1", "2", "unknown", "1", "2", None]


def test_shift_reads_the_second_table_as_the_first(tmp_path):
    """Days up to 12 alone leave the order open; the first table shows that the day comes first."""
    rng = np.random.default_rng(0)
    days = [f"{d:02d}/{m:02d}/2024" for d, m in zip(rng.integers(13, 29, 60), rng.integers(1, 13, 60), strict=True)]
    early = [f"{d:02d}/{m:02d}/2024" for d, m in zip(rng.integers(1, 13, 60), rng.integers(1, 13, 60), strict=True)]
    x = [str(v) for v in rng.normal(size=60)]
    first = table(tmp_path / "first.csv", x=x, when=days, y=["a", "b"] * 30)
    second = table(tmp_path / "second.csv", x=x, when=early, y=["a", "b"] * 30)
    assert "when" in shift(first, second, permutations=200).columns


def test_a_column_that_holds_nothing_in_a_later_table_is_said(tmp_path):
    (tmp_path / "first.csv").write_text("age,col,none,y\n30,red,,a\n40,blue,,b\n", encoding="utf-8")
    (tmp_path / "later.csv").write_text("age,col,none,y\n,,,a\n,,,b\n", encoding="utf-8")
    first = load_domain(tmp_path / "first.csv", label="y")
    later = load_domain(tmp_path / "later.csv", label="y", schema=first.reading["schema"])
    assert "columns without any value: age, col" in later.notes
