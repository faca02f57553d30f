"""Files that cost more than they look: YAML that grows, streams that unpack without end, threads that share memory."""

import gzip
import io
import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from sterna.errors import RequestError
from sterna.untrusted import DECODED, MOST_VALUES, Shared, Unpacked, check_unpacked, read_yaml, read_yaml_file


def test_plain_values_and_a_few_aliases_are_read():
    assert read_yaml("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2.5}") == {
        "a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2.5}
    }  # fmt: skip
    assert read_yaml("") is None
    assert read_yaml("[0.1, true, ~, 'x', null, -3, 1e-3, .5, 1., .inf, 0]") == [
        0.1, True, None, "x", None, -3, 0.001, 0.5, 1.0, float("inf"), 0
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["no", "Yes", "on", "off", "n", "12:30", "010", "0x1F", "1_000", "2024-01-02", "1e"])
def test_a_word_stays_a_word(word):
    """YAML 1.1 makes false, 750, 8 and dates of class names, codes and paths."""
    assert read_yaml(f"[{word!r}, {word}]") == [word, word]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n".join(["a0: &v0 [x]"] + [f"a{i}: &v{i} [{', '.join([f'*v{i - 1}'] * 10)}]" for i in range(1, 10)]),
         "aliases .* stand for more than 100,000 values"),
        ("a: &x [*x]", "aliases"),
        ("[" * 100_000, "line 1: more than 50 values lie in each other"),
        ("1" * 5000, "a number has 5,000 characters"),
        ("!!int 1" + ":1" * 50_000, "a number has 100,001 characters"),
        ("!!python/object/apply:os.system [ls]", "line 1: could not determine a constructor"),
        ("!!bool x", "not what its tag says"),
        ("!!int ''", "not what its tag says"),
        ("!!timestamp 2020-99-99", "month must be in 1..12"),
        ("a: b\0", "control characters"),
        ("x" * 1_000_001, "1,000,001 characters"),
    ],
)  # fmt: skip
def test_what_grows_or_runs_is_refused_in_words(text, words):
    with pytest.raises(ValueError, match=words):
        read_yaml(text)


def test_as_many_values_as_somebody_writes_are_read():
    rows = MOST_VALUES // 2 - 2
    assert len(read_yaml("\n".join(f"c{i}: d{i}" for i in range(rows)))) == rows


def test_a_file_that_is_no_yaml_is_named_by_its_fault(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"a: \xff")
    with pytest.raises(ValueError, match="byte 3 is not UTF-8"):
        read_yaml_file(path)
    path.write_bytes(b" " * 5_000_000)
    with pytest.raises(ValueError, match="more than 4,000,000 bytes"):
        read_yaml_file(path)
    if (zero := Path("/dev/zero")).exists():  # without an end and without a size
        with pytest.raises(ValueError, match="more than 4,000,000 bytes"):
            read_yaml_file(zero)
    with pytest.raises(ValueError, match="directory"):
        read_yaml_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_yaml_file(tmp_path / "nope")


def test_a_stream_that_unpacks_a_thousandfold_stops_in_time():
    packed = gzip.compress(bytes(300_000_000), 9)
    read = 0
    with (
        gzip.open(io.BytesIO(packed)) as inner,
        pytest.raises(RequestError, match=r"x\.csv\.gz unpacks .* only a bomb"),
    ):
        stream = Unpacked(inner, "x.csv.gz", len(packed))
        while part := stream.read(1 << 20):
            read += len(part)
    assert read <= 101_000_000


def test_small_and_dense_things_are_no_bombs():
    check_unpacked("x", 10, 100_000_000)
    check_unpacked("x", 600_000, 120_000_000)
    with pytest.raises(RequestError):
        check_unpacked("x", 500_000, 120_000_000)


def test_threads_never_hold_more_than_there_is():
    shared, held, most, lock = Shared(10), [0], [0], threading.Lock()

    def work(size):
        with shared.taken(size):
            with lock:
                held[0] += min(size, 10)
                most[0] = max(most[0], held[0])
            time.sleep(0.001)
            with lock:
                held[0] -= min(size, 10)

    threads = [threading.Thread(target=work, args=(size,)) for size in (4, 7, 3, 50, 2, 10) * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert held == [0] and most[0] <= 10 and not any(thread.is_alive() for thread in threads)


def _take_all():
    with DECODED.taken(DECODED.most):
        pass


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot be forked here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_threads_that_it_has_not():
    with DECODED.taken(DECODED.most):
        child = multiprocessing.get_context("fork").Process(target=_take_all)
        child.start()
        child.join(20)
        try:
            assert child.exitcode == 0
        finally:
            child.kill()
