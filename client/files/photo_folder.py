"""A folder of photos as a table: one product for each photo, named by its path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.rows import ProductFileError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFolder:
    """Photos below a folder, in the order of their names.

    Attributes:
        path: The folder; links out of it are not followed.
    """

    path: Path

    @property
    def header(self) -> tuple[str, ...]:
        """The two columns: the photo's path without its ending, and the photo."""
        return ("product_id", "images")

    def rows(self) -> Iterator[list[str]]:
        """Yields identifier and path of each photo, relative to the folder.

        Raises:
            ProductFileError: If there is none.
        """
        is_empty = True
        for photo in self.photos():
            is_empty = False
            name = photo.relative_to(self.path)
            yield [name.with_suffix("").as_posix(), name.as_posix()]
        if is_empty:
            raise ProductFileError(
                f"the folder {self.path} has no photos ({', '.join(PHOTO_SUFFIXES)}); tables in it "
                "are given by their names"
            )

    def photos(self) -> Iterator[Path]:
        """Yields the path of each photo."""
        for folder, folders, names in os.walk(self.path):
            folders.sort()
            for name in sorted(names):
                if Path(name).suffix.lower() in PHOTO_SUFFIXES:
                    yield Path(folder) / name
