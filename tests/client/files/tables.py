"""Small tables that the tests of the reader write, and how they read them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import BadRow

JPEG = b"\xff\xd8\xff\xe0photo"


def write(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    """Writes a table and returns its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """Packs texts or bytes, by their names, into a ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def read(
    path: Path, options: ReadOptions | None = None
) -> tuple[list[ProductRow], list[BadRow], list[str]]:
    """Reads a table: its products, its bad rows, and what else was found."""
    files = ProductFiles([path], options or ReadOptions())
    rows = list(files.rows())
    products = [row for row in rows if isinstance(row, ProductRow)]
    return products, [row for row in rows if isinstance(row, BadRow)], files.findings.sentences()
