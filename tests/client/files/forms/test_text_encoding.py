"""The encoding of a text is found from its bytes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.forms.text_encoding import find_encoding
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import CellRow, ProductFileError, TableForm

GERMAN = ["Müller", "Größe 42 – “weiß”", "Käse für 5 Gäste", "Crème brûlée"]
RUSSIAN = ["Кофе молотый", "Чай зелёный байховый", "Сок яблочный"]


@pytest.mark.parametrize(
    ("encoding", "titles"),
    [
        ("utf-8", GERMAN),
        ("utf-8-sig", GERMAN),
        ("utf-16", RUSSIAN),
        ("utf-16-le", GERMAN),
        ("utf-16-be", GERMAN),
        ("utf-16-le", RUSSIAN),
        ("utf-16-be", ["绿茶茶包个装电热水壶升白色" * 9] * 9),
        ("euc_jp", ["緑茶 ティーバッグ", "電気ケトル"]),
        ("cp1254", ["Çocuk ayakkabısı kırmızı", "Şeker kutusu büyük", "Gümüş çay kaşığı"]),
        ("utf-32-le", GERMAN),
        ("utf-32-be", RUSSIAN),
        ("iso2022_jp", ["緑茶 ティーバッグ", "電気ケトル"]),
        ("big5", ["不鏽鋼湯鍋附蓋", "綠茶茶葉"]),
        ("cp1250", ["Zöld tea szálas", "Fürdőlepedő nagy", "Gőzölős vasaló"]),
        ("cp1250", ["Prosop de baie mare", "Lumânare parfumată", "Maşină de cafea roşie"]),
        ("cp1253", ["Πράσινο τσάι", "Ξύλινη καρέκλα", "Φλιτζάνι του καφέ"]),
        ("cp1255", ["סיר נירוסטה עם מכסה", "נעלי ילדים אדומות", "תה ירוק"]),
        ("cp1256", ["شاي أخضر", "حذاء أطفال أحمر", "شمعة معطرة"]),
        ("cp1257", ["Žalioji arbata", "Vaikiški batai raudoni", "Medinė kėdė"]),
        ("cp1257", ["Zaļā tēja", "Bērnu kurpes sarkanas", "Šķidrās ziepes"]),
        ("cp1252", ["Müller"]),
        ("cp1252", ["Caffè macinato", "Caffettiera più grande", "Tè verde di qualità"]),
        ("cp1252", ["Men’s shoe – blue", "Levi’s® 501™", "Café “Latte” mug", "Crème brûlée"]),
        ("cp1252", ["Men’s Watch – “Sport”", "Étui cuir"]),
        ("cp1252", ["Men’s coat"]),
        ("cp1252", ["Men’s coat", "Kids’ shoes"]),
        ("cp1252", ["Pipe ½ inch", "Heater 20° C"]),
        ("cp1252", ["Condensador 47µF"]),
        ("cp1252", ["Condensador cerámico 47µF"]),
        ("cp1252", ["Calefactor 20 ºC", "2º plato", "Saia nº 38"]),
        ("cp1252", ["Rohr Ø 20 mm"]),
        ("cp1252", ["Resistor ±1%", "Buch zu § 5", "Voucher ¥500", "Stamp 50¢"]),
        ("cp1252", ["Louche à soupe"]),
        ("cp1252", ["« Tea » à l’eau", "Étui à crayons"]),
        ("cp1252", ["Questo è mio"]),
        ("cp1252", ["«Tea»"]),
        ("cp1252", ["È pronto"]),
        ("cp1252", ["¿Quién es?"]),
        ("cp1252", ["Piñata", "Niño y niña"]),
        ("cp1252", ["Crème fraîche", "Ø 20 mm buis"]),
        ("cp1252", ["Hráefni þorskur", "Skyr og súrmjólk, góð"]),
        ("cp1254", ["Çaydanlık", "Yağ 1 lt"]),
        ("cp1250", ["Koszula męska"]),
        ("cp1250", ["Hrníček červený"]),
        ("cp1250", ["Hrnek modrý;Pěkný;Kuchyň", "Talíř bílý;Hezký;Kuchyň"]),
        ("cp1250", ["Černý čaj", "Zelený čaj", "Káva mletá"]),
        ("cp1251", ["Ябълка"]),
        ("cp1251", ["Чайник стальной б/у", "Кружка и ложка"]),
        ("mac_roman", ["Camión", "Máquina", "Niño"]),
        ("cp1250", ["Łyżka mała"]),
        ("iso8859_2", ["Škoda model", "Široká lavice"]),
        ("cp1252", GERMAN),
        ("cp1252", ["LEGO® 10×20 cm 20°C", "Preis 5 €"]),
        ("mac_roman", GERMAN),
        ("cp1251", RUSSIAN),
        ("koi8_r", RUSSIAN),
        ("iso8859_2", ["Žluťoučký kůň", "łyżka kuchenna", "Šálek na čaj"]),
        ("cp1250", ["Žluťoučký kůň", "Příliš černý čaj", "łyżka kuchenna żółta"]),
        ("shift_jis", ["日本語の商品名テスト", "コーヒー豆"]),
        ("gb18030", ["红色的鞋子", "咖啡豆 一公斤"]),
        ("euc_kr", ["커피 원두", "빨간 신발"]),
    ],
)
def test_titles_are_read_as_they_were_written(
    tmp_path: Path, encoding: str, titles: list[str]
) -> None:
    text = "\n".join(["id,title", *(f"{n},{title}" for n, title in enumerate(titles))])
    rows, bad, _ = read(write(tmp_path, text.encode(encoding)))
    assert [row.title for row in rows] == titles and not bad


@pytest.mark.slow
def test_the_encoding_may_show_late(tmp_path: Path) -> None:
    text = "id,title\n" + "".join(f"{n},plain\n" for n in range(200_000)) + "x,Müller\n"
    assert find_encoding(write(tmp_path, text.encode("cp1252"))).name == "cp1252"


def test_the_encoding_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "id,title\n1,Žluť\n".encode("cp1250"))
    (row,), _, _ = read(path, ReadOptions(form=TableForm(encoding="cp1250")))
    assert row.title == "Žluť"
    with pytest.raises(ValueError, match="no encoding 'nonsense'"):
        TableForm(encoding="nonsense")


def test_encodings_that_fit_as_well_are_named(tmp_path: Path) -> None:
    text = "id,title\n1,Košile na čaj\n2,Myš dřevěná\n3,Polévka\n"
    rows, _, findings = read(write(tmp_path, text.encode("iso8859_2")))
    assert [row.title for row in rows] == ["Košile na čaj", "Myš dřevěná", "Polévka"]
    (doubt,) = findings
    assert doubt.startswith("1 file of doubtful encoding: table.csv is read as iso8859-2; cp1250")
    assert doubt.endswith("would fit as well; --encoding names another")


def test_an_encoding_that_is_given_is_not_doubted(tmp_path: Path) -> None:
    path = write(tmp_path, "id,title\n1,Šálek na čaj\n".encode("iso8859_2"))
    assert not read(path, ReadOptions(form=TableForm(encoding="iso8859_2")))[2]


def test_lines_that_are_no_utf_8_are_read_as_what_they_look_like(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    old = "".join(f"{n},Чайник заварочный стеклянный {n}\n" for n in range(3)).encode("cp1251")
    path.write_bytes(
        b"id,title\n" + "".join(f"{n},Кружка {n}\n" for n in range(5, 15)).encode() + old
    )
    found = find_encoding(path)
    assert (found.name, found.of_broken) == ("utf-8", "cp1251")
    table = open_table(path)
    assert "no UTF-8 and read as cp1251" in table.encoding_doubt
    titles = [row.cells["title"] for row in table.rows(["title"]) if isinstance(row, CellRow)]
    assert titles[-1] == "Чайник заварочный стеклянный 2"


def test_letters_that_were_read_wrongly_are_mended_in_each_kind_of_file(tmp_path: Path) -> None:
    spoilt = "Größe L".encode().decode("cp1252")
    pq.write_table(pa.table({"id": ["1"], "title": [spoilt]}), tmp_path / "t.parquet")
    write(tmp_path, f'[{{"id": "1", "title": "{spoilt}"}}]', "t.json")
    for name in ("t.parquet", "t.json"):
        assert [row.title for row in read(tmp_path / name)[0]] == ["Größe L"]


@pytest.mark.parametrize("name", ["t.xml", "t.html"])
def test_the_encoding_of_markup_can_be_given(tmp_path: Path, name: str) -> None:
    cells = "".join(f"<tr><td>{n}</td><td>Šálek</td></tr>" for n in (1, 2))
    page = f"<html><table><tr><th>id</th><th>title</th></tr>{cells}</table></html>"
    good = "".join(f"<item><id>{n}</id><title>Šálek</title></item>" for n in (1, 2))
    text = page if name == "t.html" else f"<?xml version='1.0'?><a>{good}</a>"
    options = ReadOptions(form=TableForm(encoding="iso8859_2"))
    rows, _, findings = read(write(tmp_path, text.encode("iso8859_2"), name), options)
    assert [row.title for row in rows] == ["Šálek"] * 2 and not findings


@pytest.mark.parametrize("given", ["utf-8", "ascii"])
def test_an_encoding_that_most_lines_are_not_in_is_refused(tmp_path: Path, given: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("id,title\n1,Кружка\n".encode("cp1251"))
    with pytest.raises(ProductFileError, match=f"is not in {given}: line 2 holds other bytes"):
        find_encoding(path, given)
