"""Features on disk: a row is computed once whatever rows it comes with, a file is whole or not there."""

import errno
import itertools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna import RequestError, RunError
from sterna.domains import Domain
from sterna.domains.images import ImageArray, ImageFiles, ImageSequence
from sterna.domains.inputs import JoinedInputs
from sterna.domains.tables import table_inputs
from sterna.domains.text import TextInputs
from sterna.training import feature_files as module
from sterna.training.cache import FeatureCache, tools
from sterna.training.row_keys import row_keys


def keys_of(rows):
    return np.array([f"{row:016}" for row in rows], dtype="S16")


def value(block, rows, width=3):
    """What the features of these rows are."""
    return (np.asarray(rows)[:, None] * 10 + np.arange(width) + 1000 * ord(block)).astype(np.float32)


def ask(cache, rows, blocks=("a", "b"), computed=None, weights="w", width=3):
    """Rows by name, in any order and any batches, with a note of what was computed."""
    names = np.asarray(list(rows), dtype=np.int64)

    def compute(missing, numbers, write):
        if computed is not None:
            computed.append((tuple(missing), names[numbers].tolist()))
        for part in np.array_split(np.random.default_rng(0).permutation(numbers), 3):
            write(part, {block: value(block, names[part], width) for block in missing})

    return cache.get(weights, "p", keys_of(names), blocks, compute)


def expected(rows, blocks=("a", "b"), width=3):
    return np.concatenate([value(block, list(rows), width) for block in blocks], axis=1)


def test_rows_come_back_in_place_whatever_the_order_of_writing(tmp_path):
    found, table = ask(FeatureCache(tmp_path), range(50)), expected(range(50))
    np.testing.assert_array_equal(found.array(), table)
    rows = np.array([40, 3, 3, 17, 4])
    np.testing.assert_array_equal(found.array(rows), table[rows])
    parts = list(found.chunks(20 * found.width))
    assert [start for start, _ in parts] == [0, 20, 40]
    np.testing.assert_array_equal(np.concatenate([p for _, p in parts]), table)
    np.testing.assert_array_equal(np.fromfile(found.files[1], "f4", 150, offset=module.HEADER), table[:, 3:].ravel())
    assert ask(FeatureCache(tmp_path), []).array().shape == (0, 0)


def test_a_row_is_computed_once_whatever_rows_it_comes_with(tmp_path):
    cache, computed = FeatureCache(tmp_path), []
    for rows in ([1, 2, 3], [3, 1], [5, 3, 4, 1], [1, 2, 3], range(7), [2, 9, 2, 9, 9]):
        np.testing.assert_array_equal(ask(cache, rows, computed=computed).array(), expected(rows))
    assert [rows for _, rows in computed] == [[1, 2, 3], [5, 4], [0, 6], [9]]
    ask(cache, [1], weights="other", computed=computed)
    assert computed[-1][1] == [1]


def test_what_another_version_computed_is_computed_again(tmp_path, monkeypatch):
    assert f"torch {torch.__version__.partition('+')[0]}" in {made.partition("+")[0] for made in tools()}
    cache, computed = FeatureCache(tmp_path), []
    ask(cache, [1, 2], computed=computed)
    monkeypatch.setattr("sterna.training.cache.tools", lambda: [*tools()[1:], "torch 0.1"])
    ask(cache, [1, 2], computed=computed)
    assert [rows for _, rows in computed] == [[1, 2], [1, 2]]


def test_only_the_blocks_that_some_row_lacks_are_computed(tmp_path):
    cache, computed = FeatureCache(tmp_path), []
    ask(cache, [1, 2], ("a",), computed)
    ask(cache, [1, 2], ("a", "b"), computed)
    ask(cache, [2, 3], ("b",), computed)
    ask(cache, [1, 2, 3], ("a", "b"), computed)
    found = ask(cache, [4, 3, 2, 5], ("a", "b", "c"), computed)
    assert computed[:4] == [(("a",), [1, 2]), (("b",), [1, 2]), (("b",), [3]), (("a",), [3])]
    assert computed[4:] == [(("c",), [3, 2]), (("a", "b", "c"), [4, 5])]
    np.testing.assert_array_equal(found.array(), expected([4, 3, 2, 5], "abc"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 12), max_size=15), st.sets(st.sampled_from("abc"), min_size=1)), max_size=7
    ),
    st.sampled_from([1_000_000, 7]),
)
def test_it_answers_as_a_dictionary_would(requests, chunk):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        patch.setattr("sterna.files.os.fsync", lambda handle: None)  # takes all the time
        cache, computed, known = FeatureCache(Path(folder)), [], {}
        for rows, blocks in requests:
            blocks = sorted(blocks)
            table = [[known.setdefault((b, r), value(b, [r])[0]) for b in blocks] for r in rows]
            found = ask(cache, rows, blocks, computed).array()
            if rows:
                np.testing.assert_array_equal(found, np.array(table).reshape(len(rows), -1))
        given_out = [(b, r) for missing, rows in computed for b in missing for r in rows]
        assert len(given_out) == len(set(given_out)) == len(known)


