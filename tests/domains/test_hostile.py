"""Files that were damaged, or made to harm: one sentence, early, and no more time and memory than they are worth."""

import gzip
import io
import os
import struct
import sys
import threading
import zipfile
import zlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from sterna import Domain, RequestError, RunError, load_domain
from sterna.domains import decoding
from sterna.domains.file_inputs import in_threads
from sterna.domains.images import ImageFiles
from sterna.domains.table_files import read_table
from sterna.domains.text import LONGEST
from sterna.domains.unlabelled import load_inputs
from sterna.untrusted import Shared

# -- tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'{"text": "good \ud83d", "y": "a"}', r"line 2 holds '\\ud83d', which is half of a character"),
        (r'{"text": "x", "\udc00y": "a"}', r"line 2 holds '\\udc00'"),
        ('{"text": ' + "[" * 100_000, "line 2: its values lie too deep"),
        ('{"text": ' + "9" * 5000 + "}", "line 2: this is not JSON"),
        ("\x00\x00\x00\x7b", "line 2: this is not JSON"),
        ('{"text": "x", "y": "a", "y": "b"}', "line 2 has the key 'y' twice"),
        ('{"text": [{"a": 1, "a": 1}], "y": "a"}', "line 2 has the key 'a' twice"),
    ],
)
def test_a_line_of_json_is_named_by_its_number(tmp_path, line, words):
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "fine \\ud83d\\ude00", "y": "b"}\n' + line)
    with pytest.raises(RequestError, match=words):
        read_table(path)


