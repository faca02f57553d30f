"""Recordings: what is read of files, folders, zips, manifests and arrays."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sterna.data import demo_path
from sterna.domains import AudioFiles, AudioSequence, Domain, Sound, load_domain
from sterna.domains import audio as audio_module
from sterna.domains.audio import as_sound, resampled
from sterna.domains.audio_lengths import lengths_of
from sterna.domains.unlabelled import load_inputs
from sterna.errors import RequestError, RunError

soundfile = pytest.importorskip("soundfile")


def tone(seconds: float = 0.1, rate: int = 8000, pitch: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def encoded(samples: np.ndarray, rate: int = 8000, form: str = "WAV", **more) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, **more)
    return stream.getvalue()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    """A zip, or a folder, of these files."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


CLASSES = {f"{c}/{i}.wav": encoded(tone(pitch=200 + 100 * i)) for c in ("low", "high") for i in range(3)}


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [("WAV", "PCM_16", 1e-4), ("WAV", "PCM_24", 1e-6), ("WAV", "FLOAT", 0), ("WAV", "PCM_U8", 1e-2),
     ("FLAC", "PCM_16", 1e-4), ("OGG", "VORBIS", 0.1)],
)  # fmt: skip
def test_every_format_gives_its_samples(tmp_path, form, subtype, tolerance):
    samples = tone(0.2)
    (tmp_path / "x").write_bytes(encoded(samples, form=form, subtype=subtype))
    sound = AudioFiles(tmp_path, ["x"])[0]
    assert sound.rate == 8000 and sound.samples.dtype == np.float32
    np.testing.assert_allclose(sound.samples, samples, atol=tolerance)


