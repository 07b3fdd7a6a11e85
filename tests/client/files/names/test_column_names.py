"""What the name of a column says of its field, in the languages that tables come in."""

from __future__ import annotations

import pytest

from twinshelf.client.files.names.column_names import (
    is_product_number,
    is_trade_number,
    names_by_word,
)
from twinshelf.client.files.names.plain_name import pattern, plain_name


@pytest.mark.parametrize(
    ("field", "names"),
    [
        (
            "title",
            "Nazwa handlowa,Nome comercial,Varens navn,Termék megnevezése,Označení zboží,商品全称"
            ",품목명,اسم السلعة,Tên mặt hàng,माल का नाम,ชื่อผลิตภัณฑ์,Merchandise Name,prodName",
        ),
        (
            "brand",
            "Marca do produto,Marca prodotto,Nombre de la marca,Merk/Fabrikant,Markenname,品牌名"
            ",Gyártó neve,Fabrikat,Nazwa producenta,製造元,Hãng sản xuất,ماركة المنتج,ब्रांड का नाम",
        ),
        (
            "category",
            "Grupa produktów,Grupa de produse,Productgroep naam,Nume categorie,Termékcsoport"
            ",产品类别,상품분류명,نام دسته,ชื่อหมวดหมู่,Товарная группа,Kategori Adı"
            ",Nhóm sản phẩm,Item Group",
        ),
        (
            "description",
            "Lang beskrivelse,Lange beschrijving,Artikelbeschreibung lang,Podrobný popis"
            ",Pitkä kuvaus,商品詳細,وصف المنتج,รายละเอียดสินค้า,Product Overview,Descriere produs",
        ),
        (
            "price",
            "Preço de tabela,Preço de lista,Precio lista,Tarif TTC,판매단가,Bruttó egységár,Đơn giá"
            ",Selling Rate,Цена за единицу,विक्रय मूल्य,소매가",
        ),
    ],
)
def test_a_name_of_several_words_tells_the_field(field: str, names: str) -> None:
    assert [name for name in names.split(",") if not names_by_word(name, field)] == []


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("brand", "Kod producenta,Numer producenta,Brand ID,Código do fabricante,Company name"),
        ("brand", "Market,Merkblatt,Hersteller-Nr.,Brand logo"),
        ("category", "Código de categoria,Kod kategorii,Price group id,Group name"),
        ("description", "description_lang,Description language,Langue,Meta description"),
        ("images", "Bin Picking Number,Topic,Spice level,Photo sort,Product Image Description - 1"),
        ("price", "price_list_id,price list,Price code,listing price type"),
    ],
)
def test_a_name_of_something_else_tells_no_field(field: str, names: str) -> None:
    assert [name for name in names.split(",") if names_by_word(name, field)] == []


def test_numbers_of_products_are_known() -> None:
    names = "Tuotetunnus,OEM No.,Cod articol,ID výrobku,ID produs,Termék ID,"
    names += "Indeks towaru,Ref. do artigo,物料编码,품목코드,Код позиции,Mã vật tư"
    assert [name for name in names.split(",") if not is_product_number(name)] == []
    assert not any(map(is_product_number, ("Category code", "Kod producenta", "Phone number")))


def test_numbers_of_the_trade_are_known_in_many_languages() -> None:
    names = "EAN,Barcode,Штрихкод,Штрих-код,Código de barras,Code-barres,Čárový kód,条码,バーコード"
    assert [name for name in names.split(",") if not is_trade_number(name)] == []
    assert not any(map(is_trade_number, ("Code", "Código", "Barcode type")))


def test_marks_within_a_word_part_it_in_no_script() -> None:
    for name in ("ब्रांड का नाम", "ชื่อสินค้า", "பொருளின் பெயர்"):
        assert pattern(name.replace(" ", "")).fullmatch(plain_name(name))


def test_a_long_name_takes_no_time() -> None:
    for name in ("nome" + "dell" * 5000, "itemtype" * 5000, "мал" * 5000, "nom de l' " * 5000):
        assert not any(names_by_word(name, field) for field in ("title", "brand", "description"))