def test_a_whole_emoji_in_escapes_is_no_half(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "\\ud83d\\ude00 \\\\ud83d", "n": 1' + "0" * 30 + "}\n")
    frame, _ = read_table(path)
    assert frame["text"][0] == "\U0001f600 \\ud83d" and frame["n"][0] == 10**30


def test_keys_that_are_no_columns_do_not_fill_the_memory(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(f'{{"k{i}": 1}}' for i in range(20_000)))
    with pytest.raises(RequestError, match="line 4,?473: so far there are 4,473 different keys"):
        read_table(path)


def test_a_sparse_table_of_few_columns_is_read(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(f'{{"a": 1, "k{i % 90}": 1}}' for i in range(3000)))
    assert read_table(path)[0].shape == (3000, 91)


@pytest.mark.parametrize(
    ("ending", "start", "row"),
    [(".csv", b"a,b\n", b"0,0\n"), (".jsonl", b"", b'{"a": 0, "b": 0}\n'), (".tsv", b"a\tb\n", b"0\t0\n")],
)
def test_a_table_that_unpacks_a_thousandfold_is_refused(tmp_path, monkeypatch, ending, start, row):
    monkeypatch.setattr("sterna.untrusted.SMALL", 1_000_000)
    path = tmp_path / f"t{ending}.gz"
    path.write_bytes(gzip.compress(start + row * 300_000, 9))
    with pytest.raises(RequestError, match=rf"t{ending}\.gz unpacks .* as only a bomb does; if you trust it, unpack"):
        read_table(path)


def test_a_text_written_once_for_many_rows_is_counted_as_often(tmp_path):
    path = tmp_path / "t.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(5000, np.int32)), ["a" * 100_000])
    pa.parquet.write_table(pa.table({"x": column, "y": np.arange(5000)}), path)
    with pytest.raises(RequestError, match=r"to 500,000,000 or more, as only a bomb does; .* write it again without"):
        read_table(path)


def test_rows_that_take_no_bytes_are_counted(tmp_path):
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(pa.table({"x": pa.nulls(60_000_000, pa.int8()), "y": pa.nulls(60_000_000, pa.int8())}), path)
    with pytest.raises(RequestError, match="to 120,000,000 or more"):
        read_table(path)


def test_repeated_texts_come_out_as_they_were(tmp_path):
    frame = pd.DataFrame({"t": ["好", None, "b" * 50] * 100, "u": [f"{i}" for i in range(300)], "n": np.arange(300.0)})
    frame.to_parquet(tmp_path / "t.parquet")
    found, _ = read_table(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)


def test_what_libraries_write_beside_the_columns_of_parquet_is_not_read(tmp_path):
    table = pa.table({"x": [1.0, 2.0], "y": ["a", "b"]}).replace_schema_metadata({"pandas": "{" * 2000, "a": b"\xff"})
    pa.parquet.write_table(table, tmp_path / "t.parquet", store_schema=False)
    assert read_table(tmp_path / "t.parquet")[0].shape == (2, 2)


def test_parquet_texts_that_are_not_utf_8(tmp_path):
    bad = pa.array([b"a\xff", b"b"], pa.binary()).view(pa.string())
    pa.parquet.write_table(pa.table({"x": bad, "y": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(RequestError, match="damaged or no Parquet file .*UTF8"):
        read_table(tmp_path / "t.parquet")


def test_times_of_parquet_in_a_zone_that_no_one_knows(tmp_path):
    for zone in ("Mars/Olympus", "Asia/Shanghai", "+05:30"):
        table = pa.table({"when": pa.array([0, 1], pa.timestamp("s", tz=zone)), "y": ["a", "b"]})
        pa.parquet.write_table(table, tmp_path / f"{zone[:4]}.parquet")
    with pytest.raises(RequestError, match="'when' is in the time zone 'Mars/Olympus', which this system"):
        read_table(tmp_path / "Mars.parquet")
    assert [len(read_table(tmp_path / f"{name}.parquet")[0]) for name in ("Asia", "+05:")] == [2, 2]


# -- texts -------------------------------------------------------------------------------------------------


def test_lines_in_another_encoding_are_named(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("fine\né.".encode("latin-1"))
    with pytest.raises(RequestError, match=r"line 2, byte 5 \(0xE9\); it looks like windows-1252"):
        load_inputs([path], "text", {})


def test_of_a_text_of_megabytes_the_beginning_is_read_and_it_is_said(tmp_path):
    long = "a tern " * 200_000
    domain = Domain.from_arrays([long, "short"], ["a", "b"])
    assert [len(text) for text in domain.inputs.texts] == [LONGEST, 5]
    assert any("1 of 2 texts are longer than the 100,000 characters" in note for note in domain.notes)
    pd.DataFrame({"text": [long, "x"], "y": ["a", "b"]}).to_csv(tmp_path / "t.csv", index=False)
    read = load_domain(tmp_path / "t.csv", label="y", text="text")
    assert read.inputs.keys()[0] == domain.inputs.keys()[0] and "longer than" in " ".join(read.notes)
    (tmp_path / "d/a").mkdir(parents=True), (tmp_path / "d/b").mkdir()
    (tmp_path / "d/a/0.txt").write_text("好" * 200_000), (tmp_path / "d/b/1.txt").write_text("x")
    files = load_domain(tmp_path / "d")
    assert [len(text) for text in files.inputs.texts] == [LONGEST, 1] and "longer than" in " ".join(files.notes)


# -- arrays and zips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["images", "labels"])
def test_a_single_value_is_no_array(tmp_path, name):
    made = {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0, 1]), name: np.array(3)}
    np.savez(tmp_path / "a.npz", **made)
    with pytest.raises(RequestError, match=f"The array '{name}' of .* is a single value or none"):
        load_domain(tmp_path / "a.npz")


def test_a_member_that_is_no_array(tmp_path):
    np.savez(tmp_path / "a.npz", labels=np.array([0, 1]))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("images.npy", b"not an array")
    with pytest.raises(RequestError, match="'images' of .* is a single value or none"):
        load_domain(tmp_path / "a.npz")


def test_a_member_without_a_name_is_left_out(tmp_path):
    from PIL import Image

    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(""), b"x")
        for name in ("a/0.png", "b/1.png"):
            file = io.BytesIO()
            Image.new("L", (4, 4)).save(file, "PNG")
            archive.writestr(name, file.getvalue())
    assert len(load_domain(tmp_path / "z.zip")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize("named", [b"\xff\xfe", b"train/\xff"])
def test_a_folder_whose_name_is_not_utf_8_is_refused_before_anything_is_learnt(tmp_path, named):
    from PIL import Image

    for name in (named, b"train/b" if b"/" in named else b"b"):
        folder = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(folder)
        with open(os.path.join(folder, b"0.png"), "wb") as file:
            Image.new("L", (4, 4)).save(file, "PNG")
    with pytest.raises(RequestError, match=r"\\udcff.* has a name that is not UTF-8; rename it"):
        load_domain(tmp_path)
    with pytest.raises(RequestError, match=r"The path .*\\udcff.* has a name that is not UTF-8"):
        load_domain(os.fsdecode(os.path.join(os.fsencode(tmp_path), named)))


@pytest.mark.parametrize("spec", ["a\0b", "x" * 5000])
def test_a_path_that_no_file_can_have(spec):
    with pytest.raises(RequestError, match="does not exist"):
        load_domain(spec)


# -- pictures ----------------------------------------------------------------------------------------------


def png(width, height, colour=6):
    """A PNG of a few bytes whose header speaks of so many pixels."""

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(9))) + part(b"IEND", b"")


@pytest.mark.filterwarnings("ignore:Image size")  # of Pillow, whose bounds are wider
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            png(12_000, 12_000),
            "its 12,000 x 12,000 pixels are more than the 120,000,000 that are read; make it smaller",
        ),
        (png(9_000, 9_000), "bytes stand for 9,000 x 9,000 pixels, as only a bomb does; make it smaller"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is a PostScript program, which is not run"),
    ],
)
def test_pictures_that_are_bombs_or_programs_are_not_decoded(tmp_path, content, words):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/0.png").write_bytes(content)
    with pytest.raises(RequestError, match=words):
        load_domain(tmp_path)
    with pytest.raises(RunError, match=words):  # put in another's place since the folder was read
        ImageFiles(tmp_path, ["a/0.png"])[0]


