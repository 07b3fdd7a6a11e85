"""The encoding of a text is found from its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import TableForm
from twinshelf.client.files.text_encoding import find_encoding

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
        ("cp1252", ["Müller"]),
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


def test_the_encoding_may_show_late(tmp_path: Path) -> None:
    text = "id,title\n" + "".join(f"{n},plain\n" for n in range(200_000)) + "x,Müller\n"
    assert find_encoding(write(tmp_path, text.encode("cp1252"))) == "cp1252"


def test_the_encoding_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path, "id,title\n1,Žluť\n".encode("cp1250"))
    (row,), _, _ = read(path, ReadOptions(form=TableForm(encoding="cp1250")))
    assert row.title == "Žluť"
    with pytest.raises(ValueError, match="no encoding 'nonsense'"):
        TableForm(encoding="nonsense")
