"""Tables of web pages, of Excel's XML of 2003 and of OpenDocument are read row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write, zipped
from twinshelf.client.files.forms import markup_table
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import ProductFileError, TableForm

HEAD = "<tr><th>SKU</th><th>Title</th><th>Price</th></tr>"
OPEN_TABLE = "application/vnd.oasis.opendocument.spreadsheet"


def _texts(rows: list[ProductRow]) -> list[tuple[str, str, float | None]]:
    return [(row.product_id, row.title, row.price) for row in rows]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (  # a menu beside, entities, marks and blanks that do not break
            "<!DOCTYPE html><html><script>if (1 < 2) '<td>';</script>"
            f"<table><tr><td>Home</td><td>Shop</td></tr></table><table>{HEAD}"
            "<tr><td>01</td><td><a href='/1'>Mug &amp; lid</a></td><td>5,50&nbsp;€</td></tr>"
            "<tr><td>02</td><td>Tea<br>pot</td><td>1.024,50&nbsp;€</td></tr></table></html>",
            [("01", "Mug & lid", 5.5), ("02", "Tea pot", 1024.5)],
        ),
        (  # without closing tags, in the cell of another table
            "<html><table><tr><td><table><tr><th>SKU<th>Title<th>Price<tr><td>1<td>Mug<td>5"
            "<tr><td>2<td>Pan<td>6</table>",
            [("1", "Mug", 5), ("2", "Pan", 6)],
        ),
        (  # a header of two rows
            "<table><tr><th rowspan=2>SKU</th><th rowspan=2>Title</th><th colspan=2>Price</th></tr>"
            "<tr><th>net</th><th>gross</th></tr><tr><td>1</td><td>Mug</td><td>4</td><td>5</td></tr>"
            "<tr><td>2</td><td>Pan</td><td>5</td><td>6</td></tr></table>",
            [("1", "Mug", 5), ("2", "Pan", 6)],
        ),
        (  # cells that span rows and columns, a title above, two tables of one header
            f"<table><tr><th colspan=3>Stock</th></tr>{HEAD}<tr><td>1</td><td rowspan=2>Mug</td>"
            "<td>5</td></tr><tr><td>2</td><td>6</td></tr></table>"
            f"<table><tr><th colspan=3>More</th></tr>{HEAD}<tr><td>3</td><td>Pan</td></tr></table>",
            [("1", "Mug", 5), ("2", "Mug", 6), ("3", "Pan", None)],
        ),
    ],
)
def test_the_table_of_products_in_a_page_is_read(
    tmp_path: Path, page: str, expected: list[tuple[str, str, float | None]]
) -> None:
    rows, bad, _ = read(write(tmp_path, page, "t.xls"))
    assert not bad and _texts(rows) == expected


def test_a_page_says_its_encoding_and_shows_its_photos(tmp_path: Path) -> None:
    page = (
        '<html><meta charset="windows-1251"><table><tr><th>Артикул<th>Название<th>Фото'
        "<tr><td>1<td>Лопата<td><img src=1.jpg><tr><td>2<td>Грабли<td><img src='data:x'></table>"
    )
    rows, _, _ = read(write(tmp_path, page.encode("cp1251"), "t.html"))
    assert [row.title for row in rows] == ["Лопата", "Грабли"]
    assert [[photo.name for photo in row.photos] for row in rows] == [["1.jpg"], []]


def test_the_other_tables_are_named(tmp_path: Path) -> None:
    page = f"<html><table><tr><td>A</td><td>B</td></tr></table><table>{HEAD}<tr><td>1<td>Mug<td>5"
    path = write(tmp_path, page, "t.html")
    assert open_table(path).form == "web page, table '2'"
    _, _, said = read(path)
    assert said == ["1 table not read, as of another header: 1"]
    rows, _, _ = read(
        path,
        ReadOptions(columns={"title": ["2"]}, form=TableForm(has_header=False)),
    )
    assert [row.title for row in rows] == ["Title", "Mug"]


def test_cells_that_excel_leaves_out_are_empty(tmp_path: Path) -> None:
    def row(*cells: str) -> str:
        return f"<Row>{''.join(f'<Cell{cell}</Data></Cell>' for cell in cells)}</Row>"

    table = (
        row("><Data>SKU", "><Data>Title", "><Data>Brand", "><Data>Price")
        + row("><Data>1", "><Data>Mug", ' ss:Index="4"><Data>5.5')
        + row("><Data>2", "><Data>Pan", "><Data>Acme", "><Data>6")
    )
    book = (
        '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" '
        f'xmlns:ss="x"><Worksheet ss:Name="Goods"><Table>{table}</Table></Worksheet></Workbook>'
    )
    path = write(tmp_path, book, "t.xml")
    assert open_table(path).form == "Excel's XML, table 'Goods'"
    rows, _, _ = read(path)
    assert _texts(rows) == [("1", "Mug", 5.5), ("2", "Pan", 6)]
    assert [each.brand for each in rows] == ["", "Acme"]


def test_an_opendocument_table_is_read(tmp_path: Path) -> None:
    def cell(text: str, told: str = "") -> str:
        return f"<t:table-cell {told}><text:p>{text}</text:p></t:table-cell>"

    lines = [
        [*map(cell, ("SKU", "Title", "Brand", "Price"))],
        [cell("01"), cell("Mug"), cell("Acme", 't:number-rows-spanned="2"')]
        + [cell("1.024,50 €", 'office:value-type="currency" office:value="1024.5"')],
        [cell("02"), cell("Pan"), "<t:covered-table-cell/>", cell("5,50 €")],
        ['<t:table-cell t:number-columns-repeated="16384"/>'],
    ]
    rows_of = "".join(f"<t:table-row>{''.join(line)}</t:table-row>" for line in lines)
    content = (
        '<?xml version="1.0"?><office:document-content xmlns:office="urn:opendocument:office">'
        f'<t:table t:name="Goods">{rows_of}</t:table></office:document-content>'
    )
    flat = content.replace("office:document-content", "office:document")
    write(tmp_path, flat.replace('"urn:open', '"urn:oasis:names:tc:open'), "t.fods")
    write(tmp_path, zipped({"mimetype": OPEN_TABLE, "content.xml": content}), "t.ods")
    for path in (tmp_path / "t.ods", tmp_path / "t.fods"):
        assert open_table(path).form == "ODS, table 'Goods'"
        rows, _, _ = read(path)
        assert _texts(rows) == [("01", "Mug", 1024.5), ("02", "Pan", 5.5)]
        assert [row.brand for row in rows] == ["Acme", "Acme"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html><p>Nothing</p></html>", "is a web page without a table of products"),
        ("<html><table><tr><td>1</td><![x[]]></table></html>", "breaks off"),
        ('<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>', "Excel's XML without"),
    ],
)
def test_a_page_without_a_table_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ProductFileError, match=message):
        open_table(write(tmp_path, content, "t.html"))


def test_what_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup_table, "LONGEST_ROW_CHARACTERS", 1 << 17)
    for start in ("<!-- ", "<td>", "<tr><td>1" * 5):
        page = f"<html><table>{HEAD}{start}{'x ' * (1 << 18)}"
        with pytest.raises(ProductFileError, match="a row of more than 16 million characters"):
            read(write(tmp_path, page, "t.html"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "t.xls",
            "<html><table><tr><th>SKU<th>Title<th>Photo<tr><td>1<td><a href='/p'>Mug</a>"
            "<td><a href='//h.example/1.jpg'>Show</a></table>",
        ),
        (
            "t.xml",
            '<Workbook xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">'
            '<Worksheet ss:Name="P"><Table>'
            "<Row><Cell><Data>SKU</Data></Cell><Cell><Data>Title</Data></Cell>"
            "<Cell><Data>Photo</Data></Cell></Row>"
            "<Row><Cell><Data>1</Data></Cell><Cell ss:HRef='/p'><Data>Mug</Data></Cell>"
            "<Cell ss:HRef='//h.example/1.jpg'><Data>Show</Data></Cell></Row>"
            "</Table></Worksheet></Workbook>",
        ),
        (
            "t.ods",
            zipped(
                {
                    "mimetype": OPEN_TABLE,
                    "content.xml": "<office:document-content><table:table><table:table-row>"
                    + "".join(
                        f"<table:table-cell><text:p>{text}</text:p></table:table-cell>"
                        for text in ("SKU", "Title", "Photo")
                    )
                    + "</table:table-row><table:table-row>"
                    "<table:table-cell><text:p>1</text:p></table:table-cell>"
                    "<table:table-cell><text:p>Mug</text:p></table:table-cell><table:table-cell>"
                    "<text:p><text:a xlink:href='//h.example/1.jpg'>Show</text:a></text:p>"
                    "</table:table-cell></table:table-row></table:table></office:document-content>",
                }
            ),
        ),
    ],
)
def test_photos_that_are_links_behind_a_text_are_read(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    (row,), bad, _ = read(write(tmp_path, content, name))
    assert not bad and (row.product_id, row.title) == ("1", "Mug")
    assert [photo.name for photo in row.photos] == ["//h.example/1.jpg"]
