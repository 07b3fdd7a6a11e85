"""XML feeds of shops."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.forms.table import open_table
from twinshelf.client.files.forms.xml_records import open_xml
from twinshelf.client.files.product_rows import ReadOptions
from twinshelf.client.files.rows import ProductFileError

GOOGLE = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel>
<title>A shop</title><link>http://shop.example</link><description>All of it</description>
<item><g:id>a1</g:id><title>Blue mug</title><g:title>Blue mug</g:title><g:price>5.50 EUR</g:price>
<g:image_link>http://shop.example/1.jpg</g:image_link><g:brand>Acme</g:brand></item>
<item><g:id>a2</g:id><title>Red &amp; white mug</title><g:price>1.299,00 EUR</g:price></item>
</channel></rss>"""
YANDEX = """<yml_catalog date="2026-11-27"><shop><name>A shop</name><company>Acme</company>
<categories><category id="1">Посуда</category><category id="2" parentId="1">Чайники</category></categories>
<offers>
<offer id="17" available="true"><name>Чайник 1.7 л</name><price>1290</price><categoryId>2</categoryId>
<picture>http://shop.example/1.jpg</picture><picture>http://shop.example/2.jpg</picture>
<vendor>Tefal</vendor><param name="Цвет">синий</param><param name="Объём">1.7</param></offer>
<offer id="18"><name>Кружка</name><price>90</price><categoryId>1</categoryId>
<param name="Цвет">белый</param></offer>
</offers></shop></yml_catalog>"""  # noqa: E501
BMECAT = """<BMECAT><T_NEW_CATALOG>
<ARTICLE><SUPPLIER_AID>S-1</SUPPLIER_AID><ARTICLE_DETAILS>
<DESCRIPTION_SHORT>Drill 850 W</DESCRIPTION_SHORT><MANUFACTURER_NAME>Bosch</MANUFACTURER_NAME>
</ARTICLE_DETAILS></ARTICLE>
<ARTICLE><SUPPLIER_AID>S-2</SUPPLIER_AID><ARTICLE_DETAILS>
<DESCRIPTION_SHORT>Saw 1200 W</DESCRIPTION_SHORT></ARTICLE_DETAILS></ARTICLE>
</T_NEW_CATALOG></BMECAT>"""


def test_elements_that_name_most_of_a_product_are_the_rows(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, GOOGLE, "feed.xml"))
    assert not bad and [row.product_id for row in rows] == ["a1", "a2"]
    assert [row.title for row in rows] == ["Blue mug", "Red & white mug"]
    assert [row.price for row in rows] == [5.5, 1299.0]
    assert rows[0].brand == "Acme" and rows[0].photos[0].name == "http://shop.example/1.jpg"
    assert open_table(tmp_path / "feed.xml").form == "XML, elements rss/channel/item"


def test_categories_photos_and_attributes_of_yandex_are_read(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, YANDEX.encode("utf-16"), "feed.xml"))
    assert not bad and [row.category for row in rows] == ["Чайники", "Посуда"]
    assert rows[0].product_id == "17" and rows[0].brand == "Tefal" and rows[0].price == 1290
    assert len(rows[0].photos) == 2
    assert rows[0].attributes == {"Цвет": "синий", "Объём": "1.7"}
    assert rows[1].attributes == {"Цвет": "белый"}


def test_fields_within_elements_are_read(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, BMECAT, "catalogue"))
    assert not bad and [row.title for row in rows] == ["Drill 850 W", "Saw 1200 W"]
    assert [row.product_id for row in rows] == ["S-1", "S-2"] and rows[0].brand == "Bosch"


def test_one_product_alone_is_a_table(tmp_path: Path) -> None:
    start, end = GOOGLE.split("<item><g:id>a2")[0], "</channel></rss>"
    rows, _, _ = read(write(tmp_path, start + end, "feed.xml"))
    assert [row.product_id for row in rows] == ["a1"]


def test_what_stands_before_a_break_is_kept(tmp_path: Path) -> None:
    rows, bad, _ = read(write(tmp_path, GOOGLE.replace("Red &amp; white", "Red < white"), "f.xml"))
    assert [row.product_id for row in rows] == ["a1"]
    assert len(bad) == 1 and "the rest cannot be read" in bad[0].reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<?xml version='1.0'?><a><b>1</b><b>2</b></a>", "no element names what a product has"),
        ("<?xml version='1.0'?><a", "cannot be read as XML"),
    ],
)
def test_what_holds_no_products_is_named(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ProductFileError, match=said):
        open_table(write(tmp_path, content, "feed.xml"))


@pytest.mark.slow
def test_entities_that_unfold_are_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 50}">' for level in range(1, 8))
    bomb = f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e0 "lol">{entities}]>'
    with pytest.raises(ProductFileError, match="cannot be read as XML"):
        open_table(write(tmp_path, bomb + "<r><title>&e7;</title></r>", "feed.xml"))


