"""The map of the catalogue: its sample, its layout, and the products that it marks."""

from __future__ import annotations

import html
import random
import re

import pytest

from tests.client.fake_service import REFUSED, FakeService
from tests.client.web.conftest import Browser
from twinshelf.client.records import Product, ProductEmbedding
from twinshelf.client.web import product_map
from twinshelf.client.web.product_map import SIZE, draw_map, name_categories
from twinshelf.v1 import product_pb2


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


DOT = re.compile(r'product\?id=p(\d+)" tabindex')
NEXT = re.compile(r'href="(/catalogue/map\?sample=[^"]*)"')


@pytest.fixture
def large(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of which a sample reads a part alone, and shows a part of that."""
    monkeypatch.setattr(product_map, "SAMPLE_COUNT", 10)
    monkeypatch.setattr(product_map, "_PAGES_READ", 4)
    monkeypatch.setattr(product_map, "_PAGE_SIZE", 10)
    for number in range(100):
        service.products[f"p{number:02}"] = product_pb2.Product(product_id=f"p{number:02}")


@pytest.mark.usefixtures("large")
def test_of_many_products_samples_are_shown_until_each_had_its_turn(
    browser: Browser, service: FakeService
) -> None:
    address = "/catalogue/map?sample=7"
    stretches = []
    for _ in range(3):
        text = browser.get(address).text
        shown = [int(each) for each in DOT.findall(text)]
        assert len(set(shown)) == 10 and "10 products of 100, drawn at random from 40" in text
        stretches.append({number // 10 for number in shown})
        address = html.unescape(NEXT.findall(text)[0])
    assert stretches[0] <= {0, 1, 2, 3} and stretches[1] <= {4, 5, 6, 7}
    assert stretches[2] <= {8, 9, 0, 1} and len(set().union(*stretches)) > 6
    assert service.calls["ListProducts"] == 12 and not service.calls["WatchChanges"]


@pytest.mark.usefixtures("large")
def test_a_seed_chooses_the_sample(browser: Browser) -> None:
    first, again, other = (
        sorted(DOT.findall(browser.get(f"/catalogue/map?sample={seed}").text)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_sample_from_no_place_of_the_catalogue_is_refused(
    browser: Browser, service: FakeService
) -> None:
    service.method_failures = {"ListProducts": REFUSED}
    answer = browser.get("/catalogue/map?after=x")
    assert answer.status_code == 400 and "no such sample" in answer.text
