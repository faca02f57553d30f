"""The reader of images in folders and zips: ``[split/]class/file``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sterna.domains.archives import Location
from sterna.domains.domain import Domain
from sterna.domains.folders import FileKind, inputs_below, load_files
from sterna.domains.images import ENDINGS, ImageFiles, settled_levels
from sterna.domains.inputs import Inputs, Kind
from sterna.domains.reader import Options, Reader

IMAGES = FileKind("an image", "images", ENDINGS, "PIL", "image", ImageFiles, ImageFiles.problem, settled_levels)


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
        return load_files(place.path, IMAGES, place.names, options)

    def inputs(self, paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
        return inputs_below(paths, IMAGES, reading.get("levels"))
