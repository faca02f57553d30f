"""Files fused in slices are what the plain computation gives, in little memory; wrong files get one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sterna import RequestError, RunError
from sterna.networks.fusing import fuse_states
from sterna.store import fusing
from sterna.store.fusing import fuse_files, narrowed, widened

KINDS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def test_a_pipe_is_no_file_to_fuse(tmp_path):
    pipe = tmp_path / "a.safetensors"
    getattr(os, "mkfifo", os.mkdir)(pipe)
    with pytest.raises(RequestError, match="is (no file|a folder), but a .safetensors file was"):
        fuse_files(pipe, pipe, 0.5, tmp_path / "out.safetensors")


def state(seed, **kinds):
    random = torch.Generator().manual_seed(seed)
    found = {
        f"{kind}.{i}": (torch.randn(shape, generator=random) * 10 ** (i - 1)).to(KINDS[kinds.get(kind, kind)])
        for kind in KINDS
        for i, shape in enumerate([(7, 11), (), (0, 3), (40, 50)])
    }
    return found | {
        "count": torch.tensor([seed, 2**40]),
        "mask": torch.tensor([seed > 0]),
        "byte": torch.ones(3).byte(),
    }


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two files, and slices so small that tensors are cut."""
    monkeypatch.setattr(fusing, "SLICE", 64)
    save_file(state(0), tmp_path / "a.safetensors", metadata={"whose": "a"})
    save_file(state(1), tmp_path / "b.safetensors", metadata={"whose": "b", "format": "pt", "名": "目标"})
    return tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "c.safetensors"


def same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("alpha", [0, 0.3, 0.5, 1 / 3, 1])
def test_the_file_is_what_the_plain_computation_gives_bit_for_bit(two, alpha):
    fused = fuse_files(two[0], two[1], alpha, two[2])
    a, b = load_file(two[0]), load_file(two[1])
    same(load_file(two[2]), fuse_states(a, b, alpha))
    assert fused.tensors == len(b) and fused.notes == ()
    assert fused.bytes == sum(t.numel() * t.element_size() for t in b.values())
    with safe_open(two[2], "pt") as file:
        assert file.metadata() == {"whose": "b", "format": "pt", "名": "目标"}
    if alpha == 0:
        assert two[2].read_bytes() == two[1].read_bytes()


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
def test_types_may_differ_and_the_targets_are_kept(two, alpha):
    other = {"F64": "F32", "F32": "F16", "F16": "BF16", "BF16": "F64"}
    save_file(state(0, **other), two[0])
    fuse_files(two[0], two[1], alpha, two[2])
    same(load_file(two[2]), fuse_states(load_file(two[0]), load_file(two[1]), alpha))


def test_the_order_of_the_tensors_does_not_matter(two):
    weights = load_file(two[0])
    text = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
                       "y": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()  # fmt: skip
    two[0].write_bytes(len(text).to_bytes(8, "little") + text + np.arange(3, dtype=np.float32).tobytes())
    save_file({"x": torch.tensor([10.0, 20.0]), "y": torch.tensor([30.0])}, two[1])
    fuse_files(two[0], two[1], 0.5, two[2])
    found = load_file(two[2])
    assert found["x"].tolist() == [5.5, 11.0] and found["y"].tolist() == [15.0] and len(weights) > 2


@settings(deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_bfloat16_is_rounded_as_torch_does(numbers):
    values = np.array(numbers, dtype=np.float32)
    expected = torch.from_numpy(values).bfloat16()
    raw = narrowed(values, "BF16").view(np.uint8)
    found = torch.from_numpy(raw.copy()).view(torch.bfloat16)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.nan_to_num(0), expected.nan_to_num(0))
    np.testing.assert_array_equal(widened(raw, "BF16"), expected.float().numpy())


@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_nan_is_passed_on_and_said(two, alpha):
    a, b = state(0), state(1)
    a["F32.3"][3, 4] = b["F32.3"][3, 4] = a["BF16.0"][1, 1] = b["BF16.0"][1, 1] = float("nan")
    b["F64.0"][0, 0] = a["F64.0"][0, 0] = float("inf")
    save_file(a, two[0])
    save_file(b, two[1])
    notes = fuse_files(two[0], two[1], alpha, two[2]).notes
    assert len(notes) == 1 and "NaN is among the weights of 2 of the tensors" in notes[0]
    found = load_file(two[2])
    assert found["F32.3"].isnan().sum() == 1 and found["BF16.0"][1, 1].isnan() and found["F64.0"][0, 0].isinf()


def wrong(two, alpha=0.5, out=None, **more):
    with pytest.raises(RequestError) as error:
        fuse_files(two[0], two[1], alpha, out or two[2], **more)
    assert not two[2].exists() and not list(two[2].parent.glob(".*"))
    return str(error.value)


@pytest.mark.parametrize("alpha", [-1e-9, 1.5, float("nan")])
def test_a_share_out_of_bounds_is_refused(two, alpha):
    assert "expected a number from 0" in wrong(two, alpha)


def test_a_missing_file_is_named_with_a_near_one(two):
    two[0].rename(two[0].with_name("aa.safetensors"))
    assert "There is no file" in wrong(two) and "Did you mean" in wrong(two)


def test_other_names_shapes_and_types_are_named(two):
    save_file({**state(0), "extra": torch.ones(1)}, two[0])
    assert "1 of" in wrong(two) and "(extra)" in wrong(two) and str(two[0]) in wrong(two)
    save_file({**state(0), "F32.0": torch.ones(11, 7)}, two[0])
    assert "1 differ in shape (F32.0 (11, 7) and (7, 11))" in wrong(two)
    save_file({**state(0), "count": torch.ones(2)}, two[0])
    assert "1 differ in number type (count F32 and I64)" in wrong(two)


