"""DICOM images for Pillow: grey values in the units of the instrument, as its window shows them, or colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageFile

from sterna.domains.levels import eight_bits
from sterna.errors import RequestError

Array = np.ndarray[Any, Any]

FORMAT = "DICOM"


class DicomFile(ImageFile.ImageFile):
    """One image of a DICOM file, which pydicom decodes.

    Mode ``RGB`` in colour; ``L`` where a window or 8 bits say what is black and white; else ``F``, numbers in the units
    that rescale slope and intercept give.
    """

    format = FORMAT
    format_description = "DICOM"

    def _open(self) -> None:
        import pydicom

        self._decoded = False
        header = pydicom.dcmread(self.fp, stop_before_pixels=True)
        frames = int(header.get("NumberOfFrames", 1) or 1)
        if frames > 1:
            raise RequestError(f"it holds {frames} frames; save each as a file of its own")
        if "Rows" not in header or "Columns" not in header:
            raise RequestError("it is DICOM without an image")
        colours = (
            int(header.get("SamplesPerPixel", 1)) > 1 or header.get("PhotometricInterpretation") == "PALETTE COLOR"
        )
        self._mode = "RGB" if colours else "L" if _is_shown(header) else "F"
        self._size = int(header.Columns), int(header.Rows)

    def load(self) -> Any:
        import pydicom

        if not self._decoded:
            assert self.fp is not None
            self._decoded = True
            self.fp.seek(0)
            pixels = pixels_of(pydicom.dcmread(self.fp))
            self.load_prepare()
            self.frombytes(pixels.tobytes())
        return super().load()


def is_dicom(prefix: bytes) -> bool:
    """Whether a file begins as DICOM does; Pillow hands on only a few bytes, which are 0 as a rule."""
    return not prefix.strip(b"\0") or prefix[128:132] == b"DICM"


def register() -> None:
    """Let Pillow open DICOM."""
    Image.register_open(FORMAT, _checked, is_dicom)


def _checked(stream: Any, filename: str | bytes = "") -> DicomFile:
    stream.seek(128)
    if stream.read(4) != b"DICM":
        raise SyntaxError("not DICOM")
    stream.seek(0)
    return DicomFile(stream, filename)


def pixels_of(data: Any) -> Array:
    """The image of a pydicom Dataset: ``(h, w)`` float32 or uint8, ``(h, w, 3)`` uint8 in colour."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    stored = data.pixel_array  # pydicom brings YBR to RGB
    if data.PhotometricInterpretation == "PALETTE COLOR":
        stored = apply_color_lut(stored, data)
    if stored.ndim == 3:
        top = 8 if stored.dtype == np.uint8 else 16
        return np.asarray(stored if top == 8 else eight_bits(stored, (0.0, 65535.0)))
    values = np.asarray(apply_modality_lut(stored, data), dtype=np.float64)
    ends = np.asarray(apply_modality_lut(_ends(data, stored.dtype), data), dtype=np.float64)
    if "PixelPaddingValue" in data and (outside := stored == data.PixelPaddingValue).any() and not outside.all():
        values[outside] = values[~outside].min()
    inverted = data.PhotometricInterpretation == "MONOCHROME1"
    if not _is_shown(data):
        return (ends.sum() - values if inverted else values).astype(np.float32)
    shown = _shown(values, data, ends)
    return 255 - shown if inverted else shown


def _ends(data: Any, kind: Any) -> Array:
    """The least and the greatest value that can be stored."""
    bits, signed = int(data.BitsStored), int(data.get("PixelRepresentation", 0)) == 1
    return np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1]).astype(kind)


def _is_shown(data: Any) -> bool:
    """Whether the file says what is black and white: by a window, a table of values, or as plain 8 bits."""
    plain = float(data.get("RescaleSlope", 1) or 1) == 1 and float(data.get("RescaleIntercept", 0) or 0) == 0
    eight = int(data.get("BitsStored", 16)) == 8 and int(data.get("PixelRepresentation", 0)) == 0 and plain
    return eight or _window(data) is not None or bool(data.get("VOILUTSequence"))


def _window(data: Any) -> tuple[float, float] | None:
    """Centre and width of the first window."""
    both = [data.get(name) for name in ("WindowCenter", "WindowWidth")]
    if any(value is None or value == "" for value in both):
        return None
    centre, width = (float(v if np.ndim(v) == 0 else v[0]) for v in both)
    return (centre, width) if width > 0 else None


def _shown(values: Array, data: Any, ends: Array) -> Array:
    """Values as the file says that they are shown, uint8 (DICOM PS3.3 C.11.2)."""
    window = _window(data)
    if window is None and data.get("VOILUTSequence"):
        from pydicom.pixels import apply_voi

        bits = int(data.VOILUTSequence[0].LUTDescriptor[2])
        return eight_bits(np.asarray(apply_voi(np.rint(values).astype(np.int64), data)), (0.0, float(2**bits - 1)))
    if window is None:
        return eight_bits(values, (float(ends.min()), float(ends.max())))
    centre, width = window
    function = str(data.get("VOILUTFunction", "LINEAR") or "LINEAR").upper()
    if function == "SIGMOID":
        return eight_bits(1 / (1 + np.exp(-4 * (values - centre) / width)), (0.0, 1.0))
    if function == "LINEAR_EXACT":
        return eight_bits(values, (centre - width / 2, centre + width / 2))
    half = max(width - 1, 1e-6) / 2
    return eight_bits(values, (centre - 0.5 - half, centre - 0.5 + half))
