from __future__ import annotations

import io
import multiprocessing
import pickle
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sterna.domains.images import ImageArray, ImageFiles, ImageSequence
from sterna.domains.inputs import JoinedInputs
from sterna.domains.pixels import as_image, to_image
from sterna.errors import RequestError, RunError


def noise(h: int, w: int, c: int | None = 3, seed: int = 0) -> np.ndarray:
    shape = (h, w) if c is None else (h, w, c)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def encoded(image: Image.Image, kind: str = "PNG", **more) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("channels", [None, 3])
def test_every_format_gives_its_pixels(tmp_path, kind, channels):
    pixels = noise(9, 7, channels)
    if kind == "JPEG":
        pixels[:] = 90  # a flat picture survives the loss
    more = {"lossless": True} if kind == "WEBP" else {}
    (tmp_path / "x").write_bytes(encoded(Image.fromarray(pixels), kind, **more))
    image = ImageFiles(tmp_path, ["x"])[0]
    assert image.mode in ("L", "RGB")
    expected = pixels if channels or image.mode == "L" else np.repeat(pixels[..., None], 3, 2)
    np.testing.assert_allclose(np.asarray(image).astype(int), expected, atol=1 if kind == "JPEG" else 0)


def test_of_several_pages_the_first_is_read_and_it_is_said(tmp_path):
    pages = [Image.fromarray(noise(8, 9, None, seed)) for seed in range(3)]
    more = {"save_all": True, "append_images": pages[1:]}
    files = {"x.tif": encoded(pages[0], "TIFF", **more), "y.tif": encoded(pages[0], "TIFF")}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    inputs = ImageFiles(tmp_path, list(files))
    assert [inputs.problem(row) for row in (0, 1)] == [None, None]
    assert inputs.settled(None, None)[1] == ["1 of 2 images have several pages or frames, of which the first is read"]
    assert inputs.take(np.array([1])).settled(None, None)[1] == []
    np.testing.assert_array_equal(np.asarray(inputs[0]), np.asarray(pages[0]))


def test_alpha_lies_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = [255, 0, 128]
    result = np.asarray(to_image(Image.fromarray(rgba))).astype(float)
    alpha = rgba[..., 3:] / 255
    np.testing.assert_allclose(result, rgba[..., :3] * alpha + 255 * (1 - alpha), atol=1)
    grey = to_image(Image.merge("LA", (Image.new("L", (2, 2), 0), Image.new("L", (2, 2), 0))))
    assert grey.mode == "L" and np.asarray(grey).min() == 255


