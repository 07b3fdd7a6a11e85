"""The map of the catalogue: its sample, its layout, and the products that it marks."""

from __future__ import annotations

import random

import pytest

from tests.client.fake_service import FakeService
from tests.client.web.conftest import Browser
from twinshelf.client.records import Product, ProductEmbedding
from twinshelf.client.web import product_map
from twinshelf.client.web.product_map import SIZE, draw_map, name_categories
from twinshelf.v1 import catalog_service_pb2, product_pb2


def near(axis: int, randomness: random.Random) -> tuple[float, ...]:
    """Makes an embedding near one of four axes."""
    return tuple((place == axis) + randomness.gauss(0, 0.05) for place in range(4))


def make_sample(count: int = 40) -> tuple[list[Product], list[ProductEmbedding]]:
    """Makes tea and pans by turns; the last product is a pan among the tea."""
    randomness = random.Random(0)
    products, embeddings = [], []
    for number in range(count):
        name = "Tea/Green" if number % 2 == 0 or number == count - 1 else "Pans"
        products.append(Product(product_id=f"p{number}", category=name))
        embeddings.append(
            ProductEmbedding(
                product_id=f"p{number}",
                image=near(number % 2, randomness) if number % 3 else (),
                text=near(number % 2, randomness),
            )
        )
    return products, embeddings


def test_products_of_two_kinds_lie_apart_and_the_odd_one_is_marked() -> None:
    drawn = draw_map(*make_sample())
    assert drawn.outliers[0].product.product_id == "p39"
    assert all(0 <= place <= SIZE for dot in drawn.dots for place in (dot.x, dot.y))
    tea = [dot.x for dot in drawn.dots[:-1] if dot.category == "Tea"]
    pans = [dot.x for dot in drawn.dots if dot.category == "Pans"]
    assert max(tea) < min(pans) or max(pans) < min(tea)
    assert dict(drawn.legend) == {"Tea": 21, "Pans": 19}


def test_equal_embeddings_are_no_fault() -> None:
    products, _ = make_sample(3)
    same = [ProductEmbedding(product_id="p", image=(), text=(1.0, 0.0))] * 3
    assert draw_map(products, same).shown_share == 0


def test_categories_are_named_by_the_first_level_that_differs() -> None:
    paths = ["Shop/Tea/Green", "Shop > Tea > Black", "Shop/Pans", ""]
    products = [Product(product_id="p", category=path) for path in paths]
    assert name_categories(products) == ["Shop / Tea", "Shop / Tea", "Shop / Pans"] + [
        "without category"
    ]
    many = [Product(product_id="p", category=f"c{min(n, 11)}") for n in range(20)]
    assert name_categories(many).count("other") == 4


def test_the_page_shows_the_products_and_escapes_their_titles(
    browser: Browser, service: FakeService
) -> None:
    assert "A map needs three products" in browser.get("/catalogue/map").text
    for number in range(6):
        service.products[f"p{number}"] = product_pb2.Product(
            product_id=f"p{number}", title="<script>tea", category="Tea"
        )
    text = browser.get("/catalogue/map").text
    assert (
        text.count('class="c0"') == 7 and "&lt;script&gt;tea" in text and "<script>tea" not in text
    )
    assert "/catalogue/product?id=p3" in text and "another sample" not in text


def test_of_many_products_a_sample_is_shown(
    browser: Browser, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_map, "SAMPLE_COUNT", 30)
    monkeypatch.setattr(product_map, "_RUN_COUNT", 3)
    monkeypatch.setattr(product_map, "_RUN_LENGTH", 5)
    for number in range(100):
        product = product_pb2.Product(product_id=f"p{number:02}")
        service.products[product.product_id] = product
        service.changes.append(
            catalog_service_pb2.ProductChange(
                product_id=product.product_id,
                kind=catalog_service_pb2.CHANGE_KIND_UPSERTED,
                product=product,
            )
        )
    text = browser.get("/catalogue/map?sample=7").text
    assert 3 <= text.count('r="4"') <= 15 and "of 100, drawn at random" in text
    assert "another sample" in text
