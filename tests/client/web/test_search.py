"""The page that searches."""

from __future__ import annotations

import re

import pytest

from tests.client.fake_service import UNAVAILABLE, FakeService
from tests.client.web.conftest import PNG, Browser
from twinshelf.v1 import product_pb2


@pytest.fixture(autouse=True)
def products(service: FakeService) -> None:
    for number in range(40):
        product_id = f"p{number:02}"
        service.products[product_id] = product_pb2.Product(
            product_id=product_id, title=f"Red tea {number} bags", seller="Shop & Co", price=3.5
        )
    service.products["p00"].image_uri = "tea.png"
    service.products["p01"].image_uri = "https://elsewhere.example/tea.png"


def test_an_empty_search_says_what_to_do(browser: Browser, service: FakeService) -> None:
    answer = browser.get("/")
    assert answer.status_code == 200 and "Give a photo, a title, or both" in answer.text
    assert not service.calls["MatchProduct"]


def test_a_title_in_the_address_finds_products(browser: Browser, service: FakeService) -> None:
    text = browser.get(
        "/?title=red+tea+0+bags&match_count=3&min_probability=0.25&match_prior=1.0"
    ).text
    assert service.last_match is not None
    assert service.last_match.offer.title == "red tea 0 bags"
    assert service.last_match.match_count == 3 and service.last_match.match_prior == 1
    assert service.last_match.min_probability == pytest.approx(0.25)
    assert "95.0%" in text and "3.50" in text and "Shop &amp; Co" in text
    assert "<dt>agree</dt><dd>red, tea, 0 bags</dd>" in text
    assert "<dt>clash</dt><dd>0 bags ≠ 1 bags</dd>" in text
    assert "same item: <b>3.0%</b>" in text


def test_a_photo_is_sent_once_and_named_by_its_content(
    browser: Browser, service: FakeService
) -> None:
    answer = browser.send(
        "/", {"title": "tea"}, files={"file": ("a.png", PNG)}, follow_redirects=False
    )
    assert answer.status_code == 303
    link = answer.headers["location"]
    assert browser.get(link + "&has_own_weights=1&image_weight=0.75").status_code == 200
    assert service.last_match is not None and service.last_match.offer.image == PNG
    assert service.last_match.weights.image == pytest.approx(0.75)
    name = link.split("photo=")[1]
    kept = browser.get(f"/kept-photo/{name}")
    assert kept.content == PNG and kept.headers["content-type"] == "image/png"


def test_a_photo_that_is_no_longer_kept_is_asked_for_again(browser: Browser) -> None:
    answer = browser.get("/?photo=" + "0" * 64)
    assert answer.status_code == 404 and "choose it again" in answer.text


def test_what_is_no_photo_is_refused(browser: Browser, service: FakeService) -> None:
    answer = browser.send("/", files={"file": ("a.png", b"<svg onload=alert(1)>")})
    assert answer.status_code == 400 and "JPEG, PNG or WebP" in answer.text
    assert not service.calls["MatchProduct"]


@pytest.mark.parametrize(
    "query", ["match_count=x", "match_count=0", "match_count=1.5", "min_probability=2",
              "match_prior=0", "image_weight=nan", "page=0", "match_count=inf"]
)  # fmt: skip
def test_a_value_out_of_range_is_told(browser: Browser, query: str) -> None:
    answer = browser.get(f"/?title=tea&{query}")
    assert answer.status_code == 400 and "must be" in answer.text


def test_results_are_paged(browser: Browser) -> None:
    text = browser.get("/?title=tea&match_count=40").text
    assert text.count('class="card') - text.count('class="cards') == 24
    assert "page 1 of 2" in text and "match_count=40&amp;page=2" in text
    assert "page 2 of 2" in browser.get("/?title=tea&match_count=40&page=2").text


def test_photos_of_this_machine_are_shown_and_others_by_thumbnail_and_link(
    browser: Browser, service: FakeService
) -> None:
    service.products["p01"].image = PNG
    text = browser.get("/?title=tea&match_count=3").text
    assert 'src="/product-photo?uri=tea.png"' in text
    assert 'href="https://elsewhere.example/tea.png" rel="noreferrer noopener"' in text
    assert 'src="http' not in text and 'src="/thumbnail?id=p01"' in text
    assert browser.get("/product-photo?uri=tea.png").content == PNG
    assert browser.get("/thumbnail?id=p01").content == b"small " + PNG


def test_a_product_without_a_thumbnail_has_a_picture_that_says_so(
    browser: Browser, service: FakeService
) -> None:
    answer = browser.get("/thumbnail?id=p02")
    assert answer.headers["content-type"] == "image/svg+xml" and "no photo" in answer.text
    service.failures = [UNAVAILABLE] * 9
    assert browser.get("/thumbnail?id=p01").status_code == 200


def test_filters_of_the_form_go_to_the_service_and_into_the_link(
    browser: Browser, service: FakeService
) -> None:
    query = (
        "category=Grocery%2FTea&brand=a%7Cb&price_from=1.5&price_to=9.5"
        "&conditions=attributes.colour%3Dred%3B+seller%21%3Dacme&per_seller=2"
    )
    text = browser.get(f"/?title=tea&{query}").text
    assert service.last_match is not None
    category, brand, price, colour, seller = service.last_match.filter.all_of.filters
    assert category.category.values == ["Grocery/Tea"] and brand.brand.values == ["a", "b"]
    assert (price.price.min, price.price.max) == (1.5, 9.5)
    assert colour.attribute.name == "colour" and colour.attribute.values == ["red"]
    assert seller.none_of.filters[0].seller.values == ["acme"]
    assert service.last_match.value_limit.field == "seller"
    assert service.last_match.value_limit.match_count == 2
    assert "The filters allow 40 products." in text
    assert query.replace("&", "&amp;") in text


@pytest.mark.parametrize("query", ["price_from=9&price_to=1", "price_to=-1", "price_to=inf",
                                   "conditions=colour", "per_seller=-1"])  # fmt: skip
def test_a_filter_that_cannot_be_read_is_told(browser: Browser, query: str) -> None:
    answer = browser.get(f"/?title=tea&{query}")
    assert answer.status_code == 400 and "must" in answer.text


def test_popularity_is_shown_and_counts_only_when_it_is_asked_to(
    browser: Browser, service: FakeService
) -> None:
    service.products["p02"].attributes["views"] = "12,345"

    def order(query: str) -> list[str]:
        return re.findall(r'href="/catalogue/product\?id=(\w+)" data-step', browser.get(query).text)

    assert "12,345 views" in browser.get("/?title=tea&match_count=3").text
    assert order("/?title=tea&match_count=3") == ["p00", "p01", "p02"]
    assert order("/?title=tea&match_count=3&popularity=0.5") == ["p02", "p00", "p01"]
