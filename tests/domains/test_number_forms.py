"""Numbers as people write them, decided for a column and its file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.domains.number_forms import PLAIN, Marks, NumberForm, Numbers, read_numbers
from sterna.domains.reader import Options
from sterna.domains.schema import infer_schema
from sterna.domains.table_domains import load_table, table_domain


def read(cells: list[str | None], marks: Marks | None = None, known: NumberForm | None = None) -> Numbers:
    return read_numbers(pa.array(cells, pa.large_string()), lambda: marks or Marks(), known)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["63,95", "3115,66"], [63.95, 3115.66]),
        (["63,95", "3.115,66", "-1.234.567,5"], [63.95, 3115.66, -1234567.5]),
        (["63.95", "3,115.66"], [63.95, 3115.66]),
        (["64", "3,116", "1,929"], [64, 3116, 1929]),
        (["0,234", "1,929"], [0.234, 1.929]),  # no thousand begins with zero
        (["1,929", "3116"], [1.929, 3116]),  # whoever groups digits groups them all
        (["1 234,5", "12"], [1234.5, 12]),
        (["1\u202f234,5", "1\u00a0234", "1\u2009234"], [1234.5, 1234, 1234]),
        (["1'234.5", "1\u2019234"], [1234.5, 1234]),
        (["12,34,567", "100"], [1234567, 100]),  # as in India
        (["\u22122936.05", "\uff0d1", "\u20137", "- 5"], [-2936.05, -1, -7, -5]),
        (["$1,234.50", "-$5", "$ 7"], [1234.5, -5, 7]),
        (["1.234,50 €", "3 €"], [1234.5, 3]),
        (["12,5 %", "3%"], [12.5, 3]),
        (["1,5e3", ",5", "2,"], [1500, 0.5, 2]),
        (["9,087e+04", "-1,439E-04"], [90870, -1.439e-4]),  # nobody groups thousands before an exponent
        (["1.234.567", "3"], [1234567, 3]),
        (["1.234", "2.5"], [1.234, 2.5]),
        (["($1,234.50)", "$2,000.00", "($ 3)"], [-1234.5, 2000, -3]),
        (["12,50-", "3,00"], [-12.5, 3]),
        (["１２．５", "－３"], [12.5, -3]),
        (["٧٥٫٨", "۱۲٫۵"], [75.8, 12.5]),
        (["\u200f63.95", "\ufeff-7", "1.5\u200b"], [63.95, -7, 1.5]),  # characters that nobody sees
    ],
)
def test_the_marks_of_a_column_are_told_from_all_its_cells(cells: list[str], values: list[float]) -> None:
    found = read([*cells, None])
    assert not found.odd.any()
    np.testing.assert_array_equal(found.values, [*values, np.nan])
    assert NumberForm.of(str(found.form)) == found.form


VALUE = st.integers(-(10**9), 10**9).map(lambda whole: whole / 100)


@settings(deadline=None)
@given(st.lists(VALUE, min_size=1, max_size=20), st.sampled_from([(",", "."), (".", ","), (",", " "), (".", "'")]))
def test_what_is_written_with_two_decimals_is_read_back_exactly(values: list[float], marks: tuple[str, str]) -> None:
    decimal, thousands = marks
    written = [f"{v:,.2f}".translate(str.maketrans({",": thousands, ".": decimal})) for v in values]
    found = read(written)
    np.testing.assert_array_equal(found.values, values)
    assert found.doubt is None


def test_what_could_be_two_numbers_is_decided_by_the_file_and_else_said() -> None:
    cells: list[str | None] = ["3,116", "1,929"]
    assert read(cells, Marks(",")).values.tolist() == [3.116, 1.929]
    assert read(cells, Marks(".")).values.tolist() == [3116, 1929]
    assert read(cells, Marks(",")).doubt is None
    assert read(cells).doubt == ("3,116", 3116, 3.116)
    assert read(cells, Marks(semicolons=True)).doubt == ("3,116", 3.116, 3116)
    dotted: list[str | None] = [f"{i}.{100 + i}" for i in range(1, 40)]
    assert read(dotted, Marks(",")).values[0] == 1101
    assert read(dotted).doubt == ("1.101", 1.101, 1101)
    assert read([*dotted, "5", "17"]).values[0] == 1101  # whole numbers below a thousand stand beside them
    assert read(["1.116", "1.929"]).doubt is None


def test_an_earlier_table_decides_where_it_can() -> None:
    assert read(["1,234"], known=NumberForm(",")).values.tolist() == [1.234]
    assert read(["1,234"], known=NumberForm(".", ",")).values.tolist() == [1234]
    assert read(["1.500"], known=NumberForm(",")).values.tolist() == [1500]
    assert read(["3.115,66"], known=NumberForm(",")).values.tolist() == [3115.66]
    assert read(["1,500"], known=PLAIN).values.tolist() == [1500]
    assert read(["2.5"], known=NumberForm(",", ".")).values.tolist() == [2.5]


def test_what_is_no_number_stays_none() -> None:
    assert read(["1,5", "x", None]).odd.tolist() == [False, True, False]
    for cells in (["1,5", "2.5"], ["12 kg", "$3"], ["$1", "€1"], ["1.2.3", "10.0.0.1"], ["0,123,456", "01,234"]):
        assert read(list(cells)).odd.any(), cells


def test_a_whole_file_is_read_in_one_form() -> None:
    """A column of ``1.234`` in a file whose other column has decimal commas is in thousands."""
    frame = pd.DataFrame({"price": ["1.234", "3.116"] * 20, "size": ["0,5", "63,95"] * 20, "y": list("ab") * 20})
    domain = table_domain(frame, Options(label="y"))
    assert domain.inputs.frame["price"].tolist()[:2] == [1234, 3116]
    assert any("decimal comma and dots between thousands: price" in note for note in domain.notes)
    label = table_domain(frame, Options(label="price"))
    assert label.labels is not None and label.labels[:2].tolist() == [1234, 3116]
    assert any("thousands: price" in note for note in label.notes)


def test_one_missing_value_among_decimal_commas(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("size;y\n" + "".join(f"{i},5;{'ab'[i % 2]}\n" for i in range(30)) + "NA;a\n", encoding="utf-8")
    domain = load_table(path, Options(label="y"))
    assert domain.inputs.frame["size"].tolist()[:30] == [i + 0.5 for i in range(30)]
    assert "numbers with a decimal comma: size" in domain.notes


def test_codes_are_said_to_be_no_numbers() -> None:
    codes = [["#12", "#13"], ["12-345", "13-346"], ["192.168.0.1", "10.0.0.2"], ["16:9", "4:3"], ["9:00", "17:30"]]
    codes += [["000", "001", "017"], ["00", "7", "12"]]
    for cells in codes:
        assert infer_schema(pd.DataFrame({"x": cells * 15}))[2] == [], cells


def test_numbers_that_do_not_agree_are_never_left_out_silently() -> None:
    def said(cells: list[str]) -> str:
        schema, _, notes = infer_schema(pd.DataFrame({"x": cells}))
        assert not schema["x"].identifier
        return " ".join(notes)

    assert "because it holds 'unknown'" in said([*(f"{i},5" for i in range(30)), "unknown"])
    assert 'looks like numbers with units or marks ("CHF 1\'000.50")' in said([f"CHF {i}'000.50" for i in range(1, 31)])
    assert "looks like numbers with units or marks ('R$ 1,50')" in said([f"R$ {i},50" for i in range(1, 31)])
    for mark in ("~{}.5", "<{}.5", "[{}.5]", "'{}.5", "{}·5", "1_{}00.5", "{}.5±0.3", "{}.5×10³", "{}.5*"):
        assert "looks like numbers with units or marks" in said([mark.format(i) for i in range(1, 10)] * 3), mark
    assert "looks like times of day or durations" in said([f"{i}:05:30" for i in range(30)])
    assert "not all are written in one way" in said([f"{i}{',.'[i % 2]}5" for i in range(30)])
