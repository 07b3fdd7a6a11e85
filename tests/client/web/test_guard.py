"""What every request passes: the token, the bounds, the headers, the names of the page."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.client.fake_service import FakeService, make_status
from tests.client.web.conftest import PNG, Browser, open_browser
from twinshelf.client.web import guard
from twinshelf.client.web.app import ROUTES
from twinshelf.client.web.config import PageConfig
from twinshelf.client.web.pages import FOLDER
from twinshelf.v1 import product_pb2

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg/onload=alert(3)>{{7*7}}"
PICTURES = ("/product-photo", "/thumbnail")
GETS = [route.path for route in ROUTES if "GET" in (route.methods or ()) and "{" not in route.path]
PAGES = [path for path in GETS if path not in PICTURES]
CHANGES = [
    route.path.replace("{upload}", "1") for route in ROUTES if "POST" in (route.methods or ())
]


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def hostile(service: FakeService) -> str:
    """A product all of whose texts want to run, and be fetched."""
    product = product_pb2.Product(
        product_id=HOSTILE[:200],
        title=HOSTILE,
        description=HOSTILE,
        category=HOSTILE,
        brand=HOSTILE,
        seller=HOSTILE,
        image_uri="javascript:alert(4)",
        attributes={HOSTILE: HOSTILE},
    )
    service.products[product.product_id] = product
    return product.product_id


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_hostile_texts_stay_texts_on_every_page(browser: Browser, hostile: str, path: str) -> None:
    answer = browser.get(path, params={"id": hostile, "title": HOSTILE, "uri": HOSTILE})
    for tag, attributes in Elements(answer.text).found:
        assert tag != "svg" or attributes.get("class") == "chart"  # the page's own
        assert tag not in ("iframe", "object", "embed", "style"), tag
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        if tag == "script":
            assert attributes["src"] == "/static/page.js"
        for name in ("src", "href", "action"):
            if value := attributes.get(name):
                assert value.startswith(("/", "#", "?")) and not value.startswith("//"), value
    assert "49" not in re.findall(r"alert\(3\)&gt;(\d+)", answer.text)


@pytest.mark.slow
@pytest.mark.parametrize("path", [*GETS, "/nowhere", "/static/page.js"])
def test_every_answer_forbids_what_the_page_does_not_need(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy and "data:" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_an_answer_to_a_fault_of_ours_is_guarded_and_says_nothing_of_it(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of the program")

    monkeypatch.setattr("twinshelf.client.web.search.read_search", fail)
    answer = browser.get("/")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert "the page itself" in answer.text and "content-security-policy" in answer.headers


@pytest.mark.parametrize("path", [*CHANGES, "/key"])
def test_no_change_is_made_without_the_token(
    browser: Browser, service: FakeService, path: str
) -> None:
    browser.get("/")
    for fields in ({}, {"token": ""}, {"token": "0" * 64}, {"token": "ä"}):
        answer = browser.client.post(path, data=fields, files={"file": ("a.csv", b"title\ntea\n")})
        assert answer.status_code == 403 and "load the page again" in answer.text
    assert not service.calls


def test_the_token_of_one_visitor_is_of_no_use_to_another(browser: Browser) -> None:
    token = browser.token()
    browser.client.cookies.clear()
    browser.get("/")
    assert browser.client.post("/", data={"token": token}).status_code == 403


def test_the_cookie_is_for_the_server_alone(browser: Browser) -> None:
    cookie = browser.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert "set-cookie" not in browser.get("/").headers


def test_a_page_asked_for_by_a_foreign_name_is_refused(browser: Browser) -> None:
    assert browser.get("/", headers={"host": "evil.example"}).status_code == 400


def test_a_body_that_is_too_large_is_refused(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LARGEST_PHOTO_BYTES", 1000)
    monkeypatch.setattr(guard, "_FORM_BYTES", 1000)
    answer = browser.send("/", files={"file": ("a.png", PNG + b"0" * 3000)})
    assert answer.status_code == 413 and "too large" in answer.text


@pytest.mark.parametrize(
    ("method", "path", "again"),
    [
        ("GET", "/catalogue/product?id=no", "/catalogue/product?id=no"),
        ("GET", "//elsewhere.example/", "/elsewhere.example/"),
        ("POST", "/catalogue/uploads", "/catalogue"),
        ("POST", "/key", "/"),
    ],
)
def test_a_failure_leads_back_to_a_page(
    browser: Browser, method: str, path: str, again: str
) -> None:
    text = browser.client.request(method, f"http://127.0.0.1:8080{path}").text
    assert f'<a href="{again}">Try again</a>' in text


def test_a_service_that_is_away_is_a_sentence(config: PageConfig) -> None:
    with open_browser(replace(config, address="127.0.0.1:1")) as client:
        for path in [*PAGES, "/?title=tea"]:
            text = client.get(path).text
            assert "Traceback" not in text
        answer = client.get("/?title=tea")
    assert answer.status_code == 503 and "make up" in answer.text


def test_a_key_that_the_service_wants_is_asked_for_and_shown(
    browser: Browser, service: FakeService
) -> None:
    service.failures = [make_status(16, "give an API key")]
    answer = browser.get("/?title=tea")
    assert answer.status_code == 401 and 'name="key" type="password"' in answer.text
    assert browser.send("/key", {"key": "a b"}).status_code == 400
    assert browser.send("/key", {"key": "ts_1_secret"}).status_code == 200
    assert "secret" not in browser.get("/?title=tea").text
    assert service.authorizations[-1] == "Bearer ts_1_secret"
    browser.client.cookies.clear()
    browser.get("/?title=tea")
    assert service.authorizations[-1] == ""


@pytest.mark.parametrize(
    ("again", "target"),
    [("/?title=tea", "/?title=tea"), ("//evil.example", "/"), ("/\\evil.example", "/"),
     ("https://evil.example", "/"), ("", "/")],
)  # fmt: skip
def test_a_key_leads_back_and_never_elsewhere(browser: Browser, again: str, target: str) -> None:
    fields = {"key": "ts_1_secret", "again": again}
    answer = browser.send("/key", fields, follow_redirects=False)
    assert answer.headers["location"] == target


def test_the_key_of_the_page_serves_every_visitor(config: PageConfig, service: FakeService) -> None:
    with open_browser(replace(config, api_key="ts_2_secret")) as client:
        client.get("/?title=tea")
    assert set(service.authorizations) == {"Bearer ts_2_secret"}


def test_no_file_of_the_page_names_another_server() -> None:
    for path in [*(FOLDER / "templates").iterdir(), *(FOLDER / "static").iterdir()]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", text), path
        assert "|safe" not in text.replace(" ", "") and "innerHTML" not in text, path


@pytest.mark.parametrize(
    "uri",
    [
        "../secret.png",
        "/etc/passwd",
        "photos/../../secret.png",
        "file:///etc/passwd",
        "note.txt",
        "",
    ],
)
def test_only_photos_below_the_folder_are_sent(browser: Browser, tmp_path: Path, uri: str) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "photos" / "note.txt").write_text("no photo")
    assert browser.get("/product-photo", params={"uri": uri}).status_code == 404
