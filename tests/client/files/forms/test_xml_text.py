"""XML of every encoding, and with the faults that hand-made feeds have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.forms import xml_text
from twinshelf.client.files.forms.table import open_table


def _feed(title: str, declared: str = "UTF-8", start: str = "") -> str:
    products = (
        f"<product><id>{number}</id><name>{title}</name><price>5</price></product>"
        for number in (1, 2)
    )
    declaration = f'<?xml version="1.0" encoding="{declared}"?>{start}'
    return f"{declaration}<shop><products>{''.join(products)}</products></shop>"


@pytest.mark.parametrize(
    ("title", "declared", "encoding"),
    [
        ("青い陶器マグカップ", "Shift_JIS", "cp932"),
        ("파란 도자기 머그컵", "euc-kr", "cp949"),
        ("蓝色陶瓷马克杯", "gb2312", "gb18030"),
        ("Größe „M“ – 5 €", "ISO-8859-1", "cp1252"),
        ("Größe M für Mädchen", "UTF-8", "cp1252"),
        ("Кружка синяя", "utf-8", "utf-16"),
    ],
)
def test_what_is_declared_counts_where_the_bytes_are_no_unicode(
    tmp_path: Path, title: str, declared: str, encoding: str
) -> None:
    rows, bad, _ = read(write(tmp_path, _feed(title, declared).encode(encoding), "t.xml"))
    assert [(row.product_id, row.title) for row in rows] == [("1", title), ("2", title)]
    assert not bad


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_blank_lines_may_stand_before_the_declaration(tmp_path: Path, encoding: str) -> None:
    feed = "\r\n \n" + _feed("Mug", encoding.removesuffix("-sig"))
    rows, bad, _ = read(write(tmp_path, feed.encode(encoding), "t.xml"))
    assert [row.title for row in rows] == ["Mug", "Mug"] and not bad


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Mug & lid R&D", "Mug & lid R&D"),
        ("Mug&nbsp;&amp; lid &eacute;", "Mug\xa0& lid é"),
        ("Mug &unknown; &lt;M&gt;", "Mug &unknown; <M>"),
        ("Mug\x0b&#11;&#0; red &#65;&#x41;", "Mug red AA"),
        ("<![CDATA[Mug & <M> \x01 lid]]>", "Mug & <M>   lid"),
        ("Mug<!-- R&D & --> & lid", "Mug & lid"),
    ],
)
@pytest.mark.parametrize("block", [7, 1 << 16])
def test_what_stands_for_itself_breaks_no_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, title: str, block: int
) -> None:
    monkeypatch.setattr(xml_text, "_BLOCK_CHARACTERS", block)
    rows, bad, _ = read(write(tmp_path, _feed(written), "t.xml"))
    assert [" ".join(row.title.split()) for row in rows] == [" ".join(title.split())] * 2
    assert not bad


def test_entities_of_the_file_itself_stay(tmp_path: Path) -> None:
    own = '<!DOCTYPE shop [<!ENTITY make "Acme and Sons">]>'
    rows, bad, _ = read(write(tmp_path, _feed("&make; mug", start=own), "t.xml"))
    assert [row.title for row in rows] == ["Acme and Sons mug"] * 2 and not bad


def test_one_broken_byte_costs_no_product_and_is_said(tmp_path: Path) -> None:
    feed = _feed("Théière émaillée").encode()
    path = write(tmp_path, feed.replace("é".encode(), b"\xe9", 1) + b"\n", "t.xml")
    rows, bad, _ = read(path)
    assert [row.title for row in rows] == ["Théière émaillée"] * 2 and not bad


def test_lines_in_another_encoding_are_said(tmp_path: Path) -> None:
    lines = [_feed("Théière")[: -len("</products></shop>")].encode()]
    lines += [f"<product><id>{n}</id><name>Été {n}</name></product>".encode() for n in range(3, 9)]
    lines.append("<product><id>9</id><name>Été 9</name></product>".encode("cp1252"))
    path = write(tmp_path, b"\n".join([*lines, b"</products></shop>"]), "t.xml")
    rows, bad, findings = read(path)
    assert rows[-1].title == "Été 9" and not bad
    assert "no UTF-8 and read as cp1252" in findings[0] and open_table(path).encoding_doubt
