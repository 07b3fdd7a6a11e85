"""Small files that were once refused or misread: each is stored, counted and named as is right."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.client.files.tables import JPEG, read, write
from twinshelf.client.cli import main
from twinshelf.client.commands.output import match_table
from twinshelf.client.file_products import product_of
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import TableForm
from twinshelf.client.records import EncoderInfo, Match, MatchResult, Product

LONG_ID = "https://shop.example.org/feeds/all/offers/" + "30257" * 5
Fields = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file and what is right.

    Attributes:
        content: Its text or bytes, or the columns of a Parquet file.
        titles: Identifier to title of each product that is stored.
        fields: Identifier to fields of the product, where more than the title matters.
        bad_rows: Row number to what its reason says, of the rows that fail.
        findings: What the sentences about the rest begin with.
        form: What the user says of the file, if anything.
        options: The same on the command line.
    """

    content: str | bytes | dict[str, list[object]]
    titles: dict[str, str]
    fields: dict[str, Fields] = field(default_factory=dict)
    bad_rows: dict[int, str] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    form: TableForm = TableForm()
    options: tuple[str, ...] = ()


def separated(sign: str) -> Case:
    """A price with a comma, so that a comma as the separator needs quotes."""
    price = '"12,50"' if sign == "," else "12,50"
    lines = [["product_id", "title", "price"], ["k1", "Kettle", price], ["k2", "Ladle", "3"]]
    return Case(
        content="\n".join(map(sign.join, lines)) + "\n",
        titles={"k1": "Kettle", "k2": "Ladle"},
        fields={"k1": {"price": 12.5}, "k2": {"price": 3.0}},
    )


PRICES: dict[str, float | None] = {
    '"8,49"': 8.49, '"2,450.00"': 2450.0, "$7": 7.0, "3 150": 3150.0, "6.0": 6.0, "2e3": 2000.0,
    "n/a": None, "NaN": None, "inf": None, "2_000": None, "-4": None,
}  # fmt: skip
ATTRIBUTES: dict[str, Fields] = {
    '"{""ply"": 3}"': {"ply": "3"}, "\"{'ply': 3}\"": {"ply": "3"}, "blue": {},
    '"{""ply"": [3,4]}"': {"ply": "3, 4"}, '"{""ply"": {""top"": 3}}"': {}, "{}": {}, "null": {},
}  # fmt: skip
# Identifier, and cells of images: a URL, no such photo, lists with each separator, none.
IMAGES = {
    "url": "https://shop.example.org/mug.jpg", "gone": "gone.jpg", "comma": '"front.jpg,back.jpg"',
    "bar": "front.jpg|back.jpg", "semicolon": "front.jpg;back.jpg", "bare": "",
}  # fmt: skip
TWO_PHOTOS: Fields = {"image": JPEG, "image_uri": "front.jpg"}


def numbered(name: str, cells: dict[str, float | None] | dict[str, Fields]) -> Case:
    """A product for each cell of a column; its value is that of the field."""
    lines = [f"{number},Mug {number},{cell}" for number, cell in enumerate(cells, start=1)]
    numbers = [str(number) for number in range(1, len(cells) + 1)]
    return Case(
        content="\n".join([f"product_id,title,{name}", *lines]) + "\n",
        titles={number: f"Mug {number}" for number in numbers},
        fields={n: {name: value} for n, value in zip(numbers, cells.values(), strict=True)},
        findings=(
            ("5 prices could not be read, such as 'n/a': left empty",)
            if name == "price"
            else ("1 cell of attributes could not be read", "1 attribute held objects or lists")
        ),
    )


