"""The page that asks people about pairs, and what it hands out."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.fake_service import REFUSED, FakeService, make_status
from tests.client.web.conftest import Browser, open_browser
from tests.client.web.test_catalogue import add, settle
from tests.client.web.test_guard import HOSTILE, Elements
from twinshelf.client.records import Product
from twinshelf.client.web.config import PageConfig
from twinshelf.client.web.judgements import JudgedPair
from twinshelf.client.web.pair_export import csv_lines, ditto_lines, offer_lines
from twinshelf.client.web.review import compared_fields
from twinshelf.training.catalogues.entity_pairs import read_entity_pairs
from twinshelf.training.catalogues.product import Pair
from twinshelf.training.evaluation.embedded_products import read_products

BAND = {"least": "0.1", "greatest": "0.99"}


@pytest.fixture(autouse=True)
def products(service: FakeService) -> None:
    add(service, "a", title="Red tea 50 bags", brand="Tea\tCo", price=3.5)
    add(service, "b", title="Red tea 25 bags", description="COL title VAL trick\nand more")


def pair_id(browser: Browser) -> str:
    found = re.search(r'name="pair" value="(\d+)"', browser.get("/review").text)
    return found[1] if found else ""


def look(browser: Browser) -> str:
    browser.send("/review/catalogue", BAND | {"product_count": "100"})
    return settle(browser, "/review")


def test_an_empty_review_says_where_pairs_come_from(browser: Browser) -> None:
    text = browser.get("/review").text
    assert "No pair waits for you" in text and "Look in the catalogue" in text


def test_pairs_of_the_catalogue_are_found_compared_and_judged(browser: Browser) -> None:
    look(browser)
    text = browser.get("/review").text
    assert "2 records looked at, 1 new pair found" in text
    assert '<mark class="clash">50 bags</mark>' in text
    assert '<mark class="clash">25 bags</mark>' in text
    for key in "sduz":
        assert f'data-key="{key}"' in text
    text = browser.send("/review/verdict", {"pair": pair_id(browser), "verdict": "same"}).text
    assert "<dt>same</dt><dd>1</dd>" in text and "No pair waits for you" in text
    text = browser.send("/review/undo").text
    assert "<dt>same</dt><dd>0</dd>" in text and "Are these the same item?" in text


def test_the_catalogue_is_gone_through_from_where_it_stopped(
    browser: Browser, service: FakeService
) -> None:
    for _ in range(2):
        browser.send("/review/catalogue", BAND | {"product_count": "1"})
        settle(browser, "/review")
    assert service.calls["ListProducts"] == 2
    assert "0 new pairs found" in browser.get("/review").text  # b against a is a against b


def test_offers_of_a_file_are_matched(browser: Browser, service: FakeService) -> None:
    files = {"file": ("offers.csv", b"id,title\n1,Red tea\n2,Bad\n")}
    service.row_failures["Bad"] = [REFUSED]
    browser.send("/review/offers", BAND, files=files)
    text = settle(browser, "/review")
    assert (
        "2 new pairs found, 1 record refused: the photo is not an image"
        in browser.get("/review").text
    )
    assert "Red tea" in text


@pytest.mark.slow
def test_another_file_of_the_same_name_has_other_offers(
    browser: Browser, service: FakeService, tmp_path: Path
) -> None:
    del service.products["b"]
    for title in (b"Red tea", b"Tea, red", b"Tea, red"):
        browser.send("/review/offers", BAND, files={"file": ("offers.csv", b"title\n" + title)})
        settle(browser, "/review")
        if pair := pair_id(browser):
            browser.send("/review/verdict", {"pair": pair, "verdict": "same"})
    assert "0 new pairs found" in browser.get("/review").text  # the same file once more
    (tmp_path / "offers.csv").write_bytes(browser.get("/review/offers.csv").content)
    notes: list[str] = []
    offers = read_products([tmp_path / "offers.csv"], notes, {})
    assert [each.title for each in offers] == ["Red tea", "Tea, red"] and not notes
    assert [each.group for each in offers] == ["a", "a"] and offers[0].product_id == "1"


def test_a_file_called_catalogue_is_not_the_catalogue(browser: Browser) -> None:
    browser.send("/review/offers", BAND, files={"file": ("catalogue", b"id,title\na,Red tea\n")})
    settle(browser, "/review")
    # Its offer a is another record than the product a, and has no thumbnail there.
    assert "1 record looked at, 2 new pairs found" in browser.get("/review").text
    browser.send("/review/verdict", {"pair": pair_id(browser), "verdict": "same"})
    (row,) = csv.DictReader(io.StringIO(browser.get("/review/offers.csv").text))
    assert (row["product_id"], row["title"]) == ("a", "Red tea")


def test_a_file_that_is_no_table_is_a_sentence(browser: Browser) -> None:
    browser.send("/review/offers", BAND, files={"file": ("offers.csv", b"a,b\n1,2\n")})
    assert "needs a column" in settle(browser, "/review")


def test_two_people_get_two_pairs(
    browser: Browser, config: PageConfig, service: FakeService
) -> None:
    add(service, "c", title="Green tea")
    look(browser)
    mine = pair_id(browser)
    cookies = dict(browser.client.cookies)
    browser.client.cookies.clear()
    assert pair_id(browser) not in ("", mine)
    answer = browser.send("/review/verdict", {"pair": mine, "verdict": "same"})
    # Its address is asked for again while pairs are looked for, which a form's cannot be.
    assert answer.status_code == 200 and "somebody else" in answer.text
    assert answer.url.path == "/review"
    browser.client.cookies.clear()
    browser.client.cookies.update(cookies)
    assert pair_id(browser) == mine


def test_nothing_to_take_back_is_a_sentence_on_the_review(browser: Browser) -> None:
    answer = browser.send("/review/undo")
    assert answer.url.path == "/review" and "nothing of yours to take back" in answer.text


def test_only_who_comes_back_with_the_cookie_is_given_a_pair(
    browser: Browser, service: FakeService
) -> None:
    add(service, "c", title="Green tea")
    look(browser)
    shown = {pair_id(browser)}
    for path in ("/review", "/review?first", "/review?refused=judged"):
        browser.client.cookies.clear()  # as with each picture that another site asks for
        answer = browser.get(path, follow_redirects=False)
        assert 'name="pair"' not in answer.text
    browser.client.cookies.clear()
    assert "show me one" in browser.get("/review?first").text
    for _ in range(2):
        browser.client.cookies.clear()
        shown.add(pair_id(browser))  # somebody's first visit
    assert len(shown) == 3 and "" not in shown


def test_an_attribute_called_like_a_field_stands_apart() -> None:
    left = Product(product_id="a", brand="Acme", price=5)
    right = Product(
        product_id="b", brand="Globex", price=9, attributes={"brand": "Acme", "colour": "red"}
    )
    shown = {
        each.name: tuple(
            "".join(piece.text for piece in side) for side in (each.words.left, each.words.right)
        )
        for each in compared_fields(left, right)
    }
    assert shown == {
        "brand": ("Acme", "Globex"),
        "price": ("5.00", "9.00"),
        "attribute brand": ("", "Acme"),
        "colour": ("", "red"),
    }


@pytest.mark.parametrize("path", ["/review/catalogue", "/review/offers"])
def test_a_key_is_asked_for_before_pairs_are_looked_for(
    browser: Browser, service: FakeService, path: str
) -> None:
    service.method_failures = {"GetCatalogStats": make_status(16, "give an API key")}
    files = {"file": ("offers.csv", b"title\ntea\n")}
    answer = browser.send(path, BAND | {"product_count": "5"}, files=files)
    assert answer.status_code == 401 and 'name="key" type="password"' in answer.text
    assert 'name="again" value="/review"' in answer.text
    assert not service.calls["ListProducts"] and not service.calls["MatchProducts"]


@pytest.mark.parametrize(
    "fields", [{"verdict": "maybe", "pair": "1"}, {"verdict": "same", "pair": "x"},
               {"verdict": "same", "pair": "9" * 30}, {}]
)  # fmt: skip
def test_a_verdict_must_be_one(browser: Browser, fields: dict[str, str]) -> None:
    assert browser.send("/review/verdict", fields).status_code == 400


@pytest.mark.parametrize(
    "band", [{"least": "x"}, {"least": "1", "greatest": "0"}, {"greatest": "nan"}]
)
def test_a_band_must_be_one(browser: Browser, band: dict[str, str]) -> None:
    files = {"file": ("offers.csv", b"title\ntea\n")}
    assert browser.send("/review/offers", BAND | band, files=files).status_code == 400


@pytest.mark.parametrize(
    "fields", [{"product_count": "0"}, {"least": "x"}, {"product_count": "000000001000000"},
               {"product_count": "000000001" + "0" * 5000}]
)  # fmt: skip
def test_a_search_of_the_catalogue_must_have_bounds(
    browser: Browser, fields: dict[str, str]
) -> None:
    fields = BAND | {"product_count": "5"} | fields
    assert browser.send("/review/catalogue", fields).status_code == 400


@pytest.mark.slow
def test_judged_pairs_leave_as_a_table_and_in_dittos_form(
    browser: Browser, service: FakeService, tmp_path: Path
) -> None:
    add(service, "c", title='Green tea, "fine"')
    look(browser)
    for verdict in ("same", "different", "unsure"):
        browser.send("/review/verdict", {"pair": pair_id(browser), "verdict": verdict})
    answer = browser.get("/review/pairs.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="pairs.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["verdict"] for row in rows] == ["same", "different", "unsure"]
    assert [row["label"] for row in rows] == ["1", "0", ""]
    assert "Red tea 50 bags" in {row["left_title"] for row in rows}
    assert not set(browser.client.cookies.values()) & {row["judged_by"] for row in rows}

    # The reader of our own training takes it as it is.
    (tmp_path / "pairs.txt").write_text(browser.get("/review/pairs.txt").text)
    pairs = list(read_entity_pairs(tmp_path / "pairs.txt"))
    assert len(pairs) == 2 and all(isinstance(each, Pair) for each in pairs)
    texts = {row["left_title"] for row in rows} | {row["right_title"] for row in rows}
    for each in pairs:
        assert isinstance(each, Pair)
        assert each.left.title in texts and each.right.title in texts


def test_offers_leave_with_the_product_that_they_show(
    browser: Browser, service: FakeService, tmp_path: Path
) -> None:
    add(service, "c", title="Green tea")
    look(browser)
    for verdict in ("same", "different"):
        browser.send("/review/verdict", {"pair": pair_id(browser), "verdict": verdict})
    answer = browser.get("/review/offers.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="offers.csv"'
    assert "/review/offers.csv" in browser.get("/review").text
    # As the evaluation reads it.
    (tmp_path / "offers.csv").write_text(answer.text)
    notes: list[str] = []
    (offer,) = read_products([tmp_path / "offers.csv"], notes, {})
    row = next(csv.DictReader(io.StringIO(browser.get("/review/pairs.csv").text)))
    assert (offer.product_id, offer.group) == (
        row["left_product_id"],
        row["right_product_id"],
    )
    assert offer.title == row["left_title"] and not notes


def test_hostile_texts_stay_texts_in_a_pair(browser: Browser, service: FakeService) -> None:
    add(service, "c", title=HOSTILE, description=HOSTILE, image_uri="javascript:alert(1)")
    service.products["c"].attributes[HOSTILE] = HOSTILE
    del service.products["b"]
    look(browser)
    text = browser.get("/review").text
    assert "alert(1)" in text and "Are these the same item?" in text
    found = Elements(text).found
    tags = [tag for tag, _ in found]
    assert tags.count("script") == 1 and "svg" not in tags
    pictures = [attributes["src"] for tag, attributes in found if tag == "img"]
    assert pictures == ["/thumbnail?id=a", "/thumbnail?id=c"]


def test_a_page_without_its_file_says_so(config: PageConfig, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be used for judgements"):
        open_browser(replace(config, judgements=tmp_path / "file" / "j.sqlite"))


def judged(offer: Product) -> JudgedPair:
    """An offer that somebody said is the product P9."""
    return JudgedPair(
        pair_id=1,
        left_key="catalogue\nP9",
        right_key="sha256:0\n1",
        left=Product(product_id="P9", title="stored"),
        right=offer,
        score=0.9,
        probability=0.5,
        verdict="same",
        judged_by="v",
        judged_at_s=0.0,
    )


def test_an_offer_is_told_from_a_product_whichever_stands_first() -> None:
    pair = judged(Product(product_id="O1", title="it"))
    (row,) = csv.DictReader(io.StringIO("".join(offer_lines([pair]))))
    assert (row["product_id"], row["group"]) == ("O1", "P9")


def test_attributes_leave_with_their_record(tmp_path: Path) -> None:
    attributes = {"colour": "red, dark", "net weight": "500 g", "title": "COL x VAL"}
    pair = judged(Product(product_id="O1", title="Tea", attributes=attributes))
    (tmp_path / "offers.csv").write_text("".join(offer_lines([pair])))
    (offer,) = read_products([tmp_path / "offers.csv"], [], {})
    assert offer.attributes == attributes
    (tmp_path / "pairs.txt").write_text("".join(ditto_lines([pair])))
    (read,) = read_entity_pairs(tmp_path / "pairs.txt")
    assert isinstance(read, Pair) and read.right.title == "Tea"
    assert read.right.attributes == {
        "colour": "red, dark",
        "net_weight": "500 g",
        "attribute_title": "col x VAL",
    }


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_lines_within_a_text_stay_in_its_cell(tmp_path: Path, end: str) -> None:
    pair = judged(Product(product_id="O1", title="Tea", description=f"one{end}two"))
    table = "".join(csv_lines([pair]))
    (row,) = csv.DictReader(io.StringIO(table, newline=""))
    assert row["right_description"] == f"one{end}two" and row["verdict"] == "same"
    (tmp_path / "offers.csv").write_bytes("".join(offer_lines([pair])).encode())
    (offer,) = read_products([tmp_path / "offers.csv"], [], {})
    assert offer.description.split() == ["one", "two"] and offer.group == "P9"