def test_palettes_become_colours_with_and_without_transparency(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    assert np.asarray(to_image(palette)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    (tmp_path / "p.png").write_bytes(encoded(palette, transparency=0))
    assert np.asarray(ImageFiles(tmp_path, ["p.png"])[0]).tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_sixteen_bits_keep_their_scale(tmp_path):
    deep = np.array([[0, 257, 25700, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        (tmp_path / "d").write_bytes(encoded(Image.fromarray(deep), kind))
        image = ImageFiles(tmp_path, ["d"])[0]
        assert image.mode == "L" and np.asarray(image).tolist() == [[0, 1, 100, 255]]
    assert np.asarray(to_image(Image.fromarray(np.array([[0.0, 1.0]], np.float32)))).tolist() == [[0, 255]]
    with pytest.raises(RequestError, match="values from -5 to 2"):
        to_image(Image.fromarray(np.array([[-5.0, 2.0]], np.float32)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_turns_the_picture_upright(tmp_path, orientation):
    upright = noise(4, 6)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1), 7: upright[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "r.png").write_bytes(encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif))
    np.testing.assert_array_equal(np.asarray(ImageFiles(tmp_path, ["r.png"])[0]), upright)


def test_a_broken_file_is_one_sentence(tmp_path):
    (tmp_path / "cut.jpg").write_bytes(encoded(Image.fromarray(noise(64, 64)), "JPEG")[:900])
    (tmp_path / "no.png").write_bytes(b"not an image")
    files = ImageFiles(tmp_path, ["cut.jpg", "no.png", "gone.png"])
    for row, message in enumerate(
        ["cut.jpg in .* cannot be read.*truncated", "no.png in .*no image format", "gone.png"]
    ):
        with pytest.raises(RunError, match=message) as caught:
            files[row]
        assert "0x" not in str(caught.value)
    with pytest.raises(RunError, match="gone.png in"):
        ImageFiles(tmp_path, ["gone.png"]).keys()


def test_keys_tell_content_and_not_names(tmp_path):
    a, b = encoded(Image.fromarray(noise(5, 5))), encoded(Image.fromarray(noise(5, 5, seed=1)))
    for name, data in {"1.png": a, "2.png": b, "3.png": a}.items():
        (tmp_path / name).write_bytes(data)
    zipped(tmp_path / "z.zip", {"1.png": a, "2.png": b, "3.png": a})
    for inputs in (
        ImageFiles(tmp_path, ["1.png", "2.png", "3.png"]),
        ImageFiles(tmp_path / "z.zip", ["1.png", "2.png", "3.png"]),
    ):
        keys = inputs.keys()
        assert keys[0] == keys[2] != keys[1]
        assert inputs.take(np.array([1, 0])).keys() == [keys[1], keys[0]]
        assert inputs.take(np.array([1, 0])).names() == ["2.png", "1.png"]
        assert inputs.fingerprint() == pickle.loads(pickle.dumps(inputs)).fingerprint()
        assert inputs.fingerprint() != inputs.take(np.array([1, 0])).fingerprint()


def _pixels(inputs: ImageFiles, row: int) -> list:
    return np.asarray(inputs[row]).tolist()


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_zip_is_read_by_worker_processes(tmp_path, start):
    pictures = [noise(5, 5, seed=i) for i in range(6)]
    inputs = ImageFiles(
        zipped(tmp_path / "z.zip", {f"{i}.png": encoded(Image.fromarray(p)) for i, p in enumerate(pictures)}),
        [f"{i}.png" for i in range(6)],
    )
    assert inputs[0].size == (5, 5)  # opened here first: a forked worker must not share the file position
    # Not multiprocessing's own pool: it waits for ever for the answer of a worker that was killed.
    with ProcessPoolExecutor(2, multiprocessing.get_context(start)) as pool:
        assert list(pool.map(_pixels, [inputs] * 6, range(6))) == [p.tolist() for p in pictures]


def test_arrays_of_grey_colour_and_alpha():
    grey = noise(4, 4, None)
    assert ImageArray(grey[None])[0].mode == "L"
    np.testing.assert_array_equal(np.asarray(ImageArray(grey[None, ..., None])[0]), grey)
    colour = np.stack([noise(4, 4, seed=i) for i in (0, 1, 0)])
    inputs = ImageArray(colour)
    np.testing.assert_array_equal(np.asarray(inputs[1]), colour[1])
    keys = inputs.keys()
    assert keys[0] == keys[2] != keys[1]
    assert not np.shares_memory(inputs.take(np.array([0])).images, colour)
    assert ImageArray(np.zeros((1, 2, 2, 4), np.uint8))[0].getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(RequestError, match="complex128; numbers"):
        ImageArray(np.zeros((1, 2, 2), complex))


def test_a_value_of_any_library_becomes_an_image():
    torch = pytest.importorskip("torch")
    pixels = noise(3, 5)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for value in (pixels, tensor, tensor.float() / 255, Image.fromarray(pixels)):
        np.testing.assert_array_equal(np.asarray(as_image(value)), pixels)
    with pytest.raises(RequestError, match="without normalisation"):
        as_image(tensor.float() / 255 - 0.5)


def test_joined_images_keep_their_order_through_takes():
    first, second = [noise(3, 3, seed=i) for i in range(4)], [noise(5, 5, seed=i) for i in range(3)]
    joined = JoinedInputs([ImageArray(np.stack(first)), ImageSequence([Image.fromarray(p) for p in second])])
    everything = first + second
    rows = np.array([6, 0, 4, 3, 1])
    taken = joined.take(rows).take(np.array([2, 0, 3]))
    for image, row in zip((taken[i] for i in range(3)), (4, 6, 3), strict=True):
        np.testing.assert_array_equal(np.asarray(image), everything[row])
    assert taken.keys() == [joined.keys()[row] for row in (4, 6, 3)]
    assert taken.fingerprint() != joined.fingerprint()