def test_a_damaged_or_half_written_file_is_computed_again(tmp_path):
    cache, computed = FeatureCache(tmp_path), []
    first, second = ask(cache, range(50), computed=computed).files
    first.write_bytes(first.read_bytes()[:-4])
    second.write_bytes(b"rubbish")
    np.testing.assert_array_equal(ask(cache, range(50), computed=computed).array(), expected(range(50)))
    assert computed[1] == (("a", "b"), list(range(50)))
    whole = first.read_bytes()
    first.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # a key is another one now
    np.testing.assert_array_equal(ask(cache, range(49, 60), computed=computed).array(), expected(range(49, 60)))
    assert computed[2:] == [(("a",), [49]), (("a", "b"), list(range(50, 60)))]


def test_a_failed_computation_leaves_nothing(tmp_path):
    cache = FeatureCache(tmp_path)

    def stopped(missing, rows, write):
        write(rows[:2], {"a": np.zeros((2, 3), np.float32)})
        raise KeyboardInterrupt

    def careless(missing, rows, write):
        write(rows[:2], {"a": np.zeros((2, 3), np.float32)})

    for compute, error in ((stopped, KeyboardInterrupt), (careless, ValueError)):
        with pytest.raises(error):
            cache.get("w", "p", keys_of(range(50)), ["a"], compute)
        assert list(cache.folder.iterdir()) == []


SCRIPT = """
import os, sys, time
import numpy as np
from pathlib import Path
sys.path.insert(0, os.environ["TESTS"])
from test_cache import FeatureCache, ask, expected, keys_of, value
os.fsync = lambda handle: None
"""


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + code, *map(str, arguments)],
        env={**os.environ, "TESTS": str(Path(__file__).parent)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_what_a_killed_process_left_is_no_features_and_goes_with_the_next_that_writes(tmp_path):
    process = start(
        """
def compute(missing, rows, write):
    write(rows[:900], {"a": value("a", rows[:900]) + 7})
    print("half", flush=True)
    time.sleep(60)
FeatureCache(Path(sys.argv[1])).get("w", "p", keys_of(range(1000)), ["a"], compute)
""",
        tmp_path,
    )
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    cache, computed = FeatureCache(tmp_path), []
    (left,) = cache.folder.iterdir()
    assert cache.size() == left.stat().st_size > 0
    np.testing.assert_array_equal(ask(cache, range(1000), ("a",), computed).array(), expected(range(1000), "a"))
    assert computed == [(("a",), list(range(1000)))]
    assert not left.exists()


def test_a_file_that_is_being_finished_is_not_thrown_away_and_is_whole_when_it_is_used(tmp_path, monkeypatch):
    """Another process makes room while the disk takes the last bytes, and just after the rename."""
    small, computed, evicted = FeatureCache(tmp_path, gigabytes=1e-6), [], []
    fsync, rename = os.fsync, Path.replace

    def slow(handle):
        fsync(handle)
        small._forget()

    def renamed(self, target):
        found = rename(self, target)
        evicted.append(start_and_wait("FeatureCache(Path(sys.argv[1]), gigabytes=1e-6)._forget()", tmp_path))
        return found

    monkeypatch.setattr(os, "fsync", slow)
    monkeypatch.setattr(Path, "replace", renamed)
    found = ask(small, range(100), ("a",), computed)
    assert len(computed) == len(evicted) == 1
    np.testing.assert_array_equal(found.array(), expected(range(100), "a"))


def start_and_wait(code, *arguments):
    process = start(code, *arguments)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["file", "x" * 300])
