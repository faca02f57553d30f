"""Table files: every kind read the same, every fault in one sentence."""

from __future__ import annotations

import gzip
import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sterna.domains import table_files
from sterna.domains.load import load_domain
from sterna.domains.manifest_files import names_files
from sterna.domains.table_files import read_table
from sterna.domains.table_names import is_table
from sterna.errors import RequestError

FRAME = pd.DataFrame(
    {"age": [41, 52, 63], "town": ["Bern", "Åarhus", "上海"], "note": ['say "a"', "x,y", "two\nlines"]}
)


def write(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def sentence(path: Path) -> str:
    with pytest.raises(RequestError) as caught:
        read_table(path)
    assert caught.value.exit_code == 2
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"])
def test_all_kinds_hold_the_same_cells(tmp_path: Path, ending: str, packed: str) -> None:
    if ending == ".parquet":
        FRAME.to_parquet(tmp_path / "t.parquet", index=False)
        data = (tmp_path / "t.parquet").read_bytes()
    elif ending in (".jsonl", ".ndjson"):
        data = "".join(json.dumps(row) + "\n" for row in FRAME.to_dict("records")).encode()
    else:
        data = FRAME.to_csv(index=False, sep="\t" if ending == ".tsv" else ",").encode()
    path = write(tmp_path / f"made{ending}{packed}", data)
    assert is_table(path)
    frame, notes = read_table(path)
    assert list(frame.columns) == list(FRAME.columns)
    assert frame.astype(str).to_dict("list") == FRAME.astype(str).to_dict("list")
    assert notes == []


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path: Path) -> None:
    frame, _ = read_table(write(tmp_path / "t.csv", b"\xef\xbb\xbfage,label\r\n41,a\r\n52,b\r\n"))
    assert frame.to_dict("list") == {"age": ["41", "52"], "label": ["a", "b"]}
    lines = b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2, "b": "x"}\r\n'
    frame, _ = read_table(write(tmp_path / "t.jsonl", lines))
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].isna().tolist() == [True, False]


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff"), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    import csv

    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("first", "second"), *rows])
    frame, _ = read_table(tmp_path / "t.csv")
    assert list(frame.itertuples(index=False, name=None)) == rows