def test_what_stands_in_an_element_of_several_is_read(tmp_path: Path) -> None:
    variant = "<variants type='array'><variant><id>7</id><price>5.50</price></variant></variants>"
    feed = "".join(f"<product><id>{n}</id><title>Mug</title>{variant}</product>" for n in (1, 2))
    rows, _, _ = read(write(tmp_path, f"<products>{feed}</products>", "feed.xml"))
    assert [row.price for row in rows] == [5.5, 5.5]
    maker = "<producer name='Acme'/><description><name>Mug</name></description>"
    feed = "".join(f"<product id='{n}'>{maker}</product>" for n in (1, 2))
    rows, _, _ = read(write(tmp_path, f"<products>{feed}</products>", "feed.xml"))
    assert [row.title for row in rows] == ["Mug", "Mug"]


def test_words_around_elements_are_read(tmp_path: Path) -> None:
    feed = (
        "<shop><item><id>1</id><title>Red <b>oak</b> chair<br/>with arms</title></item>"
        "<item><id>2</id><title xml:lang='en'>Mug</title><title xml:lang='de'>Tasse</title></item>"
        "<item><id>3</id><title sprache='en'>Pan</title><title sprache='de'>Topf</title></item>"
        "</shop>"
    )
    rows, _, _ = read(write(tmp_path, feed, "feed.xml"))
    assert [row.title for row in rows] == ["Red oak chair with arms", "Mug", "Pan"]


def test_fields_may_have_their_names_in_attributes(tmp_path: Path) -> None:
    feed = (
        "<add><doc><field name='id'>1</field><field name='title'>Mug</field></doc>"
        "<doc><field name='id'>2</field><field name='title'>Pan</field></doc></add>"
    )
    rows, _, _ = read(write(tmp_path, feed, "solr.xml"))
    assert [(row.product_id, row.title) for row in rows] == [("1", "Mug"), ("2", "Pan")]


def test_products_are_not_taken_for_what_is_said_of_them(tmp_path: Path) -> None:
    review = "<review><id>1</id><title>Good</title><brand>x</brand></review>"
    feed = f"<shop>{review * 5}<product><id>p1</id><name>Mug</name></product></shop>"
    feed = feed.replace("</shop>", "<product><id>p2</id><name>Pan</name></product></shop>")
    rows, _, _ = read(write(tmp_path, feed, "feed.xml"))
    assert [row.product_id for row in rows] == ["p1", "p2"]


def test_elements_that_are_nested_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text("<a>" * 3000 + "</a>" * 3000)
    with pytest.raises(ProductFileError, match="over 64 deep"):
        open_xml(path)


def _element(tag: str, product_id: str, within: str = "") -> str:
    fields = f"<id>{product_id}</id><name>Mug {product_id}</name><price>5</price>"
    return f"<{tag}>{fields}{within}</{tag}>"


@pytest.mark.parametrize(
    "kinds",
    [
        _element("product", "1") + _element("product", "2") + _element("offer", "3"),
        _element("simple", "1") + _element("configurable", "2") + _element("simple", "3"),
        f"<books>{_element('book', '1')}{_element('book', '2')}</books>"
        f"<toys>{_element('toy', '3')}</toys>",
        "<categories><category><id>7</id><name>Mugs</name></category></categories>"
        + "".join(_element("product", n, _element("variant", "9") * 2) for n in "123"),
    ],
)
def test_several_kinds_of_products_are_read_and_nothing_else(tmp_path: Path, kinds: str) -> None:
    rows, bad, _ = read(write(tmp_path, f"<shop>{kinds}</shop>", "feed.xml"))
    assert [row.product_id for row in rows] == ["1", "2", "3"] and not bad


def test_a_kind_behind_many_of_another_is_read(tmp_path: Path) -> None:
    many = "".join(_element("product", f"p{n}", "<brand>A</brand>") for n in range(150))
    feed = f"<shop>{many}{_element('offer', 'last', '<brand>A</brand>')}</shop>"
    rows, _, _ = read(write(tmp_path, feed, "feed.xml"))
    assert len(rows) == 151 and rows[-1].product_id == "last"


def test_parameters_of_heureka_and_titles_in_parts_of_yandex_are_read(tmp_path: Path) -> None:
    param = "<PARAM><PARAM_NAME>Barva</PARAM_NAME><VAL>modrá</VAL></PARAM>"
    feed = "".join(
        f"<SHOPITEM><ITEM_ID>{n}</ITEM_ID><PRODUCTNAME>Hrnek</PRODUCTNAME><CATEGORYTEXT>Hrnky"
        f"</CATEGORYTEXT><PRICE_VAT>9</PRICE_VAT>{param * n}</SHOPITEM>"
        for n in (1, 2)
    )
    rows, _, _ = read(write(tmp_path, f"<SHOP>{feed}</SHOP>", "heureka.xml"))
    assert [dict(row.attributes) for row in rows] == [{"Barva": "modrá"}] * 2
    assert rows[0].category == "Hrnky"
    parts = "<typePrefix>Чайник</typePrefix><vendor>Tefal</vendor><model>KO 100</model>"
    offers = (
        f"<offer id='1'>{parts}<price>5</price></offer><offer id='2'><name>Кружка</name></offer>"
    )
    rows, _, _ = read(write(tmp_path, f"<offers>{offers}</offers>", "yandex.xml"))
    assert [row.title for row in rows] == ["Чайник Tefal KO 100", "Кружка"]


