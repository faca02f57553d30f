"""The reader of images in folders and zips: ``[split/]class/file``, or as a manifest names them."""

from __future__ import annotations

from sterna.domains.file_reader import FileReader
from sterna.domains.folders import FileKind
from sterna.domains.images import ENDINGS, ImageFiles, settled_levels
from sterna.domains.pixels import FORMATS

IMAGES = FileKind(
    "an image", "images", ENDINGS, "PIL", "image", ImageFiles, ImageFiles.problem, settled_levels, FORMATS
)


class ImageFolders(FileReader):
    """Images; texts beside them (a readme) are none of the data."""

    of = IMAGES
    contents = IMAGES.many
    endings = ENDINGS
    kinds = ("images",)
    instead_of = ("tables", "texts")