LATIN = "product_id,title\nj1,Crème brûlée\nj2,Jam\n".encode("cp1252")
LATIN_TITLES = {"j1": "Crème brûlée", "j2": "Jam"}
CASES: dict[str, Case] = {
    **{f"separated by {sign!r}.csv": separated(sign) for sign in ",;\t|#"},
    "separator named.csv": Case(
        content="product_id~title\nk1~Kettle\n",
        titles={"k1": "Kettle"},
        form=TableForm(delimiter="~"),
        options=("--delimiter", "~"),
    ),
    "latin1.csv": Case(
        content="product_id,title\nj1,Käse\nj2,Jam\n".encode("cp1252"),
        titles={"j1": "Käse", "j2": "Jam"},
    ),
    "encoding in doubt.csv": Case(
        content=LATIN,
        titles=LATIN_TITLES,
        findings=("1 file of doubtful encoding: t.csv is read as cp1252",),
    ),
    "encoding named.csv": Case(
        content=LATIN,
        titles=LATIN_TITLES,
        form=TableForm(encoding="cp1252"),
        options=("--encoding", "cp1252"),
    ),
    "open_quote.csv": Case(
        content='product_id,title\n1,"Screen 27\n2,Jug\n3,Pan\n4,Pot\n',
        titles={"2": "Jug", "3": "Pan", "4": "Pot"},
        bad_rows={1: "line 2: a quote is opened and not rightly closed"},
    ),
    "quote_swallows_rows.csv": Case(
        content='product_id,title\n1,Jug\n2,"Pipe 7\n3,Pan\n4,"Pan"\n5,Lid\n',
        titles={"1": "Jug", "3": "Pan", "4": "Pan", "5": "Lid"},
        bad_rows={2: "line 3: a quote is opened and not rightly closed"},
    ),
    "comma_price.csv": numbered("price", PRICES),
    "img.csv": Case(
        content="product_id,title,images\n"
        + "".join(f"{name},Mug {name},{cell}\n" for name, cell in IMAGES.items()),
        titles={name: f"Mug {name}" for name in IMAGES},
        fields={
            "url": {"image": b"", "image_uri": IMAGES["url"]},
            "gone": {"image": b""},
            "comma": TWO_PHOTOS,
            "bar": TWO_PHOTOS,
            "semicolon": TWO_PHOTOS,
            "bare": {"image": b"", "image_uri": ""},
        },
        findings=(
            "1 photo could not be read: there is no photo",
            "1 photo URL kept, not fetched, such as https://shop.example.org/mug.jpg",
        ),
    ),
    "attr.csv": numbered("attributes", ATTRIBUTES),
    "binary_id.parquet": Case(
        content={"product_id": [b"k1", "č2".encode()], "title": ["Kettle", "Ladle"]},
        titles={"k1": "Kettle", "č2": "Ladle"},
    ),
    "img_bytes.parquet": Case(
        content={"product_id": ["k1"], "title": ["Kettle"], "images": [JPEG]},
        titles={"k1": "Kettle"},
        fields={"k1": {"image": JPEG}},
    ),
    "two_empty_headers.csv": Case(
        content="product_id,title,,\nk1,Kettle,,\n", titles={"k1": "Kettle"}
    ),
    "short_rows.csv": Case(
        content="product_id,title,brand\nk1,Kettle\nk2,Ladle,Bolt\n",
        titles={"k1": "Kettle", "k2": "Ladle"},
        fields={"k1": {"brand": ""}, "k2": {"brand": "Bolt"}},
    ),
    "leading_zero_ids.csv": Case(
        content="product_id,title\n0042,Kettle\n0043,Ladle\n",
        titles={"0042": "Kettle", "0043": "Ladle"},
    ),
    "long_id_80_columns.csv": Case(
        content=f"product_id,title\n{LONG_ID},Kettle\n", titles={LONG_ID: "Kettle"}
    ),
}


def make(folder: Path, name: str) -> Path:
    """Writes the file of a case, and the photos that it may name."""
    for photo in ("front.jpg", "back.jpg"):
        write(folder, JPEG, photo)
    content, path = CASES[name].content, folder / f"t{Path(name).suffix}"
    if isinstance(content, dict):
        pq.write_table(pa.table(content), path)
        return path
    return write(folder, content, path.name)


@pytest.mark.parametrize("name", CASES)
def test_each_file_is_stored_as_is_right(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    rows, bad, findings = read(make(tmp_path, name), ReadOptions(form=case.form))
    assert {row.product_id: row.title for row in rows} == case.titles
    assert len(rows) == len(case.titles)
    products = {row.product_id: product_of(row) for row in rows}
    for product_id, values in case.fields.items():
        found = {each: getattr(products[product_id], each) for each in values}
        assert found == values, product_id
    assert [row.row_number for row in bad] == list(case.bad_rows)
    for row, reason in zip(bad, case.bad_rows.values(), strict=True):
        assert row.reason.startswith(reason)
    assert len(findings) == len(case.findings)
    for finding, beginning in zip(findings, case.findings, strict=True):
        assert finding.startswith(beginning)


@pytest.mark.parametrize("name", CASES)
def test_check_says_the_same_of_each_file(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    assert main(["index", str(make(tmp_path, name)), "--check", *case.options]) == 0
    said = capsys.readouterr().out
    count = len(case.titles)
    assert f"{count} product{'s' * (count != 1)} would be stored: " in said
    failed = len(case.bad_rows)
    assert f"\n{failed} row{'s' * (failed != 1)} would fail\n" in said
    for expected in (*case.bad_rows.values(), *case.findings):
        assert expected in said
    assert "\\x" not in said and "b'" not in said  # bytes are never printed


def test_a_match_beside_a_long_identifier_keeps_its_figures_at_80_columns(tmp_path: Path) -> None:
    (row,), _, _ = read(make(tmp_path, "long_id_80_columns.csv"))
    product = Product(product_id=row.product_id, title=row.title)
    match = Match(
        product=product, score=0.987, probability=0.123, is_match=True, pattern="text",
        image_score=None, text_score=0.789,
    )  # fmt: skip
    encoder = EncoderInfo(digest="sha256:0", version=1)
    result = MatchResult(
        matches=(match,), pattern="text", encoder=encoder, no_match_probability=0.25
    )
    Console(file=(stream := io.StringIO()), width=80).print(match_table(result))
    printed = stream.getvalue()
    assert max(map(len, printed.splitlines())) <= 80 and "…" not in printed
    assert all(figure in printed for figure in ("12.3%", "0.987", "0.789", "25.0%", "Kettle"))
