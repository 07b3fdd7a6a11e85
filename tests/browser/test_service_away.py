"""The page while its service is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.site import Site, serve_page
from tests.client.conftest import QUICK_RETRIES
from twinshelf.client.web.config import PageConfig

AWAY = "127.0.0.1:1"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    config = PageConfig(
        address=AWAY, judgements=tmp_path / "judgements.sqlite", retry_policy=QUICK_RETRIES
    )
    with serve_page(config) as address:
        yield Site(address, AWAY, tmp_path, config.judgements)


def test_every_page_says_so_in_a_sentence(site: Site, open_page: OpenPage) -> None:
    page = open_page("/")
    for path in ("/?title=tea", "/compare?title=tea", "/catalogue", "/catalogue/map", "/groups"):
        page.goto(path)
        page.get_by_role("alert").first.wait_for()
        assert "make up" in page.get_by_role("alert").first.inner_text()
    page.goto("/health")
    page.get_by_text("failed.").wait_for()
    page.goto("/review")
    page.get_by_text("No pair waits for you").wait_for()
