"""Who sees what the page keeps itself: whom the service lets in, or would if it were there."""

from __future__ import annotations

import pytest

from tests.client.fake_service import FakeService, make_status
from tests.client.web.conftest import PNG, Browser
from tests.client.web.test_catalogue import add, upload
from tests.client.web.test_review import look, pair_id
from twinshelf.client.web import service_access, table_uploads
from twinshelf.client.web.app import ROUTES

REFUSES = {"GetCatalogStats": make_status(16, "give an API key")}
FORBIDS = {"GetCatalogStats": make_status(7, "this key may not read")}
IS_AWAY = {"GetCatalogStats": make_status(14, "away")}
KEPT = [
    (method, route.path)
    for route in ROUTES
    if route.path.startswith(("/review", "/product-photo"))
    for method in ("GET", "POST")
    if method in (route.methods or ())
]


@pytest.fixture(autouse=True)
def products(service: FakeService) -> None:
    add(service, "a", title="Red tea 50 bags")
    add(service, "b", title="Red tea 25 bags")


@pytest.fixture
def asks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_access, "ASKED_AGAIN_S", -1.0)


@pytest.mark.slow
@pytest.mark.usefixtures("asks_always")
@pytest.mark.parametrize(("failures", "status"), [(REFUSES, 401), (FORBIDS, 403)])
@pytest.mark.parametrize(("method", "path"), KEPT)
def test_what_the_page_keeps_is_for_whom_the_service_lets_in(
    browser: Browser,
    service: FakeService,
    method: str,
    path: str,
    failures: dict[str, object],
    status: int,
) -> None:
    look(browser)
    fields = {"pair": pair_id(browser), "verdict": "same", "least": "0", "greatest": "1"}
    service.method_failures = failures
    if method == "GET":
        answer = browser.get(path)
    else:
        files = {"file": ("offers.csv", b"title\ntea\n")}
        answer = browser.send(path, fields | {"product_count": "5"}, files=files)
    assert answer.status_code == status and "Red tea" not in answer.text
    service.method_failures = {}
    assert "<dt>same</dt><dd>0</dd>" in browser.get("/review").text


@pytest.mark.slow
@pytest.mark.usefixtures("asks_always")
def test_the_review_goes_on_without_the_service_for_whom_it_let_in(
    browser: Browser, service: FakeService
) -> None:
    service.method_failures = REFUSES
    assert browser.get("/review").status_code == 401
    service.method_failures = {}
    browser.send("/key", {"key": "ts_1_secret"})
    look(browser)
    service.method_failures = IS_AWAY
    text = browser.send("/review/verdict", {"pair": pair_id(browser), "verdict": "same"}).text
    assert "<dt>same</dt><dd>1</dd>" in text
    browser.client.cookies.clear()
    for path in ("/review", "/review/pairs.csv"):
        answer = browser.get(path)
        assert answer.status_code == 503 and "Red tea" not in answer.text


@pytest.mark.parametrize("path", ["/review", "/catalogue"])
def test_a_key_that_any_page_asked_for_is_missed_without_the_service(
    browser: Browser, service: FakeService, path: str
) -> None:
    service.method_failures = REFUSES
    browser.get(path)
    service.method_failures = IS_AWAY
    assert browser.get("/review").status_code == 503


def test_whoever_comes_is_let_in_where_no_key_was_ever_asked_for(
    browser: Browser, service: FakeService
) -> None:
    service.method_failures = IS_AWAY
    assert browser.get("/review").status_code == 200


def test_the_service_is_asked_once_a_minute(browser: Browser, service: FakeService) -> None:
    for _ in range(3):
        browser.get("/review")
    assert service.calls["GetCatalogStats"] == 1


@pytest.mark.usefixtures("asks_always")
@pytest.mark.parametrize(
    ("path", "field"),
    [("/catalogue/uploads", "file"), ("/compare/files", "offers"), ("/review/offers", "file"),
     ("/", "file"), ("/compare", "file")],
)  # fmt: skip
def test_what_a_stranger_brings_is_not_kept_and_pushes_nothing_out(
    browser: Browser, service: FakeService, monkeypatch: pytest.MonkeyPatch, path: str, field: str
) -> None:
    monkeypatch.setattr(table_uploads, "TABLES_KEPT", 1)
    address, _ = upload(browser, b"title\ntea\n")
    known = dict(browser.client.cookies)
    browser.client.cookies.clear()
    service.method_failures = REFUSES
    content = PNG if path in ("/", "/compare") else b"title\nmug\n"
    fields = {"least": "0", "greatest": "1"}
    answer = browser.send(path, fields, files={field: ("a.png", content)})
    assert answer.status_code == 401 and 'name="key" type="password"' in answer.text
    browser.client.cookies.clear()
    browser.client.cookies.update(known)
    assert browser.get(address).status_code == 200
