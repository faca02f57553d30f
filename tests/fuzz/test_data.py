"""Damaged data: tables, arrays, zips, images and recordings, read as far as a transfer reads them."""

import io
import json
import warnings
import wave
import zipfile

import numpy as np
import pandas as pd
import pytest
from harness import BYTES, TEXT, depth, fault, mutant, values

from sterna import load_domain
from sterna.domains.unlabelled import load_inputs
from sterna.tasks import infer_task

ROWS = 24
TABLE = pd.DataFrame(
    {
        "age": [20.5 + i for i in range(ROWS)],
        "sex": ["m", "f"] * (ROWS // 2),
        "seen": [f"2024-01-{1 + i:02}" for i in range(ROWS)],
        "note": [f"words {i}, 好 and \U0001f600 more of them" for i in range(ROWS)],
        "y": ["a", "b", "c"] * (ROWS // 3),
    }
)


def look(spec, kind=None, **options):
    """Reads data as a transfer does, and once more as inputs to be answered."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        domain = load_domain(spec, **options)
        for inputs in [domain.inputs] + ([load_inputs([spec], kind, {"label": "y"}).inputs] if kind else []):
            inputs.keys(), inputs.row_keys(), inputs.fingerprint(), [name.encode() for name in inputs.names()]
            for row in range(min(len(inputs), 3)):
                inputs[row]
        if domain.labels is not None:
            infer_task(domain)


def csv(frame):
    return frame.to_csv(index=False).encode()


def json_lines(frame):
    return frame.to_json(orient="records", lines=True, force_ascii=False).encode()


def parquet(frame):
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


def a_line(content, random):
    """Of JSON Lines, a value of one line is another."""
    lines = content.splitlines()
    place = random.randrange(len(lines))
    change = random.choice((values, values, values, depth))
    return b"\n".join([*lines[:place], change(lines[place], random), *lines[place + 1 :]])


def a_column(content, random):
    """Of JSON Lines, a value of all lines is another."""
    rows = [json.loads(line) for line in content.splitlines()]
    name = random.choice(list(rows[0]))
    new = json.loads(values(b"[0]", random))
    return b"\n".join(json.dumps({**row, name: new}).encode() for row in rows)


FORMS = {
    "t.csv": (csv, TEXT),
    "t.tsv": (lambda frame: frame.to_csv(index=False, sep="\t").encode(), TEXT),
    "t.jsonl": (json_lines, (*TEXT, *(a_line,) * 8, *(a_column,) * 3)),
    "t.parquet": (parquet, BYTES),
}


@pytest.mark.parametrize("name", FORMS)
def test_tables(fuzz, tmp_path, name):
    make, mutators = FORMS[name]
    path = tmp_path / name
    path.write_bytes(make(TABLE))
    fuzz.file(path, lambda: look(path, "table", label="y"), mutators, inputs=40)


@pytest.mark.parametrize("name", FORMS)
def test_texts_of_tables(fuzz, tmp_path, name):
    make, mutators = FORMS[name]
    path = tmp_path / name
    path.write_bytes(make(TABLE[["note", "y"]]))
    fuzz.file(path, lambda: look(path, label="y", text="note"), mutators, inputs=25, name=f"texts of {name}")


def test_a_footer_of_parquet_that_arrow_itself_dies_of_is_not_asked_for(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(mutant("t.parquet", parquet(TABLE), 1134))  # looking at a column's encodings ended the process
    assert fault(lambda: look(path, "table", label="y")) is None


def test_lines_of_text(fuzz, tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("one\ntwo, 好\nthree")
    fuzz.file(path, lambda: load_inputs([path], "text", {}).inputs.keys(), TEXT)


def arrays():
    random = np.random.default_rng(0)
    return {
        "images": random.integers(0, 255, (6, 4, 4, 3)).astype(np.uint8),
        "labels": np.array([0, 1, 0, 1, 0, 1]),
        "class_names": np.array(["cat", "dog"]),
    }


def table_arrays():
    return {"X": np.arange(24.0).reshape(12, 2), "y": np.array(["a", "b"] * 6)}


@pytest.mark.parametrize("make", [arrays, table_arrays])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays(fuzz, tmp_path, make, save):
    path = tmp_path / "a.npz"
    save(path, **make())
    fuzz.file(path, lambda: look(path), BYTES, inputs=40, name=f"{make.__name__} {save.__name__}")


@pytest.mark.parametrize("make", [arrays, table_arrays])
def test_members_of_arrays(fuzz, tmp_path, make):
    """Damage inside the members of a zip that is sound."""
    path = tmp_path / "a.npz"
    for name, array in make().items():
        others = {other: each for other, each in make().items() if other != name}
        file = io.BytesIO()
        np.save(file, array)

        def read(content, name=name, others=others):
            np.savez(path, **others)
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(f"{name}.npy", content)
            look(path)

        fuzz(f"{make.__name__} {name}.npy", file.getvalue(), read, TEXT, inputs=20)


def test_types_and_shapes_of_arrays(fuzz, tmp_path):
    """Sound arrays, of any type and shape."""
    path = tmp_path / "a.npz"

    def other(content, random):
        return bytes(random.randrange(256) for _ in range(8))

    types = ["u1", "i2", "f4", "f8", "c8", "?", "U3", "S3", "M8[s]", "m8[s]", "f2", "i8", "V2", ">f4"]
    shapes = [(), (0,), (6,), (6, 1), (6, 2), (6, 4, 4), (6, 4, 4, 3), (6, 3, 4, 4), (5,), (6, 0), (6, 1, 1, 1, 1)]

    def read(content):
        content = content.ljust(8, b"\0")
        made = arrays() if content[0] % 2 else table_arrays()
        for place in content[2 : 3 + content[1] % 2]:
            name = list(made)[place % len(made)]
            made[name] = np.zeros(shapes[content[3] % len(shapes)], types[content[4] % len(types)])
            if made[name].dtype.kind in "iufb":
                made[name].reshape(-1)[1::2] = 1
        np.savez(path, **made)
        look(path)

    fuzz("types of arrays", bytes((1, 0, 1, 2, 11, 0, 0, 0)), read, (other,), inputs=150)


def picture(form, mode="RGB", size=(9, 8), **options):
    from PIL import Image

    file = io.BytesIO()
    pixels = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)
    Image.fromarray(pixels).convert("L" if mode in ("F", "I;16") else "RGB").convert(mode).save(file, form, **options)
    return file.getvalue()


def sound(form):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(900) / 9).astype(np.float32), 8000, format=form)
    return file.getvalue()


def folder(root, ending, content, damaged):
    """Two classes of a few sound files, of which one is damaged."""
    for name, each in {"a/0": content, "a/1": content, "b/2": content, "b/3": damaged}.items():
        file = root / f"{name}{ending}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(each)


PICTURES = [
    ("PNG", ".png", "RGB"), ("PNG", ".png", "RGBA"), ("PNG", ".png", "P"), ("PNG", ".png", "I;16"),
    ("JPEG", ".jpg", "RGB"),
    ("JPEG", ".jpg", "L"), ("WEBP", ".webp", "RGBA"), ("BMP", ".bmp", "RGB"), ("TIFF", ".tiff", "RGB"),
    ("TIFF", ".tif", "F"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "ending", "mode"), PICTURES)
def test_pictures(fuzz, tmp_path, form, ending, mode):
    content = picture(form, mode)

    def read(damaged):
        folder(tmp_path / "photos", ending, content, damaged)
        look(tmp_path / "photos", "images")

    fuzz(f"{form} {mode}", content, read, BYTES, inputs=20)


@pytest.mark.parametrize(("form", "ending"), [("WAV", ".wav"), ("FLAC", ".flac"), ("OGG", ".ogg")])
def test_recordings(fuzz, tmp_path, form, ending):
    content = sound(form)

    def read(damaged):
        folder(tmp_path / "sounds", ending, content, damaged)
        look(tmp_path / "sounds", "audio")

    fuzz(f"{form}", content, read, BYTES, inputs=20)


@pytest.mark.parametrize("kind", ["pictures", "sounds", "texts", "a manifest"])
def test_zips(fuzz, tmp_path, kind):
    forms = {"pictures": (".png", picture("PNG")), "texts": (".txt", "two, 好 words".encode())}
    ending, content = forms.get(kind, (".wav", wav()))
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/0", "a/1", "b/2", "b/3"):
            archive.writestr(f"{name}{ending}", content)
        if kind == "a manifest":
            archive.writestr("manifest.csv", "file,label\n0.wav,a\n1.wav,a\n2.wav,b\n3.wav,b\n")
    fuzz.file(path, lambda: look(path), BYTES, inputs=60, name=f"zip of {kind}")


def wav():
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1), out.setsampwidth(2), out.setframerate(8000)
        out.writeframes(np.arange(500, dtype=np.int16).tobytes())
    return file.getvalue()
