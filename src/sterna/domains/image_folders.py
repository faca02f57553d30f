"""The reader of images in folders and zips: ``[split/]class/file``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sterna.domains.archives import Location
from sterna.domains.domain import Domain
from sterna.domains.folders import FileKind, inputs_below, load_files
from sterna.domains.images import ENDINGS, ImageFiles
from sterna.domains.inputs import Inputs, JoinedInputs, Kind
from sterna.domains.pixels import reason
from sterna.domains.reader import Options, Reader


def _image_problem(inputs: ImageFiles, row: int, full: bool) -> str | None:
    from PIL import Image

    try:
        with inputs.stream(row) as stream, Image.open(stream) as image:
            if full:
                # JPEG only: all data is read and broken data found, at an eighth of the pixels.
                image.draft(image.mode, (1, 1))
                image.load()
        return None
    except Exception as error:  # Pillow raises nearly anything on broken files
        return reason(error)


IMAGES = FileKind("an image", "images", ENDINGS, "PIL", "image", ImageFiles, _image_problem)


class ImageFolders(Reader):
    """Images in ``[split/]class/file``, without a class in ``unlabelled/``."""

    contents = "images"
    endings = ENDINGS
    kinds = ("images",)

    def finds(self, place: Location) -> str:
        return place.found(self.contents, ENDINGS)

    def load(self, place: Location, options: Options) -> Domain:
        what = "a set of images"
        options.refuse(place.path, what, "label", "text", "drop", "columns", "group", "domain_column")
        return load_files(place.path, IMAGES, place.names, domain=options.domain, strict=options.strict)

    def inputs(self, paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
        parts = inputs_below(paths, IMAGES)
        return parts[0] if len(parts) == 1 else JoinedInputs(parts), []