def test_several_channels_are_averaged(tmp_path):
    left, right = tone(), tone(pitch=700)
    (tmp_path / "x.wav").write_bytes(encoded(np.stack([left, right], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(AudioFiles(tmp_path, ["x.wav"])[0].samples, (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_another_rate_keeps_the_tone(rate):
    found = resampled(Sound(tone(0.5, rate), rate), 16000)
    assert len(found) == 8000 and found.dtype == np.float32
    np.testing.assert_allclose(found[500:-500], tone(0.5, 16000)[500:-500], atol=2e-3)


def test_what_a_lower_rate_cannot_hold_is_gone_and_rates_without_a_common_divisor_are_quick():
    high = resampled(Sound(tone(0.5, 44100, pitch=7000.0), 44100), 8000)
    assert len(high) == 4000 and np.abs(high[200:-200]).max() < 2e-3  # else an alias at 1 kHz
    odd = resampled(Sound(tone(0.5, 999_983), 999_983), 16000)
    np.testing.assert_allclose(odd[500:-500], tone(0.5, 16000)[500 : len(odd) - 500], atol=2e-3)


@pytest.mark.parametrize("where", ["data", "data.zip"])
def test_the_layouts_are_those_of_images(tmp_path, where):
    domain = load_domain(packed(tmp_path / where, CLASSES))
    assert domain.kind == "audio" and domain.classes == ("high", "low") and len(domain) == 6
    assert domain.inputs.names()[0] == "high/0.wav" and domain.labels[0] == "high"
    split = {f"s/{part}/{name}": data for part in ("train", "val", "test") for name, data in CLASSES.items()}
    split |= {"s/unlabelled/u.wav": encoded(tone(pitch=90)), "s/readme.txt": b"hello"}
    domain = load_domain(packed(tmp_path / f"split-{where}", split))
    assert {name: len(rows) for name, rows in domain.splits.items()} == {"train": 6, "validation": 6, "test": 6}
    assert domain.labelled().sum() == 18 and len(domain) == 19
    assert any("no recordings by their ending: 1" in note for note in domain.notes)


def test_rows_are_told_apart_by_content(tmp_path):
    a, b = encoded(tone()), encoded(tone(pitch=300))
    files = {"1.wav": a, "2.wav": b, "3.wav": a}
    of_folder = AudioFiles(packed(tmp_path / "f", files), list(files)).keys()
    for root in (tmp_path / "f", packed(tmp_path / "z.zip", files)):
        inputs = AudioFiles(root, list(files))
        keys = inputs.keys()
        assert keys[0] == keys[2] != keys[1] and keys == of_folder  # the same recording, wherever it lies
        taken = inputs.take(np.array([1, 0]))
        assert isinstance(taken, AudioFiles) and taken.keys() == [keys[1], keys[0]]
        assert taken.names() == ["2.wav", "1.wav"] and taken.fingerprint() != inputs.fingerprint()
        assert pickle.loads(pickle.dumps(inputs)).fingerprint() == inputs.fingerprint()
        np.testing.assert_allclose(lengths_of(inputs, np.arange(3)), 0.1)


def manifest(rows: list[str], header: str = "file,word,speaker,split") -> bytes:
    return "\n".join([header, *rows, ""]).encode()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_name_that_is_no_text_can_be_printed(tmp_path):
    packed(tmp_path / "d", CLASSES)
    with open(os.fsencode(tmp_path / "d" / "low") + b"/\xff.wav", "wb") as file:
        file.write(encoded(tone(pitch=700)))
    inputs = load_domain(tmp_path / "d").inputs
    assert inputs.names()[-1] == "low/?.wav" and inputs[6].rate == 8000
    "\n".join(inputs.names()).encode()


NAMED = {f"recordings/{i}.wav": encoded(tone(pitch=200 + 10 * i)) for i in range(8)}
ROWS = [
    f"{i}.wav,{'yes' if i % 2 else 'no'},{'ann' if i < 4 else 'bob'},{'test' if i > 5 else 'train'}" for i in range(8)
]


@pytest.mark.parametrize("where", ["data", "data.zip"])
def test_a_manifest_names_files_labels_groups_splits_and_domains(tmp_path, where):
    path = packed(tmp_path / where, {**NAMED, "manifest.csv": manifest(ROWS)})
    domain = load_domain(path, label="word", group="speaker")
    assert domain.labels.tolist() == ["no", "yes"] * 4 and domain.groups.tolist() == ["ann"] * 4 + ["bob"] * 4
    assert domain.splits["test"].tolist() == [6, 7] and domain.inputs.names()[3] == "recordings/3.wav"
    np.testing.assert_allclose(domain.inputs[3].samples, tone(pitch=230), atol=1e-4)
    bob = load_domain(path, label="word", domain_column="speaker", domain="bob")
    assert bob.inputs.names() == [f"recordings/{i}.wav" for i in range(4, 8)] and bob.name == "data (bob)"
    assert bob.reading == {"label": "word"}


def test_a_label_that_is_a_number(tmp_path):
    rows = [f"recordings/{i}.wav,{i / 2}" for i in range(8)]
    path = packed(tmp_path / "data", {**NAMED, "manifest.csv": manifest(rows, "path,age")})
    assert load_domain(path, label="age").labels.tolist() == [i / 2 for i in range(8)]


def test_what_a_manifest_lacks_is_one_sentence(tmp_path):
    path = packed(tmp_path / "data.zip", {**NAMED, "manifest.csv": manifest(ROWS)})
    for options, match in (
        ({}, "which column is the label with label=NAME.*'word', 'speaker', 'split'"),
        ({"label": "wrd"}, "label='wrd'.*no such column. Did you mean 'word'"),
        ({"label": "word", "group": "speakr"}, "group='speakr'.*Did you mean 'speaker'"),
        ({"label": "word", "domain_column": "speaker", "domain": "eve"}, "domain='eve'.*'ann', 'bob'"),
        ({"label": "word", "text": "word"}, "text='word' is for tables.*a set of recordings"),
        ({"label": "file"}, "label='file': this column of .* names the recordings"),
        ({"label": "word", "group": "file"}, "group='file': this column of .* names the recordings"),
    ):
        with pytest.raises(RequestError, match=match) as caught:
            load_domain(path, **options)
        assert "\n" not in str(caught.value)
    bare = packed(tmp_path / "bare", {**NAMED, "manifest.csv": manifest(["1,yes"], "number,word")})
    with pytest.raises(RequestError, match="no column called file or path; it has 'number', 'word'"):
        load_domain(bare, label="word")
    with pytest.raises(RequestError, match="label='word' is for tables.*recordings without a manifest.csv"):
        load_domain(packed(tmp_path / "plain", CLASSES), label="word")


def test_names_without_a_file_are_named(tmp_path):
    rows = [*ROWS, "9.wav,yes,bob,train"]
    path = packed(tmp_path / "data", {**NAMED, "manifest.csv": manifest(rows)})
    with pytest.raises(RequestError, match="1 of 9 recordings that are not there, or more than once, such as '9.wav'"):
        load_domain(path, label="word")
    many = {f"{i}.wav": encoded(tone(pitch=200 + i)) for i in range(30)}
    rows = [f"{i}.wav,{i % 2}" for i in range(31)]
    path = packed(tmp_path / "many", {**many, "manifest.csv": manifest(rows, "file,label")})
    domain = load_domain(path)  # a column called label needs no naming
    assert len(domain) == 30 and any("'30.wav' (row 30); left out" in note for note in domain.notes)
    twice = {**{f"a/{name}": data for name, data in many.items()}, "b/3.wav": encoded(tone(pitch=999))}
    path = packed(tmp_path / "twice", {**twice, "manifest.csv": manifest(rows[:30], "file,label")})
    assert not {"a/3.wav", "b/3.wav"} & set(load_domain(path).inputs.names())  # which is meant cannot be told


def test_a_manifest_may_be_named_itself_and_what_it_does_not_name_is_said(tmp_path):
    path = packed(tmp_path / "data", {**NAMED, "manifest.csv": manifest(ROWS[:6])})
    domain = load_domain(path / "manifest.csv", label="word")
    assert domain.kind == "audio" and len(domain) == 6
    assert "Left out, not named in manifest.csv in data: 2 recordings." in domain.notes
    bob = load_domain(path, label="word", domain_column="speaker", domain="bob")  # ann's are named all the same
    assert len(bob) == 2 and "Left out, not named in manifest.csv in data: 2 recordings." in bob.notes
    table = packed(tmp_path / "table", {"manifest.csv": manifest([f"{i / 3},{i % 2}" for i in range(8)], "a,label")})
    assert load_domain(table / "manifest.csv").kind == "table"


def test_a_name_outside_the_folder_is_looked_for_inside(tmp_path):
    (tmp_path / "9.wav").write_bytes(encoded(tone(pitch=999)))
    rows = [*[f"../elsewhere/{row}" for row in ROWS * 3], "../9.wav,yes,bob,train"]
    domain = load_domain(packed(tmp_path / "data", {**NAMED, "manifest.csv": manifest(rows)}), label="word")
    assert set(domain.inputs.names()) == set(NAMED) and any(
        "'../9.wav' (row 24); left out" in note for note in domain.notes
    )


def test_labels_stay_with_their_recordings_where_some_are_lost(tmp_path):
    files = {f"{i}.wav": encoded(tone(pitch=200 + i)) for i in range(60)} | {"7.wav": b"broken"}
    rows = [f"{i}.wav,{i}" for i in range(61)][::-1]  # the first names no file
    path = packed(tmp_path / "d", {**files, "manifest.csv": manifest(rows, "file,label")})
    with pytest.warns(UserWarning, match="7.wav"):
        domain = load_domain(path)
    assert len(domain) == 59 and domain.inputs.names() == [f"{label:g}.wav" for label in domain.labels]


def test_broken_and_empty_files_are_skipped_and_named(tmp_path):
    good = {f"{c}/{i}.wav": encoded(tone(pitch=200 + i)) for c in "ab" for i in range(20)}
    bad = {"a/no.wav": b"not a recording", "b/empty.wav": encoded(tone()[:0])}
    with pytest.warns(UserWarning, match="2 of 42 recordings.*skipped"):
        domain = load_domain(packed(tmp_path / "data", {**good, **bad}))
    assert len(domain) == 40
    assert "a/no.wav (Format not recognised)" in domain.notes[-1]
    assert "b/empty.wav (it holds no sound (0 samples))" in domain.notes[-1]
    with pytest.raises(RequestError, match="a/no.wav in .* cannot be read as a recording"):
        load_domain(tmp_path / "data", strict=True)
    with pytest.raises(RequestError, match="of 7 recordings.*up to 5% would be skipped"):
        load_domain(packed(tmp_path / "few", {**CLASSES, "low/bad.flac": b"fLaC"}))
    whole = encoded(tone(2.0), form="FLAC")
    fast = encoded(tone())
    fast = fast[:24] + struct.pack("<I", 2**31 - 1) + fast[28:]
    for name, data, match in (
        ("cut.flac", whole[: len(whole) // 2], "lost sync"),
        ("fast.wav", fast, "its rate is 2,147,483,647 samples a second"),
    ):
        with pytest.raises(RequestError, match=f"low/{name} .*{match}"):
            load_domain(packed(tmp_path / name.replace(".", "-"), {**CLASSES, f"low/{name}": data}))
    nan = tone()
    nan[3] = np.nan
    (tmp_path / "nan.wav").write_bytes(encoded(nan, subtype="FLOAT"))
    with pytest.raises(RunError, match="nan.wav in .*samples that are no numbers") as caught:
        AudioFiles(tmp_path, ["nan.wav"])[0]
    assert "0x" not in str(caught.value)


def test_long_recordings_are_cut_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_module, "LONGEST", 1)
    domain = load_domain(packed(tmp_path / "d.zip", {**CLASSES, "low/9.wav": encoded(tone(1.5))}))
    assert domain.notes == ("1 recordings are longer than 1 s, of which so much is read (such as low/9.wav).",)
    assert len(domain.inputs[6].samples) == 8000
    assert len(as_sound((tone(1.5), 8000)).samples) == 8000


def test_recordings_that_are_cut_off_or_too_long_are_said_where_they_are_learnt_from_and_answered(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(audio_module, "LONGEST", 1)
    whole, streamed = encoded(tone(0.5)), bytearray(encoded(tone(0.5)))
    at = streamed.index(b"data") + 4
    streamed[at : at + 4] = b"\xff\xff\xff\xff"  # as written to a pipe
    more = {"low/cut.wav": whole[: len(whole) // 2], "low/pipe.wav": bytes(streamed), "low/z.wav": encoded(tone(1.5))}
    folder = packed(tmp_path / "d", {**CLASSES, **more})
    said = (
        "1 recordings are longer than 1 s, of which so much is read (such as low/z.wav).",
        "1 recordings end before their header says, and are read as far as they go (such as low/cut.wav).",
    )
    assert load_domain(folder).notes == said == load_inputs([folder], "audio", {}).notes


def test_images_and_recordings_do_not_mix(tmp_path):
    with pytest.raises(RequestError, match=r"both images \(1, such as low/x.png\) and recordings \(6"):
        load_domain(packed(tmp_path / "d", {**CLASSES, "low/x.png": b"..."}))


def test_a_folder_of_neither_says_what_is_read(tmp_path):
    with pytest.raises(
        RequestError, match=r"holds no images .*, no recordings \(.wav, .flac, .ogg, .mp3\) and no texts .*; a f"
    ):
        load_domain(packed(tmp_path / "d", {"low/x.m4a": b"..."}))


def test_without_soundfile_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(RequestError, match=r"pip install 'sterna\[audio\]'"):
        load_domain(packed(tmp_path / "d", CLASSES))
    with pytest.raises(RequestError, match=r"pip install 'sterna\[audio\]'"):
        AudioFiles(tmp_path / "d", ["low/0.wav"])[0]


def test_arrays_become_recordings():
    x = tone()
    for value in (
        Sound(x, 8000), (x.astype(np.float64), 8000), {"array": x, "sampling_rate": 8000}, (np.stack([x, x]), 8000),
        (np.stack([x, x], axis=1), 8000), ((x * 32768).astype(np.int16), 8000), {"bytes": encoded(x), "path": None},
    ):  # fmt: skip
        sound = as_sound(value)
        assert sound.rate == 8000 and sound.samples.dtype == np.float32
        np.testing.assert_allclose(sound.samples, x, atol=1e-4)
    for value, match in (
        (x, "rate of a recording is not known"),
        ((x, 20), "its rate is 20 samples a second"),
        (((x * 32768).astype(np.int64), 8000), "int64 of the shape .* 8 to 32 bits"),
        ((np.zeros((0, 2), np.float32), 8000), r"shape \(0, 2\)"),
        ({"bytes": b"text", "path": None}, "in memory cannot be read .Format not recognised"),
        ({"bytes": None, "path": "/no/such.wav"}, "/no/such.wav cannot be read .*No such file"),
        ((x[:0], 8000), "no sound"),
        ((x > 0, 8000), "bool of the shape"),
        ((np.zeros((2, 2, 2), np.float32), 8000), r"shape \(2, 2, 2\)"),
    ):
        with pytest.raises(RequestError, match=match):
            as_sound(value)


def test_channels_that_cancel_out_are_not_averaged(tmp_path):
    x, quiet = tone(), tone(pitch=700) * 0.01
    for name, channels, expected in (
        ("opposed", [x, -x], x), ("nearly", [x * 0.9, -x], -x), ("one of many", [x, *[0 * x] * 19], x),
        ("alike", [x, x * 0.5], x * 0.75), ("beside", [x, quiet], (x + quiet) / 2), ("silent", [0 * x, 0 * x], 0 * x),
    ):  # fmt: skip
        (tmp_path / "x.wav").write_bytes(encoded(np.stack(channels, axis=1), subtype="FLOAT"))
        np.testing.assert_allclose(AudioFiles(tmp_path, ["x.wav"])[0].samples, expected, atol=1e-6, err_msg=name)
        for held in (np.stack(channels), np.stack(channels, axis=1)):
            np.testing.assert_allclose(as_sound((held, 8000)).samples, expected, atol=1e-6, err_msg=name)


def test_how_loud_a_file_was_written_changes_no_answer(tmp_path):
    """Floats far over 1, 24 bits, 8 bits: the same recording."""
    from sterna.preparations.audio import LogMelStatistics

    x = tone()
    files = {"plain": (x, "FLOAT"), "over": (x * 20_000, "FLOAT"), "double": (x, "DOUBLE"), "deep": (x, "PCM_24")}
    for name, (samples, subtype) in files.items():
        (tmp_path / f"{name}.wav").write_bytes(encoded(samples, subtype=subtype))
    inputs = AudioFiles(tmp_path, [f"{name}.wav" for name in files])
    items = LogMelStatistics().fit(inputs).items(inputs)
    for row in range(1, len(files)):
        np.testing.assert_allclose(items[row], items[0], atol=0.02, err_msg=list(files)[row])


def test_a_domain_of_sounds_in_memory():
    sounds = [Sound(tone(pitch=p), 8000) for p in (200, 300, 200)]
    domain = Domain.from_arrays(sounds, ["a", "b", "a"])
    assert domain.kind == "audio" and domain.inputs.keys()[0] == domain.inputs.keys()[2] != domain.inputs.keys()[1]
    plain = AudioSequence([s.samples for s in sounds], 8000)
    assert plain.keys() == domain.inputs.keys() and plain.fingerprint() == domain.inputs.fingerprint()
    taken = plain.take(np.array([1]))
    assert taken.keys() == plain.keys()[1:2] and len(taken) == 1


def test_a_column_of_recordings_of_a_hugging_face_data_set():
    datasets = pytest.importorskip("datasets")
    rows = {"audio": [{"bytes": encoded(tone(pitch=p)), "path": None} for p in (200, 300)], "label": ["a", "b"]}
    data = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio())
    domain = Domain.from_dataset(data)
    assert domain.kind == "audio" and domain.labels.tolist() == ["a", "b"]
    np.testing.assert_allclose(domain.inputs[1].samples, tone(pitch=300), atol=1e-4)


def test_a_separate_test_set_and_inputs_to_answer(tmp_path):
    folder = packed(tmp_path / "d", CLASSES)
    test = packed(tmp_path / "t.zip", {"low/t.wav": encoded(tone(pitch=77))})
    domain = load_domain(folder, test=test)
    assert domain.splits["test"].tolist() == [6] and domain.inputs.names()[6] == "low/t.wav"
    np.testing.assert_allclose(domain.take([6]).inputs[0].samples, tone(pitch=77), atol=1e-4)
    taken = domain.inputs.take(np.array([6, 5, 0])).take(np.array([2, 0]))
    assert taken.names() == ["high/0.wav", "low/t.wav"] and taken.keys()[1] == domain.inputs.keys()[6]
    np.testing.assert_allclose(taken[1].samples, tone(pitch=77), atol=1e-4)
    asked = load_inputs([folder / "low" / "0.wav", test, folder], "audio", {})
    assert asked.inputs.names() == ["0.wav", "low/t.wav", *sorted(CLASSES)] and asked.kind == "audio"
    packed(tmp_path, {"x.csv": b"a\n1\n"})
    with pytest.raises(RequestError, match=r"x.csv' is not a recording; expected one of .wav, .flac"):
        load_inputs([tmp_path / "x.csv"], "audio", {})


def test_the_recordings_that_ship_are_as_the_notice_says():
    path = demo_path("speech")
    assert path.stat().st_size <= 300_000
    domain = load_domain(path, label="digit", group="speaker")
    assert len(domain) == len(set(domain.inputs.keys())) == 80 and set(domain.groups) == {"theo", "yweweler"}
    assert np.bincount(domain.labels.astype(int)).tolist() == [8] * 10
    assert {domain.inputs[row].rate for row in range(80)} == {8000}
    assert len(load_domain(path, label="digit", domain_column="accent", domain="DEU/German")) == 40
