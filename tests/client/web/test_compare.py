"""The page that lays two answers side by side."""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.fake_service import REFUSED, FakeService, make_status, start_server
from tests.client.web.conftest import PNG, Browser, open_browser
from tests.client.web.test_catalogue import add, settle
from twinshelf.client.sync_client import Client
from twinshelf.client.web.background import Progress
from twinshelf.client.web.compare_form import read_compare
from twinshelf.client.web.compared_offers import ComparedFile
from twinshelf.client.web.config import PageConfig
from twinshelf.client.web.product_photos import ProductPhotos
from twinshelf.client.web.table_uploads import TableUploads


@pytest.fixture(autouse=True)
def products(service: FakeService) -> None:
    for name in "abcd":
        add(service, name, title=f"Red tea {name}")


@pytest.fixture
def beside(config: PageConfig) -> Iterator[tuple[Browser, FakeService, str]]:
    """A page that knows a second service, which has other products."""
    other = FakeService()
    for name in "bae":
        add(other, name, title=f"Red tea {name}")
    server, address = start_server(other)
    with open_browser(replace(config, other_addresses=(address,))) as client:
        yield Browser(client), other, address
    server.stop(0).wait()


def test_nothing_is_asked_before_there_is_a_query(browser: Browser, service: FakeService) -> None:
    text = browser.get("/compare").text
    assert "two ways to match them" in text and not service.calls["MatchProduct"]


def test_two_services_are_laid_side_by_side(
    beside: tuple[Browser, FakeService, str], service: FakeService
) -> None:
    browser, other, address = beside
    text = browser.get("/compare?title=tea").text
    assert service.calls["MatchProduct"] == other.calls["MatchProduct"] == 1
    assert "<b>2 of 4</b>" in text and text.count("<svg") == 2
    assert address in text and "encoder version 3" in text
    assert text.count('moved out">') == 2 and text.count('moved in">') == 1
    assert text.count(">same</span>") == 4


def test_a_photo_alone_is_compared_with_a_text_alone(
    browser: Browser, service: FakeService
) -> None:
    answer = browser.send(
        "/compare",
        {"title": "tea", "left_use": "photo", "right_use": "text", "brand": "acme"},
        files={"file": ("a.png", PNG)},
        follow_redirects=False,
    )
    assert answer.status_code == 303
    sent: list[tuple[bytes, str]] = []
    reply = service._matches

    def watch(request: object) -> object:
        sent.append((request.offer.image, request.offer.title))  # type: ignore[attr-defined]
        assert not request.HasField("weights")  # type: ignore[attr-defined]
        return reply(request)

    service._matches = watch  # type: ignore[method-assign, assignment]
    text = browser.get(answer.headers["location"]).text
    assert sorted(sent) == [(b"", "tea"), (PNG, "")]
    assert "photo alone" in text and "brand=acme" in text


def test_a_weight_is_sent_for_its_side(browser: Browser, service: FakeService) -> None:
    browser.get("/compare?title=tea&left_use=text&right_use=weighted&right_weight=0.25")
    assert service.calls["MatchProduct"] == 2


def test_a_query_without_a_photo_says_so_where_it_is_missed(browser: Browser) -> None:
    text = browser.get("/compare?title=tea").text
    assert "This query has no photo to match by." in text and "Red tea a" in text


def test_a_side_that_fails_leaves_the_other(beside: tuple[Browser, FakeService, str]) -> None:
    browser, other, _ = beside
    other.failures = [REFUSED]
    answer = browser.get("/compare?title=tea")
    assert answer.status_code == 200
    assert "the photo is not an image" in answer.text and "Red tea d" in answer.text


@pytest.mark.parametrize(
    "query", ["left_use=none", "right_weight=2", "right_weight=x", "left_service=elsewhere:1",
              "match_count=0", "photo=" + "0" * 64]
)  # fmt: skip
def test_what_cannot_be_compared_is_told(browser: Browser, query: str) -> None:
    answer = browser.get(f"/compare?title=tea&{query}")
    assert answer.status_code in (400, 404) and 'role="alert"' in answer.text


def test_a_file_of_offers_shows_its_largest_differences_first(
    beside: tuple[Browser, FakeService, str], service: FakeService
) -> None:
    browser, other, address = beside
    service.row_failures["Bad"] = [REFUSED]
    rows = b"id,title\n1,Red tea\n2,Bad\n3,\n4,Green tea\n"
    answer = browser.send(
        "/compare/files",
        {"match_count": "2", "right_service": address},
        files={"offers": ("offers.csv", rows)},
        follow_redirects=False,
    )
    page = answer.headers["location"]
    text = settle(browser, page)
    assert "<dt>offers</dt><dd>2</dd>" in text and "<dt>failed</dt><dd>1</dd>" in text
    assert "<dt>results in both</dt><dd>100.0%</dd>" in text
    assert text.index("the photo is not an image") < text.index("Green tea")
    by_row = browser.get(f"{page}?order=row").text
    assert by_row.index("Red tea</a>") < by_row.index("the photo is not an image")
    table = list(csv.DictReader(io.StringIO(browser.get(f"{page}/table.csv").text)))
    assert [each["offer_id"] for each in table] == ["1", "2", "4"]
    assert table[0]["left_first_id"] == "a" and table[0]["agreement"] == "1.0000"
    browser.client.cookies.clear()
    assert browser.get(page).status_code == 404


def test_of_a_product_only_what_is_shown_is_kept(
    service: FakeService, client: Client, address: str, tmp_path: Path
) -> None:
    for each in service.products.values():
        each.description = "long " * 10_000
    uploads = TableUploads(tmp_path, None)
    rows = io.BytesIO(b"title\ntea\nmug\n")
    upload = uploads.find(uploads.keep("offers.csv", rows, "anna"), "anna")
    assert upload is not None
    file = ComparedFile(
        name="offers.csv",
        visitor="anna",
        form=read_compare({"left_use": "text", "right_use": "text"}, (address,)),
        views_attribute="views",
        photos=ProductPhotos(None),
        progress=Progress(),
    )
    file.compare((client, client), upload)
    assert [each.has_same_first and bool(each.firsts[0]) for each in file.offers] == [True, True]
    assert len(pickle.dumps(file.offers)) < 2_000


def test_a_comparison_has_only_the_pages_it_has(browser: Browser) -> None:
    answer = browser.send("/compare/files", files={"offers": ("a.csv", b"title\ntea\n")})
    page = str(answer.url.path)
    settle(browser, page)
    for number in ("0", "2", "x", "9" * 30):
        assert browser.get(f"{page}?page={number}").status_code == 404


def test_a_comparison_without_a_file_is_refused(browser: Browser) -> None:
    answer = browser.send("/compare/files")
    assert answer.status_code == 400 and "Choose a file" in answer.text


def test_a_key_is_asked_for_before_a_file_is_compared(
    beside: tuple[Browser, FakeService, str], service: FakeService
) -> None:
    browser, other, address = beside
    other.method_failures = {"GetCatalogStats": make_status(16, "give an API key")}
    answer = browser.send(
        "/compare/files",
        {"right_service": address},
        files={"offers": ("a.csv", b"title\ntea\n")},
    )
    assert answer.status_code == 401 and 'name="key" type="password"' in answer.text
    assert not service.calls["MatchProducts"]
