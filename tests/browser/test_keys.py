"""The page before a service that wants keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.site import Site, serve_site
from twinshelf.client.api_keys import add_key
from twinshelf.client.key_file import changing_keys
from twinshelf.v1 import access_pb2


@pytest.fixture
def reading_key(tmp_path: Path) -> str:
    with changing_keys(tmp_path / "keys.json") as keys:
        wanted = access_pb2.ApiKey(scope=access_pb2.ACCESS_SCOPE_READ)
        return add_key(keys, wanted, datetime.now(UTC)).token


@pytest.fixture
def site(tmp_path: Path, reading_key: str) -> Iterator[Site]:
    with serve_site(tmp_path, tmp_path / "keys.json") as site:
        yield site


def test_a_key_is_asked_for_and_leads_back(
    site: Site, open_page: OpenPage, reading_key: str
) -> None:
    page = open_page("/?title=tea")
    page.get_by_label("API key").fill("ts_wrong_key")
    page.get_by_role("button", name="Use this key").click()
    page.get_by_label("API key").fill(reading_key)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("holds no products yet").wait_for()
    assert page.url == f"{site.address}/?title=tea"
    assert reading_key not in page.content()


def test_the_review_asks_for_a_key(site: Site, open_page: OpenPage, reading_key: str) -> None:
    page = open_page("/review")
    assert page.request.get("/review/pairs.csv").status == 401
    page.get_by_label("API key").fill(reading_key)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("No pair waits for you").wait_for()
    assert page.request.get("/review/pairs.csv").ok


def test_who_follows_a_link_of_another_site_is_still_known(
    site: Site, open_page: OpenPage, reading_key: str
) -> None:
    page = open_page("/catalogue")
    page.get_by_label("API key").fill(reading_key)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("The catalogue is empty").wait_for()
    other = page.context.new_page()
    link = f'<a href="{site.address}/catalogue">link</a>'
    other.route(
        "http://elsewhere.example/",
        lambda route: route.fulfill(body=link, content_type="text/html"),
    )
    other.goto("http://elsewhere.example/")
    other.get_by_text("link").click()
    other.get_by_text("The catalogue is empty").wait_for()
    assert other.get_by_label("API key").count() == 0


def test_a_key_for_reading_may_not_store(site: Site, open_page: OpenPage, reading_key: str) -> None:
    page = open_page("/catalogue")
    page.get_by_label("API key").fill(reading_key)
    page.get_by_role("button", name="Use this key").click()
    page.set_input_files(
        "[name=file]", {"name": "a.csv", "mimeType": "text/csv", "buffer": b"id,title\n1,tea\n"}
    )
    page.get_by_role("button", name="Look at it first").click()
    page.get_by_role("button", name="Store 1 product").click()
    page.get_by_role("alert").wait_for()
    assert "key" in page.get_by_role("alert").inner_text()
