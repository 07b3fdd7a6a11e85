"""Storing, judging and mending groups as a person does."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import OpenPage
from tests.browser.site import Site


def table(content: str, name: str = "goods.csv") -> Any:
    return {"name": name, "mimeType": "text/csv", "buffer": content.encode()}


def test_a_table_is_looked_at_stored_and_found(site: Site, open_page: OpenPage) -> None:
    page = open_page("/catalogue")
    page.get_by_text("The catalogue is empty").wait_for()
    page.set_input_files("[name=file]", table("sku,name,photo\na,Red tea,red.png\nb,,\n"))
    page.get_by_role("button", name="Look at it first").click()
    page.get_by_text("1 row would fail").wait_for()
    page.get_by_role("button", name="Store 1 product").click()
    page.get_by_text("1 product stored").wait_for()
    page.get_by_text("See the catalogue").click()
    page.get_by_role("cell", name="Red tea").wait_for()


def test_a_bad_table_is_a_sentence(site: Site, open_page: OpenPage) -> None:
    page = open_page("/catalogue")
    page.set_input_files("[name=file]", table("\x00\x01\x02", "photo.csv"))
    page.get_by_role("button", name="Look at it first").click()
    page.get_by_role("alert").wait_for()
    assert "Traceback" not in page.content()


def test_the_map_shows_every_product_of_a_small_catalogue(
    filled: Site, open_page: OpenPage
) -> None:
    page = open_page("/catalogue")
    page.get_by_role("link", name="Map of the catalogue").click()
    page.get_by_role("heading", name="Least like their category").wait_for()
    page.locator(".map circle").first.hover()
    with page.expect_navigation():
        page.locator(".map a").first.click()
    assert "/catalogue/product?id=" in page.url


def test_pairs_are_judged_by_key_and_taken_back(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/review")
    page.set_input_files("[name=file]", table("id,title\n1,tea red\n2,mug blue\n3,pan green\n"))
    for name, value in (("Least", "0"), ("Greatest", "1")):
        page.get_by_label(f"{name} probability").nth(1).fill(value)
    page.get_by_role("button", name="Look among the offers").click()
    page.get_by_text("Are these the same item?").wait_for()
    page.wait_for_load_state()  # keys are heard once the script of the page has run
    first = page.locator("[name=pair]").input_value()
    page.keyboard.press("s")
    page.locator(f"[name=pair]:not([value='{first}'])").wait_for(state="attached")
    page.wait_for_load_state()
    page.keyboard.press("d")
    different = page.locator(".counts div", has_text="different").locator("dd", has_text="1")
    different.wait_for()
    page.wait_for_load_state()
    page.keyboard.press("z")
    different.wait_for(state="detached")
    second = open_page("/review")  # somebody else
    assert second.locator("[name=pair]").input_value() != page.locator("[name=pair]").input_value()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert ",same,1," in download.value.path().read_text()


def test_a_group_is_split_and_mended(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/groups/group?product=twin-0")
    member_count = page.locator("[name=member]").count()
    weak_count = page.locator("[name=member]:checked").count()
    assert 0 < weak_count < member_count
    page.get_by_role("button", name="Split those off").click()
    page.get_by_text("a person placed some").wait_for()
    assert page.locator("[name=member]").count() == weak_count
    page.get_by_role("button", name="Undo event").click()
    page.locator("[name=member]").nth(member_count - 1).wait_for()