@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_whole_file_is_refused(two, side):
    good = two[side].read_bytes()
    length = int.from_bytes(good[:8], "little")
    header = good[8 : 8 + length]
    for content in (
        b"",
        b"weights",
        good[:50],
        good[:-1],
        good + b"\0",
        b"\xff" * 100,
        good[:8] + b"[" + good[9:],
        good[:8] + header.replace(b'"data_offsets"', b'"data_offsetz"') + good[8 + length :],
        good[:8] + header.replace(b"[7,11]", b"[7,12]") + good[8 + length :],
    ):
        two[side].write_bytes(content)
        assert "is not a whole safetensors file" in wrong(two), content[:60]


def test_quantised_weights_are_refused(two):
    save_file({"w": torch.ones(3).to(torch.float8_e4m3fn)}, two[0])
    assert "the tensor w holds F8_E4M3, which is not averaged" in wrong(two)


@pytest.mark.parametrize("name", ["a.pt", "a.bin", "a.safetensors"])
def test_files_that_may_hold_code_are_refused_with_the_way_to_convert_them(two, name):
    two[0].unlink()
    path = two[0].with_name(name)
    torch.save(state(0), path)
    said = wrong((path, *two[1:]))
    assert "may hold code" in said and "save_file(torch.load(FILE, weights_only=True), 'model.safetensors')" in said


def test_nothing_is_written_over(two, tmp_path):
    before = two[1].read_bytes()
    for place in (two[1], tmp_path / "x" / ".." / "b.safetensors"):
        (tmp_path / "x").mkdir(exist_ok=True)
        assert "is one of the files to fuse" in wrong(two, out=place, overwrite=True)
    (tmp_path / "link.safetensors").symlink_to(two[1])
    assert "is one of the files to fuse" in wrong(two, out=tmp_path / "link.safetensors", overwrite=True)
    (tmp_path / "d.safetensors").write_text("mine")
    assert "replace it with overwrite=True" in wrong(two, out=tmp_path / "d.safetensors")
    assert (tmp_path / "d.safetensors").read_text() == "mine"
    assert "ends in .safetensors" in wrong(two, out=tmp_path / "d.bin")
    assert two[1].read_bytes() == before
    fuse_files(two[0], two[1], 0.5, tmp_path / "d.safetensors", overwrite=True)
    same(load_file(tmp_path / "d.safetensors"), fuse_states(load_file(two[0]), load_file(two[1]), 0.5))


class Full:
    """An open file on a disk with room for so many writes; `done` counts those of all files."""

    def __init__(self, file, room, done):
        self.file, self.room, self.done = file, room, done

    def write(self, data):
        if len(self.done) >= self.room:
            raise OSError(28, "No space left on device")
        self.done.append(len(data))
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.fixture
def full_disk(monkeypatch):
    """``full_disk(5)``: after five writes there is no room; gives the list of the writes that were done."""

    def make(room):
        done, opened = [], Path.open

        def opening(path, mode="r", *arguments, **more):
            file = opened(path, mode, *arguments, **more)
            return file if mode in ("r", "rb") else Full(file, room, done)

        monkeypatch.setattr(Path, "open", opening)
        return done

    return make


def test_a_write_that_fails_leaves_what_was_there(two, full_disk):
    fuse_files(two[0], two[1], 0.5, two[2])
    before, done = two[2].read_bytes(), full_disk(6)
    with pytest.raises(RunError, match="No space left"):
        fuse_files(two[0], two[1], 0.2, two[2], overwrite=True)
    assert len(done) == 6 and two[2].read_bytes() == before and not list(two[2].parent.glob(".*"))


def test_memory_does_not_grow_with_the_file(tmp_path):
    for name in "ab":
        save_file({"w": torch.rand(12_000_000)}, tmp_path / f"{name}.safetensors")
    code = (
        "import resource, sys; from pathlib import Path; from sterna.store.fusing import fuse_files;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak();"
        "fuse_files(*(Path(x) for x in sys.argv[1:3]), 0.3, Path(sys.argv[3]));"
        "print((peak() - before) // 1024, 'torch' in sys.modules)"
    )
    files = [str(tmp_path / f"{name}.safetensors") for name in "abc"]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    megabytes, torch_too = done.stdout.split()
    assert int(megabytes) < 30 and torch_too == "False"


def test_what_fails_in_one_thread_stops_the_other_and_leaves_nothing(two, monkeypatch):
    """The disk has no room for the third write alone: what did not stop then would go on."""
    monkeypatch.setattr(fusing, "SLICE", 4)  # some thousand pieces
    opened, done = Path.open, []

    class Once(Full):
        def write(self, data):
            done.append(len(data))
            if len(done) == 3:
                raise OSError(28, "No space left on device")
            return self.file.write(data)

    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", *a, **k: (
            opened(path, mode, *a, **k) if mode in ("r", "rb") else Once(opened(path, mode, *a, **k), 0, done)
        )
    )  # fmt: skip
    before = sorted(p.name for p in two[0].parent.iterdir())
    with pytest.raises(RunError, match="No space left"):
        fuse_files(two[0], two[1], 0.3, two[2])
    assert sorted(p.name for p in two[0].parent.iterdir()) == before
    pieces = sum(-(-t.numel() // 4) for t in load_file(two[1]).values())
    assert len(done) < pieces / 2
