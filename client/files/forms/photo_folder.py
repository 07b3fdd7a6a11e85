"""A folder of photos as a table: one product for each photo, named by its path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinshelf.client.files.forms.zip_archive import TABLE_SUFFIXES, WORKBOOK_SUFFIXES
from twinshelf.client.files.rows import ProductFileError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp")
# Photos that the preprocessing does not open: said, so that nobody misses them later.
_UNREAD_SUFFIXES = frozenset(
    ".gif .bmp .tif .tiff .avif .heic .heif .jp2 .jxl .svg .psd .raw .cr2 .nef .dng".split()
)

_TABLE_SUFFIXES = frozenset((*TABLE_SUFFIXES, *WORKBOOK_SUFFIXES))


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
            others = ", ".join(sorted({Path(name).suffix.lower() for name in self.unread}))
            raise ProductFileError(
                f"the folder {self.path} has no photos ({', '.join(PHOTO_SUFFIXES)}); "
                + (f"those in it are not read ({others}): convert them" if others else "")
                + "tables in it are given by their names" * (not others)
            )

    def photos(self) -> Iterator[Path]:
        """Yields the path of each photo."""
        return (path for path in self._files() if path.suffix.lower() in PHOTO_SUFFIXES)

    @property
    def unread(self) -> tuple[str, ...]:
        """Paths, relative to the folder, of photos of other forms."""
        return self._with_suffix(_UNREAD_SUFFIXES)

    @property
    def tables(self) -> tuple[str, ...]:
        """Paths, relative to the folder, of tables, which may tell more of the photos."""
        return self._with_suffix(_TABLE_SUFFIXES)

    def _with_suffix(self, suffixes: frozenset[str]) -> tuple[str, ...]:
        paths = (path for path in self._files() if path.suffix.lower() in suffixes)
        return tuple(path.relative_to(self.path).as_posix() for path in paths)

    def _files(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.path):
            # Hidden is what programs keep for themselves: ".venv", and "._a.jpg" of a Mac.
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))
