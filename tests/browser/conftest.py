"""What the tests in a browser share: Chromium, a page that runs, and a window that is watched."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.site import Site, fill, serve_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DESKTOP, PHONE = (1280, 900), (390, 844)
OpenPage = Callable[..., "Page"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    # Here, so that all other tests are collected where Playwright is not installed.
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.fail(f"needs one of {', '.join(PROGRAMS)}: on Debian, apt-get install chromium")
    # A browser of root's cannot have its sandbox, and only sees our own page here.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A page whose catalogue is empty."""
    with serve_site(tmp_path) as site:
        yield site


@pytest.fixture
def filled(site: Site) -> Site:
    """A page whose catalogue holds products."""
    fill(site)
    return site


@pytest.fixture
def open_page(chromium: Browser, site: Site) -> Iterator[OpenPage]:
    """Opens windows; none may reach another server, or run what it should not."""
    contexts = []
    troubles: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith(site.address + "/"):
            troubles.append(f"asked for {request.url}")

    def note_message(message: Any) -> None:
        # The browser says of each refusal that it could not load the resource.
        if message.type == "error" and "Failed to load resource" not in message.text:
            troubles.append(message.text)

    def open_one(path: str, size: tuple[int, int] = DESKTOP, **options: Any) -> Page:
        context = chromium.new_context(
            base_url=site.address, viewport={"width": size[0], "height": size[1]}, **options
        )
        contexts.append(context)
        context.set_default_timeout(30_000)  # two busy cores carry browser and servers
        page = context.new_page()
        page.on("request", note_request)
        page.on("console", note_message)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        for page in context.pages:
            # pytest shows it beside a test that failed.
            sys.stderr.write(f"{page.url}\n{page.locator('body').inner_text()}\n")
        context.close()
    assert not troubles
