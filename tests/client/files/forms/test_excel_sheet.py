"""Sheets of products as people make them: merged cells, hidden sheets, headers that come again."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from openpyxl import drawing
from PIL import Image

from tests.client.files.tables import read, write, zipped
from twinshelf.client.files.forms import zip_archive
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.rows import ProductFileError

Lines = Sequence[Sequence[object]]


def _book(folder: Path, sheets: dict[str, Lines], merged: Sequence[str] = ()) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, lines in sheets.items():
        sheet = book.create_sheet(name)
        for line in lines:
            sheet.append(line)
        for area in merged:
            sheet.merge_cells(area)
        sheet.sheet_state = "hidden" if name.startswith("hidden") else "visible"
    path = folder / "t.xlsx"
    book.save(path)
    return path


def _texts(rows: list[ProductRow]) -> list[tuple[str, str, str, float | None]]:
    return [(row.product_id, row.title, row.brand, row.price) for row in rows]


@pytest.mark.parametrize("merged", [(), ("A2:A3", "B2:B3", "C2:D2", "E2:E3")])
def test_a_header_of_two_rows_is_read_as_one(tmp_path: Path, merged: Sequence[str]) -> None:
    lines: list[list[object]] = [
        ["List of spring"],
        ["Art.-Nr.", "Bezeichnung", "Preis", None, "Hersteller"],
        [None, None, "netto", "brutto", None],
        [7, "Kessel", 10, 12.5, "Falk"],
        [8, "Kelle", 2, 3, "Falk"],
    ]
    rows, bad, _ = read(_book(tmp_path, {"Products": lines}, merged))
    assert not bad and _texts(rows) == [("7", "Kessel", "Falk", 12.5), ("8", "Kelle", "Falk", 3)]


def test_a_heading_below_a_header_without_a_name_is_no_header(tmp_path: Path) -> None:
    lines: Lines = [
        ["", "sku", "title"],
        ["Cups", None, None],
        [None, "1", "Mug"],
        [None, "2", "Pan"],
    ]
    rows, bad, _ = read(_book(tmp_path, {"Products": lines}))
    assert [(row.product_id, row.title) for row in rows] == [("1", "Mug"), ("2", "Pan")] and not bad


def test_a_cell_that_is_merged_over_rows_stands_in_each(tmp_path: Path) -> None:
    lines: list[list[object]] = [
        ["List of spring", None, None, None],
        ["sku", "title", "brand", "price"],
        ["1", "Mug", "Acme", 5],
        ["2", "Pan", None, None],
        ["Cups", None, None, None],
        ["3", "Cup", "Bolt", 7],
        ["4", "Pot", None, 8],
        ["5", "Lid", None, 9],
    ]
    merged = ["A1:D1", "C3:C4", "D3:D4", "A5:D5", "C6:C7"]
    rows, bad, _ = read(_book(tmp_path, {"Products": lines}, merged))
    assert not bad and _texts(rows) == [
        ("1", "Mug", "Acme", 5),
        ("2", "Pan", "Acme", 5),
        ("3", "Cup", "Bolt", 7),
        ("4", "Pot", "Bolt", 8),
        ("5", "Lid", "", 9),
    ]


def test_a_header_of_two_rows_is_one(tmp_path: Path) -> None:
    lines: list[list[object]] = [
        ["sku", "title", "Prices", None],
        [None, None, "price", "cost"],
        ["1", "Mug", 5, 3],
    ]
    rows, _, _ = read(_book(tmp_path, {"Products": lines}, ["A1:A2", "B1:B2", "C1:D1"]))
    assert _texts(rows) == [("1", "Mug", "", 5)]


def test_a_hidden_sheet_is_read_only_where_no_other_is_a_table(tmp_path: Path) -> None:
    hidden: Lines = [["id", "title"], ["7", "Old mug"]]
    shown: Lines = [["Nummer A", "Was es ist"], ["1-a", "Blue steel mug"], ["2-b", "Red iron pan"]]
    path = _book(tmp_path, {"hidden": hidden, "Products": shown})
    assert open_table(path).columns == ("Nummer A", "Was es ist")
    with pytest.raises(ProductFileError, match="needs a column of titles") as refused:
        read(path)
    assert "--no-header" in str(refused.value) and "--delimiter" not in str(refused.value)
    rows, _, _ = read(_book(tmp_path, {"hidden": hidden, "Notes": [["Read me"]]}))
    assert [row.title for row in rows] == ["Old mug"]


def test_a_header_that_comes_again_may_be_in_another_order(tmp_path: Path) -> None:
    lines: list[list[object]] = [
        ["sku", "title", "price"],
        ["1", "Mug", 5],
        ["title", "sku", "price"],
        ["Pan", "2", 6],
    ]
    lines += [["sku", "title", "price"], ["3", "Pot", 7]]
    rows, bad, _ = read(_book(tmp_path, {"Products": lines}))
    assert not bad and _texts(rows) == [
        ("1", "Mug", "", 5),
        ("2", "Pan", "", 6),
        ("3", "Pot", "", 7),
    ]


def test_signs_that_xml_cannot_hold_are_read(tmp_path: Path) -> None:
    lines: list[list[object]] = [["sku", "title", "description"]]
    lines.append(["01", "Mug_x0020_red", "one_x000D_\ntwo _xyz_"])
    (row,), _, _ = read(_book(tmp_path, {"Products": lines}))
    assert (row.title, row.description) == ("Mug red", "one\r\ntwo _xyz_")


def test_pictures_on_a_sheet_are_said_not_to_be_read(tmp_path: Path) -> None:
    path = _book(tmp_path, {"Products": [["sku", "title"], ["01", "Mug"]]})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/media/image1.png", b"")
    said = "1 picture on the sheets not read: xl/media/image1.png; a column has to name the photos"
    assert read(path)[2] == [said]


def _photo(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("header", ["Photo", None])
def test_a_picture_stands_in_the_cell_on_which_it_begins(
    tmp_path: Path, header: str | None
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["notes"])
    photos = [_photo(level) for level in range(4)]
    for name, (first, second) in {"A": (0, 1), "B": (2, 3)}.items():
        sheet = book.create_sheet(name)
        sheet.append(["Our goods"])
        sheet.append([header, "sku", "title", "price"])
        sheet.append([None, f"{name}1", f"Mug {name}", 5])
        sheet.append([None, f"{name}2", f"Pan {name}", 6])
        sheet.append([None, f"{name}3", f"Pot {name}", 7])
        for cell, level in {"A1": first, "A3": first, "A4": second, "C5": second}.items():
            sheet.add_image(drawing.image.Image(io.BytesIO(photos[level])), cell)
    book.save(tmp_path / "t.xlsx")
    rows, bad, said = read(tmp_path / "t.xlsx")
    assert not bad and [row.title for row in rows] == [
        f"{word} {name}" for name in "AB" for word in ("Mug", "Pan", "Pot")
    ]
    shown = [[photo.data for photo in row.photos] for row in rows]
    assert shown == [[photos[0]], [photos[1]], [], [photos[2]], [photos[3]], []]
    assert not any("pictures on" in sentence or "picture on" in sentence for sentence in said)


def test_pictures_that_wps_writes_into_cells_are_read(tmp_path: Path) -> None:
    lines = [["sku", "title", "photo"], ["1", "Mug", '@DISPIMG("ID_0A",1)'], ["2", "Pan", "x.jpg"]]
    with zipfile.ZipFile(_book(tmp_path, {"Products": lines})) as archive:
        members: dict[str, str | bytes] = {
            name: archive.read(name).decode() for name in archive.namelist()
        }
    sheet = "xl/worksheets/sheet1.xml"
    members[sheet] = str(members[sheet]).replace("@DISPIMG", "=DISPIMG")
    members["xl/media/image1.png"] = photo = _photo(9)
    members["xl/cellimages.xml"] = (
        '<etc:cellImages><etc:cellImage><xdr:pic><xdr:nvPicPr><xdr:cNvPr id="2" name="ID_0A"/>'
        '</xdr:nvPicPr><xdr:blipFill><a:blip r:embed="rId1"/></xdr:blipFill></xdr:pic>'
        "</etc:cellImage></etc:cellImages>"
    )
    members["xl/_rels/cellimages.xml.rels"] = (
        '<Relationships><Relationship Id="rId1" Target="media/image1.png"/></Relationships>'
    )
    rows, _, said = read(write(tmp_path, zipped(members), "t.xlsx"))
    assert [photo.data for photo in rows[0].photos] == [photo]
    assert [photo.name for photo in rows[1].photos] == ["x.jpg"]
    assert not any("pictures on" in sentence or "picture on" in sentence for sentence in said)


def test_a_workbook_that_would_fill_the_disk_stays_in_its_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_archive, "_RATIO_COUNTS_FROM_BYTES", 1 << 16)
    path = write(tmp_path, zipped({"goods.xlsx": bytes(1 << 20)}), "t.zip")
    with pytest.raises(ProductFileError, match=r"goods\.xlsx in .* would unpack to 1,048,576"):
        read(path)


def test_a_workbook_in_an_archive_is_read(tmp_path: Path) -> None:
    lines: list[list[object]] = [["sku", "title", "price"], ["01", "Mug", 5], ["02", None, 6]]
    workbook = _book(tmp_path, {"Products": lines}, ["B2:B3"])
    path = write(tmp_path, zipped({"out/goods.xlsx": workbook.read_bytes(), "r.txt": ""}), "t.zip")
    rows, _, _ = read(path)
    assert _texts(rows) == [("01", "Mug", "", 5), ("02", "Mug", "", 6)]
    assert open_table(path).form == "Excel, sheet 'Products'"


def test_photos_that_are_links_behind_a_text_are_read(tmp_path: Path) -> None:
    url = "https://h.example/1.jpg?w=8&h=9"
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["sku", "title", "brand", "photo"])
    cells = {
        "A": ("Show", url),
        "B": ("b.jpg", url),
        "C": ("c.jpg", "https://h.example/c"),
        "D": (url, "https://h.example/d"),
        "E": (f'=HYPERLINK("{url}","Show")', None),
        "F": (f'=HYPERLINK("{url}")', None),
        "G": (f'=_xlfn.IMAGE("{url}", "a pot")', None),
        "H": ('=HYPERLINK(A1,"Show")', None),
    }
    for sku, (text, link) in cells.items():
        sheet.append([sku, f"Pot {sku}", "Acme", text])
        sheet.cell(sheet.max_row, 4).hyperlink = link
        sheet.cell(sheet.max_row, 2).hyperlink = "https://h.example/page"
    book.save(tmp_path / "t.xlsx")
    rows, bad, _ = read(tmp_path / "t.xlsx")
    assert not bad and {
        row.product_id: (row.title, *(p.name for p in row.photos)) for row in rows
    } == {
        sku: (f"Pot {sku}", *names)
        for sku, names in {**dict.fromkeys("ABDEFG", [url]), "C": ["c.jpg"], "H": []}.items()
    }


def test_a_formula_that_is_a_link_keeps_the_value_that_it_shows(tmp_path: Path) -> None:
    book = _book(tmp_path, {"Products": [["sku", "title"], ["007", "Mug"], [8, "Pan"]]})
    link = b"<f>HYPERLINK(&quot;https://h.example/1&quot;,&quot;x&quot;)</f>"
    with zipfile.ZipFile(book) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    plain = b'<c r="B3" t="inlineStr"><is><t>Pan</t></is></c>'
    number = b'<c r="A3" t="n">'
    assert plain in members[name] and number in members[name]
    text = b'<c r="B3" t="str">' + link + b"<v>Pan</v></c>"
    members[name] = members[name].replace(plain, text).replace(number, number + link)
    rows, _, _ = read(write(tmp_path, zipped(members), "t.xlsx"))
    assert [(row.product_id, row.title) for row in rows] == [("007", "Mug"), ("8", "Pan")]
