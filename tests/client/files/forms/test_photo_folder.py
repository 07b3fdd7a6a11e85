"""Folders of photos, one product for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import JPEG, read, write
from twinshelf.client.file_products import product_of
from twinshelf.client.files.rows import ProductFileError


def test_a_folder_of_photos_is_a_table(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "a.jpg", "note.txt"):
        write(tmp_path, JPEG, name)
    rows, bad, _ = read(tmp_path)
    assert [(row.product_id, product_of(row).image) for row in rows] == [("a", JPEG), ("b/2", JPEG)]
    assert not bad


def test_photos_of_other_forms_are_said(tmp_path: Path) -> None:
    for name in (
        "a.jpg",
        "b.jfif",
        "._a.jpg",
        ".h/a.png",
        "c.gif",
        "d/e.BMP",
        "f.tiff",
        "g.avif",
        "note.txt",
    ):
        write(tmp_path, JPEG, name)
    rows, bad, findings = read(tmp_path)
    assert [row.product_id for row in rows] == ["a", "b"] and not bad
    said = "4 photos left out, as only JPEG, PNG and WebP are read; the first: c.gif"
    assert said in findings


def test_tables_beside_photos_are_said_not_to_be_read(tmp_path: Path) -> None:
    write(tmp_path, JPEG, "a.jpg")
    write(tmp_path, "id,title\n1,Mug\n", "x/goods.csv")
    rows, _, findings = read(tmp_path)
    assert [row.product_id for row in rows] == ["a"]
    assert "1 table beside the photos not read: x/goods.csv; give it by its name" in findings


def test_a_folder_of_other_photos_alone_names_their_forms(tmp_path: Path) -> None:
    write(tmp_path, b"GIF89a", "a.gif")
    with pytest.raises(ProductFileError, match=r"not read \(.gif\): convert them"):
        read(tmp_path)
