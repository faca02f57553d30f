"""Features on disk: computed once, whole or not there."""

import numpy as np
import pytest

from sterna.training.cache import FeatureCache


def filled(cache, rows=50, width=3, blocks=("a", "b"), calls=None, key="w"):
    table = {
        name: np.arange(rows * width, dtype=np.float32).reshape(rows, width) + 100 * i for i, name in enumerate(blocks)
    }

    def compute(missing, write):
        if calls is not None:
            calls.append(tuple(missing))
        order = np.random.default_rng(0).permutation(rows)  # any order, in any batches
        for part in np.array_split(order, 7):
            write(part, {name: table[name][part] for name in missing})

    return cache.get(key, "p", "d", blocks, rows, compute), table


def test_rows_come_back_in_place_whatever_the_order_of_writing(tmp_path):
    found, table = filled(FeatureCache(tmp_path))
    np.testing.assert_array_equal(found.array(), np.concatenate([table["a"], table["b"]], axis=1))
    rows = np.array([40, 3, 3, 17])
    np.testing.assert_array_equal(found.array(rows)[:, :3], table["a"][rows])
    parts = list(found.chunks(20 * found.width))
    assert [start for start, _ in parts] == [0, 20, 40]
    np.testing.assert_array_equal(np.concatenate([p for _, p in parts]), found.array())


def test_only_what_is_missing_is_computed(tmp_path):
    calls = []
    filled(FeatureCache(tmp_path), blocks=("a",), calls=calls)
    filled(FeatureCache(tmp_path), blocks=("a", "b"), calls=calls)
    filled(FeatureCache(tmp_path), blocks=("a", "b"), calls=calls)
    assert calls == [("a",), ("b",)]


def test_a_damaged_or_half_written_file_is_computed_again(tmp_path):
    cache, calls = FeatureCache(tmp_path), []
    found, table = filled(cache, calls=calls)
    found.files[0].write_bytes(found.files[0].read_bytes()[:-4])
    found.files[1].write_bytes(b"rubbish")
    found, _ = filled(cache, calls=calls)
    assert calls[1] == ("a", "b")
    np.testing.assert_array_equal(found.array()[:, :3], table["a"])


def test_a_failed_computation_leaves_nothing(tmp_path):
    cache = FeatureCache(tmp_path)

    def compute(missing, write):
        write(np.arange(2), {"a": np.zeros((2, 3), np.float32)})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("w", "p", "d", ["a"], 50, compute)
    assert list(cache.folder.iterdir()) == []


def test_the_oldest_go_when_the_folder_grows_over_its_bound(tmp_path):
    cache = FeatureCache(tmp_path, gigabytes=12_000 / 2**30)
    for key in ("first", "second", "third"):
        filled(cache, blocks=("a",), key=key)
    assert cache.size() <= 12_000
    calls = []
    filled(cache, blocks=("a",), key="third", calls=calls)
    assert calls == []
    filled(cache, blocks=("a",), key="first", calls=calls)
    assert calls == [("a",)]