@pytest.mark.parametrize(("separator", "said"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator_is_read_and_said(tmp_path: Path, separator: str, said: str) -> None:
    text = "\n".join(separator.join(row) for row in [("age", "name"), ("41", "Ann"), ("52", "Bo")])
    frame, notes = read_table(write(tmp_path / "t.csv", text))
    assert frame.to_dict("list") == {"age": ["41", "52"], "name": ["Ann", "Bo"]}
    assert len(notes) == 1
    assert said in notes[0]


def test_a_separator_that_may_be_another_is_not_guessed(tmp_path: Path) -> None:
    error = sentence(write(tmp_path / "t.csv", "age;name;town\n41;Ann\n52;Bo;Bern\n"))
    assert "semicolons" in error
    assert "'age;name;town'" in error
    assert "commas" in sentence(write(tmp_path / "t.tsv", "age,name,town\n41,Ann\n52,Bo,Bern\n"))


@pytest.mark.parametrize("line", ["sep=;", "SEP=;\r", '"sep=;"', "\ufeffsep=;"])
def test_a_first_line_may_name_the_separator(tmp_path: Path, line: str) -> None:
    frame, notes = read_table(write(tmp_path / "t.csv", f"{line}\nx;word\n1,5;a,b\n2;c\n"))
    assert frame.to_dict("list") == {"x": ["1,5", "2"], "word": ["a,b", "c"]}
    assert notes == []
    assert "line 4: found 1 cells, but the header has 2" in sentence(
        write(tmp_path / "ragged.csv", f"{line}\nx;word\n1;a\n2\n")
    )
    assert "no header" in sentence(write(tmp_path / "none.csv", f"{line}\n"))


def test_one_column_is_a_table_too(tmp_path: Path) -> None:
    frame, notes = read_table(write(tmp_path / "t.csv", "review\nGood; very good\nBad\n"))
    assert frame["review"].tolist() == ["Good; very good", "Bad"]
    assert notes == []


def test_a_ragged_row_is_named_by_its_line(tmp_path: Path) -> None:
    rows = ["a,b,c"] + ["1,2,3"] * 40
    rows[7] = '"two\nlines",2,3'
    rows[12] = "1,2"
    error = sentence(write(tmp_path / "t.csv.gz", "\n".join(rows)))
    assert "line 14" in error  # the 13th record, after one of two lines
    assert "found 2 cells" in error
    assert "the header has 3" in error


def test_a_ragged_row_far_into_the_file_is_found(tmp_path: Path) -> None:
    rows = ["a,b"] + ["1,2"] * 200_000
    rows[150_000] = "1,2,3"
    error = sentence(write(tmp_path / "t.csv", "\n".join(rows)))
    assert "line 150001: found 3 cells" in error


def test_a_quotation_mark_left_open_does_not_swallow_the_file(tmp_path: Path) -> None:
    error = sentence(write(tmp_path / "t.csv", 'label,text\na,fine\nb,"never closed\na,lost\nb,lost too\n'))
    assert "line 3" in error
    assert "never closed" in error


@pytest.mark.parametrize(
    ("encoding", "word", "named"),
    [
        ("gb18030", "酒店设计有特色，房间很舒服", "GB18030"),
        ("cp1252", "Müller façade", "windows-1252"),
        ("cp1252", "größe", "windows-1252"),
    ],
)
@pytest.mark.parametrize("before", [0, 70_000])
def test_another_encoding_is_named_with_line_and_byte(
    tmp_path: Path, encoding: str, word: str, named: str, before: int
) -> None:
    start = b"label,text\n" + b"a,plain words\n" * before
    data = start + f"b,{word}\n".encode(encoding) * 20
    error = sentence(write(tmp_path / "t.csv", data))
    offset = next(i for i in range(len(start), len(data)) if data[i] > 127)
    assert named in error
    assert f"line {before + 2}, byte {offset} " in error
    assert f"iconv -f {named.upper()} -t UTF-8 t.csv" in error


def test_utf_16_and_what_is_no_text_are_named(tmp_path: Path) -> None:
    assert "UTF-16" in sentence(write(tmp_path / "t.csv", "a,b\n1,2\n".encode("utf-16")))
    assert "not a text file" in sentence(write(tmp_path / "u.csv", b"a,b\n\0\1\2\n"))
    assert "spreadsheet" in sentence(write(tmp_path / "v.csv", b"PK\x03\x04" + bytes(50)))
    assert "Parquet" in sentence(write(tmp_path / "w.csv", b"PAR1" + bytes(50)))


def test_a_letter_cut_at_the_end_of_the_sample_is_no_fault(tmp_path: Path) -> None:
    for shift in range(4):
        text = "text,label\n" + "x" * shift + "上" * 40_000 + ",1\nb,2\n"
        frame, _ = read_table(write(tmp_path / "t.csv", text))
        assert len(frame) == 2


def test_empty_files_and_header_only(tmp_path: Path) -> None:
    assert "empty (0 bytes)" in sentence(write(tmp_path / "t.csv", ""))
    assert "no header" in sentence(write(tmp_path / "u.csv", "\n \n"))
    assert "no rows" in sentence(write(tmp_path / "v.csv", "age,label\n"))
    assert "no header" in sentence(write(tmp_path / "w.csv.gz", ""))
    assert "no line" in sentence(write(tmp_path / "x.jsonl", "\n"))
    pd.DataFrame({"a": []}).to_parquet(tmp_path / "y.parquet")
    assert "no rows" in sentence(tmp_path / "y.parquet")


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    assert "'age'" in sentence(write(tmp_path / "t.csv", "age,sex,age \n1,2,3\n"))


def test_damaged_files(tmp_path: Path) -> None:
    good = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(5000)))
    (tmp_path / "cut.csv.gz").write_bytes(good[: len(good) // 2])
    (tmp_path / "flipped.csv.gz").write_bytes(good[:200] + bytes([good[200] ^ 255]) + good[201:])
    (tmp_path / "plain.csv.gz").write_bytes(b"a,b\n1,2\n")
    for name in ("cut.csv.gz", "flipped.csv.gz", "plain.csv.gz"):
        assert "damaged" in sentence(tmp_path / name)
    FRAME.to_parquet(tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(data[: len(data) // 2])
    assert "damaged" in sentence(tmp_path / "t.parquet")


def test_json_lines_say_which_line_is_wrong(tmp_path: Path) -> None:
    assert "line 2" in sentence(write(tmp_path / "t.jsonl", '{"a": 1}\n{"a": \n'))
    error = sentence(write(tmp_path / "u.jsonl", '{"a": 1}\n[1, 2]\n'))
    assert "line 2: found a list" in error


def test_a_missing_or_foreign_file_is_named_with_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path / "heart.csv", "a,b\n1,2\n")
    with pytest.raises(RequestError, match=r"no file .*heart\.tsv\. Did you mean 'heart\.csv'"):
        read_table(tmp_path / "heart.tsv")
    with pytest.raises(RequestError, match=r"'heart\.csv'"):
        read_table(tmp_path / "hearts.csv")
    with pytest.raises(RequestError, match=r"heart\.xlsx is not a table file"):
        read_table(tmp_path / "heart.xlsx")


def test_a_pandas_index_in_a_parquet_file_is_no_column(tmp_path: Path) -> None:
    FRAME.set_index(np.array([5, 6, 7])).to_parquet(tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet")[0].columns) == list(FRAME.columns)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_said_to_be_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(RequestError, match=r"p\.csv is a pipe or a device, .*: save it as a file"):
        read_table(tmp_path / "p.csv")


@pytest.mark.parametrize("quoted", [False, True])
def test_names_of_very_many_columns_are_read_to_their_end(tmp_path, quoted):
    names = [f"gene number\n{i}" if quoted else f"gene_number_{i}" for i in range(5000)]  # 80 kB
    header = ",".join(f'"{name}"' if quoted else name for name in names)
    path = write(tmp_path / "wide.csv", header + "\n" + ",".join(map(str, range(5000))) + "\n")
    frame, notes = read_table(path)
    assert list(frame.columns) == names and frame.iloc[0].tolist() == [str(i) for i in range(5000)] and not notes
    assert not names_files(path, (".png",))


@pytest.mark.parametrize(("label", "more"), [
    ("word", {}), ("word", {"text": "text"}), ("word", {"group": "group", "weight": "weight"}),
    ("word", {"time": "when"}), ("comma", {}), ("group", {}), ("several", {"task": "multilabel"}),
])  # fmt: skip
def test_a_file_of_several_blocks_is_read_as_one_of_one_block(tmp_path, monkeypatch, label, more):
    n = np.arange(300)
    table = pd.DataFrame({
        "comma": [f"{v:.2f}".replace(".", ",") for v in np.random.default_rng(0).normal(size=300)],
        "when": [f"{1 + i % 28:02d}/{1 + i % 12:02d}/2021" for i in n], "text": [f"好 text {i}" for i in n],
        "group": [f"g{i % 30}" for i in n], "weight": 1 + n % 3, "word": np.array(["p", "n"])[n % 2],
        "several": np.array(["a|b", "b", "c", "a|c"])[n % 4],
    })  # fmt: skip
    table.to_csv(tmp_path / "t.csv", index=False)
    whole = load_domain(tmp_path / "t.csv", label=label, **more)
    monkeypatch.setattr(table_files, "_BLOCK", 2000)
    parts = load_domain(tmp_path / "t.csv", label=label, **more)
    assert parts.inputs.keys() == whole.inputs.keys() and np.array_equal(parts.labels, whole.labels)
    assert parts.notes == whole.notes and parts.describe() == whole.describe()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_names_of_columns_are_the_same_however_their_accents_are_encoded(tmp_path, ending):
    frame = pd.DataFrame({unicodedata.normalize("NFD", "größe"): ["1", "2"], "y": ["a", "b"]})
    path = tmp_path / f"t.{ending}"
    write = {"csv": frame.to_csv, "parquet": frame.to_parquet}
    if ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        write[ending](path, index=False)
    assert list(read_table(path)[0].columns) == [unicodedata.normalize("NFC", "größe"), "y"]
