"""Images deeper than 8 bits: one pair of levels for a whole set, kept for all that is read later."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sterna.domains import Domain, load_domain
from sterna.domains.decoding import numbers_in, opened
from sterna.domains.levels import Extent, checked, eight_bits, levels_of
from sterna.domains.unlabelled import load_inputs
from sterna.errors import RequestError


def extent(*values, kind=float):
    return Extent.of(np.array(values, dtype=kind))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 1), (0, 1)), ((0.2, 0.9), (0, 1)), ((0, 100), (0, 255)), ((0, 255), (0, 255)), ((3, 256), (0, 511)),
        ((900, 3071), (0, 4095)), ((0, 4096), (0, 8191)), ((0, 65535), (0, 65535)), ((-1000, 3071), (-1024, 4095)),
        ((-0.5, 1.5), (-0.5, 1.5)), ((0.0, 2.5), (0, 2.5)), ((-3.2, -0.1), (-3.2, 0)), ((-500.5, 999.5), (-512, 1023)),
    ],
)  # fmt: skip
def test_levels_are_the_whole_bits_that_reach_all_values(values, expected):
    assert levels_of([extent(*values)]) == expected
    assert levels_of([extent(value) for value in values]) == expected, "one pair for all images"


@given(st.lists(st.integers(-70_000, 70_000), min_size=1, max_size=20))
def test_no_value_of_the_set_is_cut_off(values):
    low, high = levels_of([extent(value) for value in values])
    assert low <= min(values) and max(values) <= high


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=30))
def test_the_levels_of_sixteen_bits_divide_by_257(values):
    found = eight_bits(np.array(values, np.uint16), (0.0, 65535.0))
    assert found.tolist() == np.rint(np.array(values) / 257).astype(int).tolist()


def test_levels_that_a_user_names_are_two_numbers():
    assert checked([0, 4095]) == (0.0, 4095.0)
    for wrong in ((1,), (5, 5), "ab", (0, float("nan")), 7):
        with pytest.raises(RequestError, match="two numbers were expected"):
            checked(wrong)


# -- files --------------------------------------------------------------------------------------------

RAMP = np.linspace(0, 4095, 64).reshape(8, 8)


def folder(path, pictures, ending):
    for name, pixels in pictures.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path / f"{name}.{ending}")
    return path


def grey(domain, row):
    return np.asarray(domain.inputs[row])


@pytest.mark.parametrize(
    ("kind", "ending"), [(np.uint16, "png"), (np.uint16, "tif"), (np.int32, "tif"), (np.float32, "tif")]
)
def test_twelve_bits_are_told_apart_and_dark_images_stay_dark(tmp_path, kind, ending):
    pictures = {"a/0": RAMP.astype(kind), "b/0": (RAMP / 16).astype(kind)}
    domain = load_domain(folder(tmp_path / "x", pictures, ending))
    assert len(np.unique(grey(domain, 0))) == 64
    np.testing.assert_allclose(grey(domain, 0), RAMP * 255 / 4095, atol=1)
    np.testing.assert_allclose(grey(domain, 1), RAMP / 16 * 255 / 4095, atol=1)
    assert domain.reading["levels"] == [0, 4095]
    assert any("0 is read as black and 4,095 as white" in note for note in domain.notes), domain.notes


def test_values_below_zero_keep_their_order(tmp_path):
    domain = load_domain(folder(tmp_path / "x", {"a/0": (RAMP - 1000).astype(np.int32)}, "tif"))
    assert (np.diff(grey(domain, 0).ravel().astype(int)) > 0).all()
    assert domain.reading["levels"] == [-1024, 4095]


def png16(pixels):
    """A PNG of 16 bits a channel, written by hand: no library at hand writes one."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    h, w, c = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", w, h, 16, {2: 4, 3: 2, 4: 6}[c], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff16(pixels, order="<", packed=False, planes=False, extra=None, photometric=2, turned=1):
    """The same as a TIFF, in either order of bytes."""
    (h, w, c), numbers = pixels.shape, pixels.astype(f"{order}u2")
    parts = [numbers[..., i].tobytes() for i in range(c)] if planes else [numbers.tobytes()]
    parts = [zlib.compress(part) for part in parts] if packed else parts
    out = bytearray(b"II*\0    " if order == "<" else b"MM\0*    ")

    def put(data):
        out.extend(data + b"\0" * (len(data) % 2))
        return len(out) - len(data) - len(data) % 2

    places, sizes = [put(part) for part in parts], [len(part) for part in parts]
    bits = put(struct.pack(f"{order}{c}H", *[16] * c))
    where = [put(struct.pack(f"{order}{c}I", *each)) if planes else each[0] for each in (places, sizes)]
    tags = [(256, 4, 1, w), (257, 4, 1, h), (258, 3, c, bits), (259, 3, 1, 8 if packed else 1),
            (262, 3, 1, photometric),
            (273, 4, len(parts), where[0]), (274, 3, 1, turned), (277, 3, 1, c), (278, 4, 1, h),
            (279, 4, len(parts), where[1]), (284, 3, 1, 2 if planes else 1)]  # fmt: skip
    tags += [] if extra is None else [(338, 3, 1, extra)]
    words = [struct.pack(f"{order}HHI", *tag[:3]) + (struct.pack(f"{order}HH", tag[3], 0) if tag[1:3] == (3, 1)
             else struct.pack(f"{order}I", tag[3])) for tag in tags]  # fmt: skip
    out[4:8] = struct.pack(f"{order}I", put(struct.pack(f"{order}H", len(tags)) + b"".join(words) + b"\0" * 4))
    return bytes(out)