@pytest.mark.parametrize(
    "features",
    [
        "<ARTICLE_FEATURES><REFERENCE_FEATURE_SYSTEM_NAME>X</REFERENCE_FEATURE_SYSTEM_NAME>"
        "<FEATURE><FNAME>Colour</FNAME><FVALUE>red</FVALUE></FEATURE>{more}</ARTICLE_FEATURES>",
        '<custom-attributes><custom-attribute attribute-id="Colour">red</custom-attribute>'
        '<custom-attribute attribute-id="Sizes"><value>S</value><value>M</value>'
        "</custom-attribute></custom-attributes>",
    ],
)
def test_attributes_of_catalogues_of_trade_are_read(tmp_path: Path, features: str) -> None:
    # Demandware's custom attributes are read where they are named: others call fields so.
    more = "<FEATURE><FNAME>Sizes</FNAME><FVALUE>S</FVALUE><FVALUE>M</FVALUE></FEATURE>"
    item = "<ARTICLE><sku>{n}</sku><name>Mug</name>{features}</ARTICLE>"
    items = (
        item.format(n=n, features=features.replace("{more}", each))
        for n, each in enumerate(["", more])
    )
    name = features[1 : features.index(">")]
    options = ReadOptions(columns={"attributes": [name]} if name.islower() else {})
    rows, _, findings = read(write(tmp_path, f"<T>{''.join(items)}</T>", "t.xml"), options)
    assert rows[0].attributes["Colour"] == "red" and not findings
    assert rows[1].attributes["Colour"] == "red" and rows[1].attributes["Sizes"] == "S, M"


@pytest.mark.parametrize(
    "product",
    [
        "<product><RecordReference>p{n}</RecordReference><Form>BB</Form><Detail><TitleDetail>"
        "<TitleType>01</TitleType><TitleElement><TitleText>Mug {n}</TitleText></TitleElement>"
        "</TitleDetail></Detail><Supply><SupplyDetail><Supplier><SupplierName>A</SupplierName>"
        "</Supplier><Price><PriceType>02</PriceType><PriceAmount>5</PriceAmount></Price>"
        "</SupplyDetail></Supply></product>",
        "<product><a001>p{n}</a001><detail><b012>BB</b012><titledetail><b202>01</b202>"
        "<titleelement><b203>Mug {n}</b203></titleelement></titledetail></detail><supply>"
        "<supplydetail><price><x462>02</x462><j151>5</j151></price></supplydetail></supply>"
        "</product>",
        "<tradeItem><information><extension><module><about><itemNumber>p{n}</itemNumber>"
        "<tradeItemDescription>Mug {n}</tradeItemDescription><price>5</price></about></module>"
        "</extension></information><size><unit>ml</unit></size></tradeItem>",
        "<product><Артикул>p{n}</Артикул><Наименование>Mug {n}</Наименование><Цены><Цена>"
        "<ИдТипаЦены>7</ИдТипаЦены><ЦенаЗаЕдиницу>5</ЦенаЗаЕдиницу></Цена></Цены></product>",
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_a_product_is_no_part_of_it_however_deep_its_fields(
    tmp_path: Path, product: str, count: int
) -> None:
    feed = "".join(product.replace("{n}", str(number)) for number in range(1, count + 1))
    rows, _, _ = read(write(tmp_path, f"<feed>{feed}</feed>", "feed.xml"))
    found = [(row.product_id, row.title, row.price) for row in rows]
    assert found == [("p1", "Mug 1", 5), ("p2", "Mug 2", 5)][:count]


def test_what_is_said_to_be_nothing_is_no_text(tmp_path: Path) -> None:
    one = "<p><id>%d</id><name>Mug %d</name><description %s/><price %s/></p>"
    nil, null = ('i:nil="true"',) * 2, ('m:null="true"',) * 2
    rows = "".join(one % (n, n, *each) for n, each in enumerate((nil, null)))
    path = write(tmp_path, f'<r xmlns:i="http://x.org/i" xmlns:m="http://x.org/m">{rows}</r>')
    products, bad, findings = read(path)
    assert [(row.title, row.description, row.price) for row in products] == [
        ("Mug 0", "", None),
        ("Mug 1", "", None),
    ]
    assert not bad and not findings


def test_the_name_of_a_field_is_no_value_of_it(tmp_path: Path) -> None:
    brand = '<property name="brand"><value>Acme</value></property>'
    fields = f'<properties>{brand}<property name="description"></property></properties>'
    name = '<name><language id="1">Mug</language><language id="2"></language></name>'
    items = "".join(f"<product><id>{n}</id>{name}{fields}</product>" for n in (1, 2))
    rows, _, _ = read(write(tmp_path, f"<feed>{items}</feed>", "feed.xml"))
    found = [(row.product_id, row.title, row.brand, row.description) for row in rows]
    assert found == [("1", "Mug", "Acme", ""), ("2", "Mug", "Acme", "")]