def test_no_more_pixels_are_decoded_at_once_than_memory_was_meant_for(tmp_path, monkeypatch):
    from PIL import Image

    for i in range(8):
        Image.new("RGBA", (100, 100), (i, 0, 0, 128)).save(tmp_path / f"{i}.png")
    shared, inside, most, lock = Shared(25 * 100 * 100), [0], [0], threading.Lock()
    monkeypatch.setattr(decoding, "DECODED", shared)
    whole = Image.Image.crop

    def crop(image, box):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        try:
            return whole(image, box)
        finally:
            with lock:
                inside[0] -= 1

    monkeypatch.setattr(Image.Image, "crop", crop)
    inputs = ImageFiles(tmp_path, [f"{i}.png" for i in range(8)])
    assert list(in_threads(lambda row: inputs.problem(row), 8)) == [None] * 8
    assert 1 <= most[0] <= 2 and shared._left == shared.most


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_an_alpha_is_laid_on_white_strip_by_strip_as_at_once(monkeypatch, mode):
    from PIL import Image

    from sterna.domains.pixels import to_image

    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (50, 31, 4)).astype(np.uint8))
    image = image.convert(mode) if mode != "P" else image.convert("RGB").quantize(16)
    if mode == "P":
        image.info["transparency"] = 3
    rgba = image.convert("RGBA")
    whole = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("L" if mode == "LA" else "RGB")
    monkeypatch.setattr("sterna.domains.pixels._AT_ONCE", 31 * 7)
    assert to_image(image).tobytes() == whole.tobytes()


# -- recordings --------------------------------------------------------------------------------------------


def test_a_recording_of_a_thousand_channels_is_not_read(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    from sterna.domains.audio import decode

    soundfile.write(tmp_path / "s.flac", np.zeros((30 * 655_350, 8), np.int16), 655_350)
    with (tmp_path / "s.flac").open("rb") as stream, pytest.raises(ValueError, match="its 8 channels of .* are more"):
        decode(stream)


@pytest.mark.parametrize(("damage", "said"), [
    (lambda data: data[:-30], "is not a zip that can be read"),
    (lambda data: data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"), "is encrypted"),
    (lambda data: data.replace(b"aa/0.png", b"../0.png"), "climbs out of its folder"),
])  # fmt: skip
def test_a_zip_to_answer_is_checked_as_one_to_learn_from(tmp_path, damage, said):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("aa/0.png", b"x")
    whole = (tmp_path / "a.zip").read_bytes()
    damaged = damage(whole)
    assert damaged != whole
    (tmp_path / "a.zip").write_bytes(damaged)
    for read in (load_domain, lambda path: load_inputs([path], "images", {})):
        with pytest.raises(RequestError, match=said):
            read(tmp_path / "a.zip")