COLOURS = np.random.default_rng(0).integers(0, 65536, (9, 6, 4)).astype(np.uint16)


def numbers(data):
    with opened(io.BytesIO(data)) as image:
        return numbers_in(image, data)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bits_a_colour_of_a_png_are_read_whole(channels):
    assert (numbers(png16(COLOURS[..., :channels])) == COLOURS[..., :channels]).all()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_a_colour_of_a_tiff_are_read_whole(order, packed):
    assert (numbers(tiff16(COLOURS[..., :3], order, packed)) == COLOURS[..., :3]).all()
    assert (numbers(tiff16(COLOURS, order, packed, extra=2)) == COLOURS).all()
    assert (numbers(tiff16(COLOURS, order, packed, extra=0)) == COLOURS[..., :3]).all()  # a fourth that is no alpha
    turned = numbers(tiff16(COLOURS[..., :3], order, packed, turned=6))
    assert (turned == np.rot90(COLOURS[..., :3], -1)).all()
    times_alpha = np.rint(COLOURS * (COLOURS[..., 3:] / 65535)).astype(np.uint16)
    times_alpha[..., 3] = COLOURS[..., 3]
    found = numbers(tiff16(times_alpha, order, packed, extra=1))
    assert (abs(found - COLOURS.astype(float)) <= 0.5 + 32768 / COLOURS[..., 3:]).all()
    ink = numbers(tiff16(COLOURS, order, packed, photometric=5))
    light = 1 - COLOURS / 65535
    np.testing.assert_allclose(ink / 65535, light[..., :3] * light[..., 3:], atol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_colours_plane_by_plane_are_refused_in_words(tmp_path, packed):
    for i in range(30):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / f"{i}.tif").write_bytes(tiff16(COLOURS[..., :3], packed=packed, planes=i == 3))
    with pytest.warns(UserWarning, match=r"1 of 30 images .*b/3.tif \(its 16-bit colours are stored plane by plane"):
        assert len(load_domain(tmp_path)) == 29


@pytest.mark.parametrize("write", [png16, tiff16])
def test_colours_of_twelve_bits_keep_their_levels(tmp_path, write):
    """Pillow keeps the upper 8 bits of 16: of 12-bit colours 16 levels."""
    pixels = np.stack([RAMP, RAMP[::-1], RAMP / 2], axis=2).astype(np.uint16)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ("0.png" if write is png16 else "0.tif")).write_bytes(write(pixels))
    np.testing.assert_allclose(grey(load_domain(tmp_path), 0), pixels * (255 / 4095), atol=1)