def test_a_cache_that_is_no_folder_is_said_with_its_variable(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="set STERNA_CACHE to a folder that can take the features"):
        ask(FeatureCache(tmp_path / name), range(5), ("a",))


def test_a_cache_that_can_only_be_read_gives_what_it_holds(tmp_path, monkeypatch):
    ask(FeatureCache(tmp_path), range(50), ("a",))

    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("utime", "unlink", "rename", "replace", "mkdir"):
        monkeypatch.setattr(os, name, refused)
    computed: list = []
    for gigabytes in (None, 1e-9):
        found = ask(FeatureCache(tmp_path, gigabytes), range(50), ("a",), computed)
        np.testing.assert_array_equal(found.array(), expected(range(50), "a"))
    assert not computed
    with pytest.raises(RunError, match=r"Read-only file system: set STERNA_CACHE to a folder that can take"):
        real = os.open
        monkeypatch.setattr(os, "open", lambda path, flags, *m: refused() if flags & os.O_CREAT else real(path, flags))
        ask(FeatureCache(tmp_path), range(60), ("a",))


def test_files_that_are_not_the_caches_own_are_never_thrown_away(tmp_path):
    mine = tmp_path / "features" / "house.features"
    mine.parent.mkdir()
    mine.write_bytes(b"x" * 100_000)
    cache = FeatureCache(tmp_path, gigabytes=1e-6)
    ask(cache, range(50))
    cache.clear()
    assert mine.stat().st_size == 100_000 and cache.size() == 0


@pytest.mark.parametrize("given", ["abc", "-1", "nan", "inf", "10 GB"])
def test_a_bound_that_is_no_number_is_one_sentence(monkeypatch, given):
    monkeypatch.setenv("STERNA_CACHE_GB", given)
    with pytest.raises(RequestError, match=f"STERNA_CACHE_GB is '{given}'; expected gigabytes, 0 or more"):
        FeatureCache()


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STERNA_CACHE", raising=False)
    for shared, expected_place in (
        ("", "home/.cache"), ("relative", "home/.cache"), (str(tmp_path / "xdg"), "xdg"),
    ):  # fmt: skip
        monkeypatch.setenv("XDG_CACHE_HOME", shared)
        assert FeatureCache().folder == tmp_path / expected_place / "sterna" / "features"
    monkeypatch.setenv("STERNA_CACHE", str(tmp_path / "own"))
    assert FeatureCache().folder == tmp_path / "own" / "features"


def test_processes_that_write_and_make_room_at_once_spoil_nothing(tmp_path):
    code = """
random = np.random.default_rng(int(sys.argv[2]))
cache = FeatureCache(Path(sys.argv[1]), gigabytes=120_000 / 2**30)
for _ in range(25):
    rows = random.choice(300, random.integers(1, 200))
    found = ask(cache, rows)
    np.testing.assert_array_equal(found.array(), expected(rows))
"""
    processes = [start(code, tmp_path, seed) for seed in range(3)]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    cache = FeatureCache(tmp_path, gigabytes=120_000 / 2**30)
    rows = range(0, 300, 2)
    np.testing.assert_array_equal(ask(cache, rows).array(), expected(rows))
    assert cache.size() <= 120_000


def test_the_least_recently_used_go_when_the_folder_grows_over_its_bound(tmp_path):
    cache = FeatureCache(tmp_path, gigabytes=16_000 / 2**30)
    for weights in ("first", "second", "first", "third"):
        ask(cache, range(50), ("a",), weights=weights)
    assert cache.size() <= 16_000
    computed = []
    for weights in ("first", "third", "second"):
        ask(cache, range(50), ("a",), computed, weights)
    assert len(computed) == 1


