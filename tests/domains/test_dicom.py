"""DICOM, written by pydicom here, and HEIC: images as hospitals and telephones have them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sterna.domains import load_domain
from sterna.domains.images import ImageFiles
from sterna.domains.unlabelled import load_inputs
from sterna.errors import RequestError

RAMP = np.linspace(0, 4095, 64).reshape(8, 8).astype(np.uint16)


def dicom(pixels, **about):
    """The bytes of a DICOM file."""
    pydicom = pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, data.file_meta.MediaStorageSOPInstanceUID
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    data.Rows, data.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    data.SamplesPerPixel = 3 if colour else 1
    if colour:
        data.PlanarConfiguration = 0
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    data.BitsAllocated = 8 * pixels.dtype.itemsize
    data.BitsStored = about.pop("BitsStored", 8 if pixels.dtype == np.uint8 else 12)
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in about.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def read(tmp_path, *files, **options):
    """The grey values or colours of each file, read as one set."""
    for i, data in enumerate(files):
        (tmp_path / "d" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / "a" / f"{i}.dcm").write_bytes(data)
    domain = load_domain(tmp_path / "d", **options)
    return domain, [np.asarray(domain.inputs[i]) for i in range(len(domain))]


def test_numbers_of_twelve_bits_keep_one_factor(tmp_path):
    domain, (bright, dark) = read(tmp_path, dicom(RAMP), dicom(RAMP // 16))
    np.testing.assert_allclose(bright, RAMP * (255 / 4095), atol=0.51)
    np.testing.assert_allclose(dark, RAMP // 16 * (255 / 4095), atol=0.51)
    assert domain.reading["levels"] == [0, 4095]
    (tmp_path / "new.dcm").write_bytes(dicom(RAMP // 16))
    np.testing.assert_array_equal(
        np.asarray(load_inputs([tmp_path / "new.dcm"], "images", domain.reading).inputs[0]), dark
    )


def test_slope_and_intercept_give_the_units_of_the_instrument(tmp_path):
    domain, (shown,) = read(tmp_path, dicom(RAMP, RescaleSlope="1", RescaleIntercept="-1024"))
    assert domain.reading["levels"] == [-1024, 4095]
    np.testing.assert_allclose(shown, (RAMP - 1024.0 + 1024) * 255 / (4095 + 1024), atol=0.51)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_says_what_is_black_and_white(tmp_path, function):
    """The formulas of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3, as pydicom applies them."""
    pytest.importorskip("pydicom", reason="the extra dicom is not installed")
    from pydicom import dcmread
    from pydicom.pixels import apply_voi_lut

    about = {"WindowCenter": ["2000", "5"], "WindowWidth": ["1000", "7"], "VOILUTFunction": function}
    data = dicom(RAMP, **about)
    domain, (shown,) = read(tmp_path, data)
    theirs = apply_voi_lut(RAMP, dcmread(io.BytesIO(data)))  # from 0 to 4,095
    np.testing.assert_allclose(shown, theirs * (255 / 4095), atol=0.51)
    assert "levels" not in domain.reading, "the file says it"


def test_monochrome1_is_inverted(tmp_path):
    about = {"PhotometricInterpretation": "MONOCHROME1"}
    windowed = {"WindowCenter": "2048", "WindowWidth": "4096"}
    _, (plain, inverted, shown, eight) = read(
        tmp_path, dicom(RAMP), dicom(4095 - RAMP, **about), dicom(4095 - RAMP, **about, **windowed),
        dicom((255 - RAMP // 16).astype(np.uint8), **about),
    )  # fmt: skip
    np.testing.assert_array_equal(inverted, plain)
    np.testing.assert_allclose(shown.astype(int), plain, atol=1)
    np.testing.assert_array_equal(eight, RAMP // 16)


def test_padding_does_not_widen_the_levels(tmp_path):
    pixels = RAMP.astype(np.int16) - 1000
    pixels[0, 0] = -2048
    domain, (shown,) = read(tmp_path, dicom(pixels, BitsStored=16, PixelPaddingValue=-2048))
    assert domain.reading["levels"] == [-1024, 4095] and shown[0, 0] == shown.min()


def test_colours_are_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    _, (shown,) = read(tmp_path, dicom(pixels))
    np.testing.assert_array_equal(shown, pixels)


def test_what_is_no_single_image_is_listed_with_the_reason(tmp_path):
    several = dicom(np.stack([RAMP] * 3), NumberOfFrames=3)
    with pytest.raises(RequestError, match="it holds 3 frames; save each as a file of its own"):
        read(tmp_path, several)
    with pytest.warns(UserWarning, match="1 of 21 images"):
        domain, _ = read(tmp_path, *([dicom(RAMP)] * 20), several)
    assert len(domain) == 20
    with pytest.raises(RequestError, match=r"a/0.dcm \("):
        read(tmp_path / "other", dicom(RAMP)[:400])


@pytest.mark.parametrize(
    ("ending", "package", "extra"), [(".dcm", "pydicom", "dicom"), (".HEIC", "pillow_heif", "heic")]
)
def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, ending, package, extra):
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f"0{ending}").write_bytes(b"any")
    for ask in (lambda: load_domain(tmp_path), lambda: load_inputs([tmp_path], "images", {})):
        with pytest.raises(RequestError, match=rf"pip install 'sterna\[{extra}\]'"):
            ask()


def test_heic_is_read(tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    pixels = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    (tmp_path / "a").mkdir()
    heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "a" / "IMG_0001.HEIC", quality=-1)
    domain = load_domain(tmp_path)
    np.testing.assert_allclose(np.asarray(domain.inputs[0]).astype(int), pixels, atol=3)
    assert domain.inputs.names() == ["a/IMG_0001.HEIC"]


def test_a_single_dicom_file_opens_as_any_image(tmp_path):
    (tmp_path / "x.dcm").write_bytes(dicom(RAMP))
    image = ImageFiles(tmp_path, ["x.dcm"], (0.0, 4095.0))[0]
    assert image.mode == "L" and np.asarray(image)[0, 0] == 0
    assert ImageFiles(tmp_path, ["x.dcm"]).outlines() == ["[8, 8]"]