def test_test_rows_have_no_say_and_are_cut_off_aloud(tmp_path):
    pictures = {"train/a/0": RAMP.astype(np.uint16), "test/a/0": (RAMP * 10).astype(np.uint16)}
    domain = load_domain(folder(tmp_path / "x", pictures, "png"))
    assert domain.reading["levels"] == [0, 4095]
    (test,) = domain.splits["test"]
    np.testing.assert_allclose(grey(domain, test), np.minimum(RAMP * 10 * 255 / 4095, 255), atol=1)
    assert any("cut off" in note for note in domain.notes), domain.notes


def test_a_separate_test_set_and_new_images_are_read_with_the_levels_of_the_first(tmp_path):
    train = folder(tmp_path / "train", {"a/0": RAMP.astype(np.uint16), "b/0": RAMP.astype(np.uint16)}, "png")
    dark = folder(tmp_path / "dark", {"a/0": (RAMP / 16).astype(np.uint16)}, "png")
    both = load_domain(train, test=dark)
    np.testing.assert_allclose(grey(both, 2), RAMP / 16 * 255 / 4095, atol=1)
    alone = load_inputs([dark, dark / "a" / "0.png"], "images", load_domain(train).reading)
    np.testing.assert_array_equal(grey(alone, 0), grey(both, 2))
    np.testing.assert_array_equal(grey(alone, 1), grey(both, 2))


def test_images_of_eight_bits_among_deep_ones_stay_as_they_are(tmp_path):
    eight = np.arange(64, dtype=np.uint8).reshape(8, 8)
    pictures = {"a/0": RAMP.astype(np.uint16), "a/1": eight}
    domain = load_domain(folder(tmp_path / "x", pictures, "png"))
    np.testing.assert_array_equal(grey(domain, 1), eight)
    assert any("1 others have 8 bits" in note for note in domain.notes), domain.notes