def test_what_is_in_use_is_kept_and_what_is_thrown_away_can_still_be_read(tmp_path):
    cache = FeatureCache(tmp_path, gigabytes=16_000 / 2**30)
    first, others = ask(cache, range(50), ("a",), weights="first"), []
    for weights in ("second", "third", "fourth"):
        others.append(ask(cache, range(50), ("a",), weights=weights))
    assert all(found.files[0].exists() for found in (first, *others))  # over the bound: all are in use
    others.clear()
    ask(cache, range(50), ("a",), weights="fifth")
    assert first.files[0].exists()
    assert cache.size() <= 16_000
    again = pickle.loads(pickle.dumps(first))
    cache.clear()
    np.testing.assert_array_equal(first.array(), expected(range(50), "a"))
    np.testing.assert_array_equal(again.array(np.array([7])), expected([7], "a"))
    computed = []
    ask(cache, range(50), ("a",), computed, "first")
    assert len(computed) == 1


def test_memory_is_flat_however_many_rows_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 20_000)
    cache, width = FeatureCache(tmp_path), 500

    def compute(missing, rows, write):
        for part in np.array_split(rows, max(1, len(rows) // 50)):
            write(part, {"a": value("a", part, width)})

    tracemalloc.start()
    cache.get("w", "p", keys_of(range(20_000)), ["a"], compute)  # 40 MB
    backwards = cache.get("w", "p", keys_of(range(20_000))[::-1], ["a"], compute)  # all of it copied
    total = sum(float(part.sum()) for _, part in backwards.chunks(20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 0
    assert peak < 8_000_000
    np.testing.assert_array_equal(backwards.array(np.array([0, 19_999])), value("a", [19_999, 0], width))


def picture(code):
    return np.full((6, 6), code, np.uint8)


def test_a_row_has_one_key_whatever_rows_it_comes_with(tmp_path):
    from PIL import Image

    for code in (3, 7, 9):
        Image.fromarray(picture(code)).save(tmp_path / f"{code}.png")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for code in (3, 7, 9):
            archive.write(tmp_path / f"{code}.png", f"{code}.png")
    files = [f"{code}.png" for code in (3, 7, 9)]
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": ["u", "v", "v"]})
    folder, archive = ImageFiles(tmp_path, files), ImageFiles(tmp_path / "all.zip", files)
    pictures = [picture(code) for code in (3, 7, 9)]
    both = JoinedInputs([archive.take(np.array([0])), folder.take(np.array([1, 2]))])
    for inputs in (
        folder, archive, both, ImageArray(np.stack(pictures)), ImageSequence(pictures),
        TextInputs(["x", "y", "z"]), table_inputs(frame)[0],
    ):  # fmt: skip
        keys = row_keys(inputs)
        assert keys.dtype == "S16"
        assert len(set(keys.tolist())) == 3
        assert row_keys(inputs.take(np.array([2, 0, 2]))).tolist() == keys[[2, 0, 2]].tolist()


def test_rows_that_are_prepared_differently_have_different_keys(tmp_path):
    from sterna.preparations.pair import PairInputs

    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:  # two words with one CRC-32
        archive.writestr("a.png", b"plumless")
        archive.writestr("b.png", b"buckeroo")
    files = ImageFiles(tmp_path / "z.zip", ["a.png", "b.png"])
    assert len(set(row_keys(files).tolist())) == 2
    rows = 40
    frame = pd.DataFrame({"x": [1.0] * rows, "code": [f"n{i}" for i in range(rows)]})
    table = table_inputs(frame)[0]
    assert len(set(table.keys())) == 1  # the column of codes is left aside
    assert len(set(row_keys(table).tolist())) == rows
    assert set(row_keys(table)) & set(row_keys(table_inputs(frame.rename(columns={"x": "y"}))[0])) == set()
    texts = [TextInputs(list(words)) for words in ("abc", "xyz", "pqr")]
    pairs = [PairInputs(*halves) for halves in itertools.permutations(texts, 2)]
    assert len({key for pair in pairs for key in row_keys(pair).tolist()}) == 18


# -- through a body ------------------------------------------------------------------------------------


def counted(monkeypatch):
    """Rows that went through a body, by what was asked of it."""
    from sterna.networks.module_body import ModuleBody

    rows, features = [], ModuleBody.features

    def counting(self, inputs, names):
        rows.append(len(inputs["input_ids"] if isinstance(inputs, dict) else inputs))
        return features(self, inputs, names)

    monkeypatch.setattr(ModuleBody, "features", counting)
    return rows


def test_overlapping_rows_go_through_the_body_once(source, digits, trainer, monkeypatch):
    inputs, names = digits(200).inputs, ["block1", "last"]
    direct = trainer().features(source.body, source.preparation, inputs, names).array()
    coach = trainer()
    coach.cache.clear()
    rows = counted(monkeypatch)
    random, seen = np.random.default_rng(0), set()
    for size in (50, 80, 120, 120):
        some = random.choice(200, size)
        found = coach.features(source.body, source.preparation, inputs.take(some), names).array()
        np.testing.assert_allclose(found, direct[some], atol=1e-5)
        seen |= set(some.tolist())
        assert sum(rows) == len(seen)
    found = coach.features(source.body, source.preparation, inputs, names).array()
    assert sum(rows) == 200
    np.testing.assert_allclose(found, direct, atol=1e-5)


def test_texts_of_any_length_are_the_same_beside_other_texts(trainer, monkeypatch):
    from sterna.networks.small import small_body

    random = np.random.default_rng(0)
    words = ["a", "tern", "flies", "far", "over", "the", "sea", "while", "we", "count", "days"]
    inputs = TextInputs([" ".join(random.choice(words, random.integers(1, 40))) for _ in range(40)])
    body, preparation = small_body(inputs, seed=0)
    direct = trainer().features(body, preparation, inputs, ["last"]).array()
    coach = trainer()
    coach.cache.clear()
    rows = counted(monkeypatch)
    for some in (np.arange(9), np.arange(30)[::-1], np.arange(40)):
        found = coach.features(body, preparation, inputs.take(some), ["last"]).array()
        np.testing.assert_allclose(found, direct[some], atol=1e-5)
    assert sum(rows) == 40


def test_another_precision_is_computed_apart(source, digits, trainer, monkeypatch):
    inputs, rows = digits(30).inputs, counted(monkeypatch)
    for precision in ("float32", "bfloat16", "float32"):
        trainer(precision=precision).features(source.body, source.preparation, inputs, ["last"])
    assert sum(rows) == 60


def test_several_seeds_send_each_row_through_the_source_once(source, digits, monkeypatch, tmp_path):
    from sterna import transfer

    monkeypatch.setenv("STERNA_CACHE", str(tmp_path))
    rows = counted(monkeypatch)
    transfer(
        source,
        digits(90),
        seeds=3,
        control="none",
        method="feature-extraction",
        settings={"blocks": "last", "penalty": 0.1},
    )
    assert sum(rows) == 90


def test_changed_images_never_come_from_the_cache(source, digits, trainer, problem_of):
    """A stream that changes rows at random prepares every row itself, in every epoch."""
    problem, _ = problem_of(source, digits(30))
    coach = trainer()
    coach.features(source.body, source.preparation, problem.inputs, ["last"])
    stream = coach.stream(source.preparation, problem.inputs, None, augment=True)
    first, second = (next(iter(stream.epoch(epoch))) for epoch in (0, 1))
    assert first.inputs.shape[1:] == (1, 8, 8)
    assert not np.array_equal(first.inputs.sum((1, 2, 3)).sort().values, second.inputs.sum((1, 2, 3)).sort().values)


def test_a_domain_of_files_that_changed_is_read_anew(tmp_path, source, trainer):
    from PIL import Image

    random = np.random.default_rng(0)

    def features():
        domain = Domain("d", ImageFiles(tmp_path, ["a.png"]), None)
        return trainer().features(source.body, source.preparation, domain.inputs, ["last"]).array()

    found = []
    for _ in range(2):
        Image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / "a.png")
        found.append(features())
    assert not np.allclose(*found)


def test_a_flipped_byte_is_seen_and_the_features_are_computed_again(tmp_path, monkeypatch):
    cache, computed = FeatureCache(tmp_path), []
    path = ask(cache, range(40), computed=computed).files[0]
    content = path.read_bytes()
    for place in (0, 5, 30, 2000, 4096, 4096 + 300, len(content) - 300, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        monkeypatch.setattr(module, "_WHOLE", set())  # as in another process
        np.testing.assert_array_equal(ask(cache, range(10)).array(), expected(range(10)))  # nothing is borrowed
        np.testing.assert_array_equal(ask(cache, range(40), computed=computed).array(), expected(range(40)))
        assert computed[-1][0] == ("a",) and path.read_bytes() == content
        for other in set(cache.folder.iterdir()) - set(ask(cache, range(40)).files):
            other.unlink()
