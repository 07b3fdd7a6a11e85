"""What JSON nests: prices of offers and variants, and lists that follow one another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.files.tables import read, write
from twinshelf.client.files.rows import ProductFileError


@pytest.mark.parametrize(
    "told",
    [
        {"offers": [{"@type": "Offer", "price": "12.50"}]},
        {"offers": {"@type": "AggregateOffer", "lowPrice": "12.50", "highPrice": 19}},
        {"offers": {"@type": "AggregateOffer", "offers": [{"price": 12.5}, {"price": 14}]}},
        {"offers": {"priceSpecification": [{"price": 12.5, "priceCurrency": "EUR"}]}},
        {"price": [{"amount": "12.50", "currency": "EUR"}, {"amount": "14", "currency": "USD"}]},
        {"prices": [{"currency": "EUR", "value": "12.50"}]},
        {"variants": [{"id": 5, "title": "Default", "price": "12.50"}]},
        {"skus": [{"sku_id": 5, "price": 12.5}]},
        {"variations": [{"colour": "red", "price": 12.5}]},
        {"variants": {"edges": [{"node": {"id": 5, "price": "12.50"}}]}},
        {"variants": {"nodes": [{"price": "12.50"}]}},
        {"values": {"price": [{"scope": None, "data": [{"amount": "12.50", "currency": "EUR"}]}]}},
        {"variants": [{"pricing": {"basePrice": {"value": "12.50"}, "onSale": False}}]},
        {"pricing": {"priceRange": {"start": {"gross": {"amount": 12.5}}}}},
        {"prices": {"price": "1250", "sale_price": "1250", "currency_minor_unit": 2}},
    ],
)
def test_prices_are_found_where_they_are_nested(tmp_path: Path, told: dict[str, object]) -> None:
    products = [{"sku": f"a{n}", "name": f"Mug {n}", **told} for n in (1, 2)]
    rows, bad, findings = read(write(tmp_path, json.dumps(products), "t.json"))
    found = [(row.product_id, row.title, row.price) for row in rows]
    assert found == [("a1", "Mug 1", 12.5), ("a2", "Mug 2", 12.5)] and not bad + findings


def test_each_product_may_nest_its_price_in_another_way(tmp_path: Path) -> None:
    offers = [{"price": 3}, {"lowPrice": "7.50", "highPrice": 9}, [{"price": 4}], {"url": "x"}]
    products = [{"sku": n, "name": "Mug", "offers": each} for n, each in enumerate(offers)]
    rows, _, _ = read(write(tmp_path, json.dumps(products), "t.json"))
    assert [row.price for row in rows] == [3, 7.5, 4, None]


def test_values_of_akeneo_are_read(tmp_path: Path) -> None:
    values = {
        "name": [{"locale": "en_US", "scope": None, "data": "Mug"}],
        "price": [{"locale": None, "data": [{"amount": "5.00", "currency": "EUR"}]}],
    }
    items = [{"identifier": f"a{n}", "enabled": True, "values": values} for n in (1, 2)]
    answer = {"_links": {"self": {"href": "x"}}, "_embedded": {"items": items}}
    rows, _, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
    assert [(row.product_id, row.title, row.price) for row in rows] == [
        ("a1", "Mug", 5),
        ("a2", "Mug", 5),
    ]


def test_fields_are_found_however_deep_their_objects(tmp_path: Path) -> None:
    variant = {
        "sku": "s1",
        "prices": [{"value": {"centAmount": 999, "fractionDigits": 2}}],
        "images": [{"url": "http://a.b/1.jpg"}],
    }
    current = {"name": {"en": "Mug", "de": "Tasse"}, "masterVariant": variant}
    seller = {"title": "Acme", "account": {"name": "acme"}}
    product = {"version": 4, "seller": seller, "masterData": {"current": current}}
    answer = {"results": [{"id": "a1", **product}, {"id": "a2", **product}]}
    rows, _, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
    found = [(row.product_id, row.title, row.price) for row in rows]
    assert found == [("a1", "Mug", 9.99), ("a2", "Mug", 9.99)]
    assert [photo.name for photo in rows[0].photos] == ["http://a.b/1.jpg"]
    for within in (
        {"data": {"product": {"id": "a1", "name": "Mug", "price": 9.99}}},
        {"product": {"about": {"id": "a1", "title": "Mug"}, "pricing": {"price": 9.99}}, "at": 5},
    ):
        rows, _, _ = read(write(tmp_path, json.dumps([within, within | {"at": 6}]), "t.json"))
        assert (rows[0].product_id, rows[0].title, rows[0].price) == ("a1", "Mug", 9.99)


def test_of_several_offers_or_variants_the_first_has_the_price(tmp_path: Path) -> None:
    lines = (
        '{"id": 1, "title": "Lamp", "offers": [{"price": "12.50"}, {"price": 14}]}\n'
        '{"id": 2, "title": "Mug", "offers": []}\n{"id": 3, "title": "Hat", "offers": {"price": 9}}'
    )
    rows, bad, _ = read(write(tmp_path, lines, "t.jsonl"))
    assert [row.price for row in rows] == [12.5, None, 9.0] and not bad
    products = [{"id": 1, "title": "Lamp", "variants": [{"title": "Default", "price": "3.00"}]}]
    (row,), _, _ = read(write(tmp_path, json.dumps({"products": products}), "t.json"))
    assert (row.title, row.price) == ("Lamp", 3.0)


@pytest.mark.parametrize(
    "within",
    [
        {"items": [{"itemId": 7, "sellers": [{"sellerName": "A", "offer": {"Price": 5}}]}]},
        {"sizes": [{"techSize": "0", "price": 5}, {"techSize": "1", "price": 6}]},
    ],
)
def test_a_price_that_only_parts_have_is_that_of_the_first(
    tmp_path: Path, within: dict[str, object]
) -> None:
    products = [{"id": n, "title": "Mug"} | within for n in (1, 2)]
    rows, _, _ = read(write(tmp_path, json.dumps(products), "t.json"))
    assert [(row.title, row.price) for row in rows] == [("Mug", 5)] * 2


def test_photos_of_variants_come_behind_those_of_the_product(tmp_path: Path) -> None:
    variants = [{"id": 5, "price": "3.00", "featured_image": {"src": "http://a.b/5.jpg"}}]
    products = [
        {"id": n, "title": "Lamp", "images": [{"src": f"http://a.b/{n}.jpg"}], "variants": variants}
        for n in (1, 2)
    ]
    rows, _, _ = read(write(tmp_path, json.dumps({"products": products}), "t.json"))
    names = [[photo.name for photo in row.photos] for row in rows]
    assert names == [
        ["http://a.b/1.jpg", "http://a.b/5.jpg"],
        ["http://a.b/2.jpg", "http://a.b/5.jpg"],
    ]


def test_attributes_of_magento_are_fields(tmp_path: Path) -> None:
    told = {"description": "Soft", "special_price": "4.50", "image": "/b/m.jpg", "has_options": "0"}
    pairs = [{"attribute_code": code, "value": value} for code, value in told.items()]
    items = [
        {"id": n, "sku": f"M-{n}", "name": "Mug", "price": 5, "custom_attributes": pairs}
        for n in (1, 2)
    ]
    (row, _), _, _ = read(write(tmp_path, json.dumps({"items": items}), "t.json"))
    assert (row.description, row.price, row.photos[0].name) == ("Soft", 4.5, "/b/m.jpg")


def test_a_number_of_the_shop_comes_before_an_address_of_json_ld(tmp_path: Path) -> None:
    items = [{"@type": "Product", "@id": f"http://a.b/{n}#p", "sku": f"S{n}"} for n in (1, 2)]
    for own, expected in ((items, "S1"), ([{**i, "sku": None} for i in items], "http://a.b/1#p")):
        products = [{k: v for k, v in each.items() if v} | {"name": "Mug"} for each in own]
        rows, _, _ = read(write(tmp_path, json.dumps(products), "t.json"))
        assert rows[0].product_id == expected


def test_an_answer_that_is_called_body_is_no_description(tmp_path: Path) -> None:
    items = [{"itemId": n, "displayName": f"Mug {n}", "listPrice": 5} for n in (1, 2)]
    answer = {"status": 200, "headers": {"a": "b"}, "body": {"result": {"items": items}}}
    rows, _, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
    assert [(row.product_id, row.title) for row in rows] == [("1", "Mug 1"), ("2", "Mug 2")]


def test_an_answer_that_a_gateway_passes_on_as_text_is_read(tmp_path: Path) -> None:
    items = [{"id": f"a{n}", "title": f"Mug {n}", "price": 5} for n in (1, 2)]
    for within in ({"products": items}, {"items": items}, items):
        answer = {"statusCode": 200, "headers": {"a": "b"}, "body": json.dumps(within)}
        rows, _, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
        assert [(row.product_id, row.title) for row in rows] == [("a1", "Mug 1"), ("a2", "Mug 2")]


def test_products_under_headings_are_read(tmp_path: Path) -> None:
    items = [{"id": n, "name": f"Mug {n}", "price": {"now": {"price": 5}}} for n in (1, 2, 3)]
    stacks = [{"title": "Best", "items": items[:2]}, {"title": "More", "items": items[2:]}]
    answer = {"props": {"page": {"stacks": stacks}}}
    rows, _, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
    assert [(row.product_id, row.title) for row in rows] == [
        ("1", "Mug 1"),
        ("2", "Mug 2"),
        ("3", "Mug 3"),
    ]


def test_the_only_summary_or_detail_of_a_list_is_read(tmp_path: Path) -> None:
    for name in ("summaries", "product_detail"):
        items = [{"asin": f"B{n}", name: [{"itemName": "Mug", "brand": "Acme"}]} for n in (1, 2)]
        rows, _, _ = read(write(tmp_path, json.dumps({"items": items}), "t.json"))
        assert [(row.product_id, row.title, row.brand) for row in rows] == [
            ("B1", "Mug", "Acme"),
            ("B2", "Mug", "Acme"),
        ]


def _objects(start: int, end: int) -> list[dict[str, object]]:
    return [{"id": n, "title": f"Shoe {n}", "pad": "x" * 1000} for n in range(start, end)]


@pytest.mark.slow
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    ("further", "count"),
    [
        ({"items": _objects(1500, 2000)}, 2000),
        ({"total": 3, "more": {"a": 1}, "others": _objects(1500, 2000), "n": 5}, 2000),
        ({"facets": [{"name": "Brand"}], "items": _objects(1500, 2000)}, 2000),
        ({"categories": [{"id": 7, "title": "Shoes", "pad": ""}], "page": {"n": 1}}, 1500),
        ({"stores": [{"id": 7, "name": "Here", "city": "Ulm"}]}, 1500),
    ],
)
def test_each_list_of_products_in_a_long_answer_is_read(
    tmp_path: Path, further: dict[str, object], count: int, indent: int | None
) -> None:
    answer = json.dumps({"products": _objects(0, 1500), **further}, indent=indent)
    rows, bad, _ = read(write(tmp_path, answer, "t.json"))
    assert [row.product_id for row in rows] == [str(n) for n in range(count)] and not bad


def test_lines_behind_a_product_that_name_it_are_its_variants_and_photos(tmp_path: Path) -> None:
    product, variant = "gid://shopify/Product/%d", "gid://shopify/ProductVariant/%d"
    lines: list[dict[str, object]] = []
    for n, name in enumerate(("Mug", "Hat"), start=1):
        parent = {"__parentId": product % n}
        lines.append({"id": product % n, "title": name, "vendor": "Acme"})
        lines.append({"id": "m", "image": {"url": f"https://c.example.org/{n}.jpg"}, **parent})
        for size in range(2 * n):
            price = f"{n}.{size}0"
            lines.append({"id": variant % size, "title": f"{size} l", "price": price, **parent})
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "bulk.jsonl")
    rows, bad, findings = read(path)
    assert [(row.title, row.price, len(row.photos)) for row in rows] == [
        ("Mug", 1.0, 1),
        ("Hat", 2.0, 1),
    ]
    assert not bad and findings[-1].startswith("8 rows joined to the row before")


def test_a_variant_without_a_name_joins_the_product_that_it_names(tmp_path: Path) -> None:
    lines = "id,parent_id,name,price\n1,,Mug,\n2,1,,5\n3,1,Big mug,6\n"
    rows, bad, _ = read(write(tmp_path, lines))
    assert [(row.title, row.price) for row in rows] == [("Mug", 5.0), ("Big mug", 6.0)]
    assert not bad


def test_the_number_of_a_brand_elsewhere_in_an_answer_is_no_brand(tmp_path: Path) -> None:
    brand = {"brand": {"data": {"type": "brands", "id": "9"}}}
    goods = [
        {"type": "products", "id": n, "attributes": {"name": "Mug"}, "relationships": brand}
        for n in "12"
    ]
    rows, bad, _ = read(write(tmp_path, json.dumps({"data": goods}), "t.json"))
    assert [(row.product_id, row.title, row.brand) for row in rows] == [
        ("1", "Mug", ""),
        ("2", "Mug", ""),
    ]
    assert not bad


@pytest.mark.parametrize(
    ("before", "around", "behind"),
    [
        (
            [{"type": "SCHEMA", "stream": "p", "schema": {"properties": {"name": {}}}}],
            lambda row: {"type": "RECORD", "stream": "p", "record": row},
            [{"type": "STATE", "value": {"bookmarks": {"p": 2}}}],
        ),
        (
            [{"type": "LOG", "log": {"level": "INFO", "message": "begun"}}],
            lambda row: {"type": "RECORD", "record": {"stream": "p", "data": row, "emitted_at": 1}},
            [{"type": "STATE", "state": {"data": {"cursor": 2}}}],
        ),
        (
            [],
            lambda row: {
                "schema": {"type": "struct", "name": "shop.products.Envelope"},
                "payload": {"before": None, "after": row, "op": "c", "source": {"name": "shop"}},
            },
            [{"payload": {"before": {"id": 3, "name": "Lid"}, "after": None, "op": "d"}}],
        ),
    ],
)
def test_rows_in_messages_of_streams_are_read(
    tmp_path: Path,
    before: list[object],
    around: Callable[[object], object],
    behind: list[object],
) -> None:
    mugs = [around({"id": n, "name": f"Mug {n}", "price": n + 0.5}) for n in (1, 2)]
    lines = "\n".join(map(json.dumps, [*before, *mugs, *behind]))
    rows, bad, said = read(write(tmp_path, lines, "t.jsonl"))
    found = [(row.product_id, row.title, row.price) for row in rows]
    assert found == [("1", "Mug 1", 1.5), ("2", "Mug 2", 2.5)] and not bad + said


@pytest.mark.parametrize("key", ["jsonld", "json-ld", "ld_json"])
def test_what_a_crawled_page_says_of_its_product_is_read(tmp_path: Path, key: str) -> None:
    pages = [
        {"url": f"https://x/{n}", key: [{"@type": "Organization", "name": "Shop"}, product]}
        for n in (1, 2)
        for product in [{"@type": "Product", "sku": f"s{n}", "name": f"Mug {n}"}]
    ]
    rows, bad, said = read(write(tmp_path, "\n".join(map(json.dumps, pages)), "t.jsonl"))
    found = [(row.product_id, row.title) for row in rows]
    assert found == [("s1", "Mug 1"), ("s2", "Mug 2")] and not bad + said


def test_rows_of_bigquery_are_refused_by_name(tmp_path: Path) -> None:
    rows = [{"f": [{"v": str(n)}, {"v": f"Mug {n}"}]} for n in (1, 2)]
    answer = json.dumps({"kind": "bigquery#queryResponse", "rows": rows})
    for content in ("\n".join(map(json.dumps, rows)), answer):
        with pytest.raises(ProductFileError, match="rows as BigQuery's service answers them"):
            read(write(tmp_path, content, "t.json"))


def test_products_of_several_shops_are_products_and_the_shops_none(tmp_path: Path) -> None:
    shops = [
        {"name": f"Shop {n}", "products": [{"id": f"p{n}", "name": f"Mug {n}", "price": n}]}
        for n in (1, 2)
    ]
    rows, bad, _ = read(write(tmp_path, json.dumps({"stores": shops}), "t.json"))
    assert [(row.product_id, row.title) for row in rows] == [("p1", "Mug 1"), ("p2", "Mug 2")]
    assert not bad


def test_files_with_marks_of_their_encoding_may_be_joined(tmp_path: Path) -> None:
    lines = ["\ufeff" + json.dumps({"id": n, "title": f"Mug {n}"}) for n in (1, 2, 3)]
    for content in ("\n".join(lines), "\n".join(f"\ufeff[{line[1:]}]" for line in lines)):
        rows, bad, _ = read(write(tmp_path, content, "t.json"))
        assert [row.product_id for row in rows] == ["1", "2", "3"] and not bad


def test_sections_within_sections_lose_no_product(tmp_path: Path) -> None:
    def section(n: int) -> dict[str, object]:
        return {"name": f"Part {n}", "products": [{"id": f"p{n}", "name": f"Mug {n}", "price": n}]}

    within = {"name": "Part 0", "subcategories": [section(2), section(3)]}
    shop = {"catalog": {"categories": [section(1), within]}}
    rows, bad, _ = read(write(tmp_path, json.dumps(shop), "t.json"))
    assert [row.product_id for row in rows] == ["p1", "p2", "p3"] and not bad


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"products": [], "total": 0}, "no product: its list 'products' is empty"),
        ({"error": {"code": 401, "message": "Unauthorized"}}, "an error, .*: .*Unauthorized"),
    ],
)
def test_an_answer_without_products_says_so(tmp_path: Path, answer: object, reason: str) -> None:
    with pytest.raises(ProductFileError, match=reason):
        read(write(tmp_path, json.dumps(answer), "t.json"))


def test_objects_that_stand_in_texts_are_read(tmp_path: Path) -> None:
    texts = [json.dumps({"id": n, "title": f"Mug {n}"}) for n in (1, 2)]
    for content in (json.dumps(texts), "\n".join(map(json.dumps, texts))):
        rows, bad, _ = read(write(tmp_path, content, "t.json"))
        assert [row.title for row in rows] == ["Mug 1", "Mug 2"] and not bad


@pytest.mark.parametrize(
    "part",
    [
        {"variants": [{"id": 5, "title": "Red", "price": 9, "sku": "m-5", "barcode": "4006381"}]},
        {"variants": {"edges": [{"node": {"id": 5, "title": "Red", "price": 9}}]}},
        {"price": 9, "related": [{"id": 5, "title": "Cup", "price": 3, "vendor": "Falk"}]},
    ],
)
def test_the_one_product_of_an_answer_is_no_variant_of_its_own(
    tmp_path: Path, part: dict[str, object]
) -> None:
    mug = {"id": 1, "title": "Mug", "vendor": "Falk", "product_type": "Mugs", **part}
    for answer in ({"product": mug}, {"status": "ok", "data": {"item": mug}}):
        rows, bad, _ = read(write(tmp_path, json.dumps(answer), "t.json"))
        found = [(row.product_id, row.title, row.price, row.brand) for row in rows]
        assert found == [("1", "Mug", 9.0, "Falk")] and not bad


def test_the_heading_of_a_list_is_no_product(tmp_path: Path) -> None:
    mugs = [{"id": n, "title": f"Mug {n}", "price": n} for n in (1, 2)]
    section = {"category": {"id": 7, "title": "Mugs", "image": "a.jpg", "products": mugs}}
    rows, bad, _ = read(write(tmp_path, json.dumps(section), "t.json"))
    assert [row.title for row in rows] == ["Mug 1", "Mug 2"] and not bad