def test_a_set_that_keeps_few_grey_levels_says_so(tmp_path):
    bright = np.repeat(np.repeat(RAMP, 4, 0), 4, 1).astype(np.uint16)
    bright[0, 0] = 65535  # one hot pixel
    domain = load_domain(folder(tmp_path / "x", {"a/0": bright // 8, "a/1": bright}, "png"))
    assert any("fewer than" in note for note in domain.notes), domain.notes
    chosen = load_domain(tmp_path / "x", levels=(0, 4095))
    assert not any("fewer than" in note for note in chosen.notes) and chosen.reading["levels"] == [0, 4095]


def test_an_image_that_decodes_but_does_not_convert_is_skipped_and_listed(tmp_path):
    pictures = {f"a/{i}": RAMP.astype(np.float32) for i in range(20)}
    folder(tmp_path / "x", pictures | {"a/bad": np.full((8, 8), np.nan, np.float32)}, "tif")
    with pytest.warns(UserWarning, match=r"1 of 21 images .*bad.tif \(it has values that are no finite numbers"):
        domain = load_domain(tmp_path / "x")
    assert len(domain) == 20 and "skipped" in " ".join(domain.notes)
    with pytest.raises(RequestError, match=r"a/bad.tif in .* no finite numbers"):
        load_domain(tmp_path / "x", strict=True)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_one_image_below_zero_among_others_is_skipped_and_listed(tmp_path, kind):
    pictures = {f"{c}/{i}": RAMP.astype(kind) for c in "ab" for i in range(10)}
    one = folder(tmp_path / "x", pictures | {"a/bad": (RAMP - 500).astype(kind)}, "tif")
    with pytest.warns(
        UserWarning, match=r"1 of 21 images .*bad.tif \(it has values from -500 to 3,595, and the others"
    ):
        domain = load_domain(one)
    assert len(domain) == 20 and domain.reading["levels"] == [0, 4095] and "skipped" in " ".join(domain.notes)
    with pytest.raises(RequestError, match=r"a/bad.tif in .* none below zero"):
        load_domain(one, strict=True)
    assert len(load_domain(one, levels=(-500, 4095))) == 21  # who names the range has seen it


@pytest.mark.filterwarnings("error")
def test_a_set_with_values_below_zero_and_rounding_below_zero_stay(tmp_path):
    pictures = {f"a/{i}": (RAMP - 1000 * (i < 3)).astype(np.int32) for i in range(20)}
    domain = load_domain(folder(tmp_path / "x", pictures, "tif"))
    assert len(domain) == 20 and domain.reading["levels"] == [-1024, 4095]
    pictures = {f"a/{i}": (RAMP / 4095 - 0.001 * (i == 3)).astype(np.float32) for i in range(20)}
    assert len(load_domain(folder(tmp_path / "y", pictures, "tif"))) == 20


def test_other_levels_make_other_keys(tmp_path):
    path = folder(tmp_path / "x", {"a/0": RAMP.astype(np.uint16)}, "png")
    one, other = load_domain(path), load_domain(path, levels=(0, 9000))
    assert one.inputs.keys() == other.inputs.keys(), "the content of the files is the same"
    assert one.inputs.row_keys() != other.inputs.row_keys() and one.inputs.fingerprint() != other.inputs.fingerprint()


# -- arrays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64, np.float32, np.float64])
def test_arrays_keep_their_range(kind):
    images = np.stack([RAMP, RAMP / 16]).astype(kind)
    domain = Domain.from_arrays(images, ["a", "b"])
    np.testing.assert_allclose(grey(domain, 1), images[1].astype(float) * 255 / 4095, atol=1)
    listed = Domain.from_arrays(list(images), ["a", "b"])
    np.testing.assert_array_equal(grey(listed, 1), grey(domain, 1))
    assert domain.reading == listed.reading == {"levels": [0, 4095]}
    again = Domain.from_arrays(images[1:], levels=domain.reading["levels"])
    np.testing.assert_array_equal(grey(again, 0), grey(domain, 1))
    assert domain.take([1]).inputs.row_keys() == again.inputs.row_keys()


def test_arrays_of_eight_bits_have_no_levels_and_floats_to_one_are_told_nothing():
    assert Domain.from_arrays(np.zeros((2, 4, 4), np.uint8)).reading == {}
    floats = Domain.from_arrays(np.linspace(0, 1, 128).reshape(2, 8, 8))
    assert floats.notes == () and floats.reading == {"levels": [0, 1]}
    truths = Domain.from_arrays(np.eye(8, dtype=bool)[None])
    assert grey(truths, 0).max() == 255
    with pytest.raises(RequestError, match="no finite numbers"):
        Domain.from_arrays(np.full((1, 4, 4), np.inf))


def test_a_npz_of_twelve_bits(tmp_path):
    images = np.stack([RAMP, RAMP / 16, RAMP * 9]).astype(np.uint16)
    np.savez(tmp_path / "x.npz", train_images=images[:2], train_labels=["a", "b"], test_images=images[2:],
             test_labels=["a"])  # fmt: skip
    domain = load_domain(tmp_path / "x.npz")
    assert domain.reading["levels"] == [0, 4095] and len(np.unique(grey(domain, 0))) == 64
    assert any("cut off" in note for note in domain.notes)
    np.savez(tmp_path / "y.npz", train_images=images[:2], test_images=images[2:].astype(np.uint8))
    with pytest.raises(RequestError, match="uint16 and uint8"):
        load_domain(tmp_path / "y.npz")


def test_a_zip_of_deep_images(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(RAMP.astype(np.uint16)).save(stream, "PNG")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a/0.png", stream.getvalue())
    assert len(np.unique(grey(load_domain(tmp_path / "x.zip"), 0))) == 64


def test_one_photograph_is_one_row():
    photo = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    for inputs in (photo, [photo], photo[None], Image.fromarray(photo), [Image.fromarray(photo)]):
        domain = Domain.from_arrays(inputs)
        assert len(domain) == 1, type(inputs)
        np.testing.assert_array_equal(grey(domain, 0), photo)
    assert len(Domain.from_arrays(photo[..., :1])) == 1
    assert len(Domain.from_arrays(np.zeros((5, 9, 9), np.uint8))) == 5, "grey images"
    torch = pytest.importorskip("torch")
    with pytest.raises(RequestError, match=r"one image in colour or 3 grey ones; give \[tensor\]"):
        Domain.from_arrays(torch.zeros(3, 9, 9))
    assert len(Domain.from_arrays([torch.zeros(3, 9, 9)])) == 1
