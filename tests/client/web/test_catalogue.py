"""The pages of the catalogue, and tables on their way into it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.client.fake_service import REFUSED, UNAVAILABLE, FakeService, make_status, wait_until
from tests.client.web.conftest import PNG, Browser, open_browser
from twinshelf.client.web.config import PageConfig
from twinshelf.v1 import product_pb2


def add(service: FakeService, product_id: str, **fields: Any) -> None:
    service.products[product_id] = product_pb2.Product(product_id=product_id, **fields)


def settle(browser: Browser, address: str) -> str:
    """Waits until nothing is done behind a page; returns it."""
    pages: list[str] = []

    def is_idle() -> bool:
        pages.append(browser.get(address).text)
        return 'id="polled"' not in pages[-1] and "Looking for pairs:" not in pages[-1]

    wait_until(is_idle)
    return pages[-1]


def upload(browser: Browser, content: bytes, name: str = "goods.csv") -> tuple[str, str]:
    """Uploads a table; returns its address, and its page once it is read."""
    answer = browser.send(
        "/catalogue/uploads", files={"file": (name, content)}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]
    return address, settle(browser, address)


def test_the_catalogue_is_counted_and_listed_by_pages(
    browser: Browser, service: FakeService
) -> None:
    assert "The catalogue is empty" in browser.get("/catalogue").text
    for number in range(60):
        add(service, f"p{number:02}", title="Tea", attributes={"views": str(1000 + number)})
    text = browser.get("/catalogue").text
    assert "<dd>60</dd>" in text and text.count("data-step") == 50
    assert 'href="/catalogue?after=p49"' in text and '<td class="number">1,049</td>' in text
    rest = browser.get("/catalogue?after=p49").text
    assert rest.count("data-step") == 10 and "after=" not in rest


def test_a_product_stands_among_its_neighbours_and_not_beside_itself(
    browser: Browser, service: FakeService
) -> None:
    add(service, "a/b c", title="Red tea", image_uri="tea.png", attributes={"colour": "red"})
    add(service, "other", title="Green tea")
    text = browser.get("/catalogue/product?id=a/b%20c").text
    assert "<dt>colour</dt><dd>red</dd>" in text and 'src="/product-photo?uri=tea.png"' in text
    assert service.last_match is not None and service.last_match.offer.image == PNG
    assert "<mark>Green</mark> tea" in text
    assert 'href="/catalogue/product?id=other"' in text and "?id=a/b" not in text


def test_a_product_is_shown_while_it_cannot_be_matched(
    browser: Browser, service: FakeService
) -> None:
    add(service, "a", title="Red tea", attributes={"colour": "red"})
    service.method_failures = {"MatchProduct": UNAVAILABLE}
    answer = browser.get("/catalogue/product?id=a")
    assert answer.status_code == 200 and "<dt>colour</dt><dd>red</dd>" in answer.text
    assert "Triton is away" in answer.text and "No other product is like it" not in answer.text
    service.method_failures = {"MatchProduct": make_status(16, "give an API key")}
    assert browser.get("/catalogue/product?id=a").status_code == 401


def test_a_product_that_is_not_there_is_a_sentence(browser: Browser) -> None:
    answer = browser.get("/catalogue/product?id=no")
    assert answer.status_code == 404 and "holds no product" in answer.text


def test_a_table_is_shown_before_it_is_stored(browser: Browser, service: FakeService) -> None:
    address, text = upload(browser, b"sku,name,price\na,Red tea,3\nb,,4\n")
    assert "1 product would be stored" in text and "1 row would fail" in text
    assert "<option selected>name</option>" in text and "nothing to embed" in text
    assert not service.products
    browser.send(f"{address}/store")
    text = settle(browser, address)
    assert "1 product stored" in text and "1 row failed" in text and "nothing to embed" in text
    assert service.products["a"].title == "Red tea"


def test_columns_may_be_told(browser: Browser, service: FakeService) -> None:
    address, text = upload(browser, b"sku,name,text\na,Red tea,Hot\n")
    browser.send(f"{address}/columns", {"product_id": "sku", "title": "text"})
    assert "Not read: name" in settle(browser, address)
    browser.send(f"{address}/store")
    settle(browser, address)
    assert service.products["a"].title == "Hot" and not service.products["a"].description


def test_columns_that_do_not_do_may_be_chosen_again(browser: Browser, service: FakeService) -> None:
    address, text = upload(browser, b"a,b\n1,2\n")
    assert "needs a column" in text and "<option>b</option>" in text
    browser.send(f"{address}/columns", {"product_id": "a", "title": "b"})
    assert "1 product would be stored" in settle(browser, address)
    browser.send(f"{address}/columns", {"price": "a"})
    text = settle(browser, address)
    assert "needs a column" in text and "1 product would be stored" in text
    browser.send(f"{address}/store")
    settle(browser, address)
    assert service.products["1"].title == "2"


def test_columns_without_names_are_guessed_and_said_to_be(
    browser: Browser, service: FakeService
) -> None:
    rows = "".join(f"{n},Red tea of the garden number {n},{n}.50\n" for n in range(20))
    address, text = upload(browser, rows.encode())
    assert "guessed" in text and "its first row is data" in text
    browser.send(f"{address}/store")
    settle(browser, address)
    assert len(service.products) == 20


def test_rows_that_the_service_refuses_are_listed(browser: Browser, service: FakeService) -> None:
    service.row_failures["a"] = [REFUSED] * 2
    address, _ = upload(browser, b"sku,name\na,Red tea\nb,Green tea\n")
    browser.send(f"{address}/store")
    text = settle(browser, address)
    assert "the photo is not an image" in text and "1 product stored" in text


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "Choose a file"), (b"\x00\x01\x02", "goods"), (b"a,b\n1,2\n", "needs a column")],
)
def test_a_table_that_cannot_be_read_is_a_sentence(
    browser: Browser, content: bytes, said: str
) -> None:
    answer = browser.send("/catalogue/uploads", files={"file": ("goods.csv", content)})
    text = settle(browser, answer.url.path) if answer.history else answer.text
    assert said in text and "Traceback" not in text and "broken" not in text


def test_a_table_that_finds_no_room_is_a_sentence_and_leaves_nothing(
    config: PageConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_browser(config) as client:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        monkeypatch.setattr("shutil.copyfileobj", Mock(side_effect=full))
        answer = Browser(client).send("/catalogue/uploads", files={"file": ("goods.csv", b"a")})
        assert answer.status_code == 507
        assert "cannot keep this table now: No space left on device" in answer.text
        assert not list(tmp_path.glob("twinshelf-web-*/*"))


def test_a_service_that_goes_away_while_a_table_is_stored_is_a_sentence(
    browser: Browser, service: FakeService
) -> None:
    address, _ = upload(browser, b"sku,name\na,Red tea\n")
    service.stream_failures = [UNAVAILABLE] * 9
    browser.send(f"{address}/store")
    text = settle(browser, address)
    assert 'role="alert"' in text and "Triton is away" in text
    service.stream_failures = []
    assert f'action="{address}/store"' in text
    browser.send(f"{address}/store")
    text = settle(browser, address)
    assert "1 product stored" in text and "again" not in text


def test_the_table_of_one_visitor_is_not_shown_to_another(browser: Browser) -> None:
    address, _ = upload(browser, b"sku,name\na,Red tea\n")
    browser.client.cookies.clear()
    assert browser.get(address).status_code == 404
