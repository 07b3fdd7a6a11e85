"""Searching and comparing as a person does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import PHONE, OpenPage
from tests.browser.site import Site, fill
from twinshelf.client.records import Product

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

FIRST = "#results h3 >> nth=0"


def wait_for_first(page: Page, title: str) -> None:
    page.locator(FIRST, has_text=title).wait_for()


def hold_photos(page: Page, sent: list[Route]) -> None:
    """Keeps what posts a photo on its way, until the test lets it through."""

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(route)
        else:
            route.continue_()

    page.route("**/", hold)


def test_a_text_finds_while_it_is_typed_and_the_link_repeats_it(
    filled: Site, open_page: OpenPage
) -> None:
    page = open_page("/")
    page.keyboard.press("/")
    page.keyboard.type("lamp blue 70 pieces")
    # The first letters are searched too: the address says which title the results are for.
    page.wait_for_url(lambda url: "title=lamp+blue+70+pieces" in url)
    wait_for_first(page, "lamp blue")
    again = open_page(page.url.removeprefix(filled.address))
    wait_for_first(again, "lamp blue")
    assert again.locator("#title").input_value() == "lamp blue 70 pieces"


def test_a_photo_is_chosen_and_the_slider_ranks_anew(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/?title=soap+green+80+pieces")
    page.set_input_files("#file", filled.photos / "red.png")
    page.locator("#preview img").wait_for()
    page.locator("#weight").fill("0")
    wait_for_first(page, "soap green")
    assert page.locator("#own").is_checked()
    page.locator("#weight").fill("1")
    wait_for_first(page, "red")
    page.wait_for_url(lambda url: "image_weight=1" in url and "photo=" in url)


def test_what_is_typed_while_a_photo_is_sent_is_asked_for_with_it(
    filled: Site, open_page: OpenPage
) -> None:
    page = open_page("/")
    sent: list[Route] = []
    hold_photos(page, sent)
    with page.expect_request(lambda request: request.method == "POST"):
        page.set_input_files("#file", filled.photos / "red.png")
    page.locator("#title").fill("soap green 80 pieces")
    wait_for_first(page, "soap green")  # by the title alone
    (route,) = sent
    route.continue_()
    page.locator("#preview img").wait_for()
    page.wait_for_url(lambda url: "title=soap" in url and "photo=" in url)
    page.get_by_text("Scored by photo and text").wait_for()
    page.get_by_text("without this photo").click()
    page.get_by_text("Scored by text").wait_for()
    assert page.locator("#title").input_value() == "soap green 80 pieces"


@pytest.mark.parametrize("arrives", [True, False])
def test_a_photo_that_fails_while_a_title_is_typed_is_told(
    filled: Site, open_page: OpenPage, arrives: bool
) -> None:
    page = open_page("/")
    sent: list[Route] = []
    hold_photos(page, sent)
    with page.expect_request(lambda request: request.method == "POST"):
        page.set_input_files(
            "#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no photo"}
        )
    page.locator("#title").fill("soap green 80 pieces")
    wait_for_first(page, "soap green")
    (route,) = sent
    if arrives:
        route.continue_()
    else:
        route.abort()
    page.get_by_role("alert").wait_for()
    assert "photo" in page.get_by_role("alert").inner_text()


def test_a_phone_takes_a_photo_with_its_camera(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/", PHONE, is_mobile=True, has_touch=True)
    camera = page.get_by_label("Camera")
    assert camera.is_visible() and camera.get_attribute("capture") == "environment"
    camera.set_input_files(filled.photos / "blue.png")
    wait_for_first(page, "blue")


def test_a_photo_is_pasted_and_one_is_dropped(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/")
    for event in ("paste", "drop"):
        page.evaluate(
            """async ([event, colour]) => {
                const got = await fetch("/product-photo?uri=" + colour + ".png");
                const data = new DataTransfer();
                data.items.add(new File([await got.blob()], "a.png", { type: "image/png" }));
                const of = { bubbles: true, cancelable: true };
                document.body.dispatchEvent(event === "paste"
                    ? new ClipboardEvent("paste", { clipboardData: data, ...of })
                    : new DragEvent("drop", { dataTransfer: data, ...of }));
            }""",
            [event, {"paste": "blue", "drop": "green"}[event]],
        )
        wait_for_first(page, {"paste": "blue", "drop": "green"}[event])


def test_a_product_whose_photo_is_not_at_hand_shows_its_thumbnail(
    site: Site, open_page: OpenPage
) -> None:
    photo = (site.photos / "red.png").read_bytes()
    fill(
        site,
        [Product(product_id="a", title="tea", image=photo), Product(product_id="b", title="mug")],
    )
    page = open_page("/?title=tea")
    page.locator(".card img").wait_for()
    assert page.locator(".card img").evaluate(
        "image => image.decode().then(() => image.naturalWidth)"
    )
    assert page.get_by_text("no photo").count() == 1


def test_keys_go_through_the_results(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/?title=tea")
    for key, place in (("j", 0), ("j", 1), ("k", 0)):
        page.keyboard.press(key)
        stop = page.locator("[data-step]").nth(place)
        assert stop.evaluate("stop => stop === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalogue/product?id=*")
    page.locator("h2", has_text="Most alike").wait_for()


def test_who_hits_keys_by_chance_switches_them_off_for_good(
    filled: Site, open_page: OpenPage
) -> None:
    page = open_page("/?title=tea")
    page.get_by_label("Keyboard shortcuts").uncheck()
    page.goto("/catalogue")
    assert not page.get_by_label("Keyboard shortcuts").is_checked()
    page.goto("/?title=tea")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement === document.body")
    page.get_by_label("Keyboard shortcuts").check()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.hasAttribute('data-step')")


def test_filters_narrow_the_results(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/?title=tea+red")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Category").fill("Home/mug")
    page.get_by_text("The filters allow 3 products.").wait_for()
    page.locator(".card").nth(2).wait_for()
    assert page.locator(".card").count() == 3


def test_a_title_that_wants_to_run_stays_a_title(filled: Site, open_page: OpenPage) -> None:
    for path in ("/?title=script+ran+tea+onerror", "/catalogue/product?id=hostile", "/catalogue"):
        page = open_page(path)
        page.get_by_text("<script>").first.wait_for()
        assert page.evaluate("window.ran") is None


def test_two_settings_are_laid_side_by_side_and_moves_are_marked(
    filled: Site, open_page: OpenPage
) -> None:
    page = open_page("/compare?title=soap+green+80+pieces&match_count=5")
    page.set_input_files("#file", filled.photos / "red.png")
    page.locator(".columns .moved.in").first.wait_for()
    assert page.locator(".columns .moved.out").count() == page.locator(".columns .in").count()
    assert page.locator("svg.chart").count() == 2
    page.locator("[name=right_weight]").fill("0.05")
    page.locator(".columns h2", has_text="photo 5%, text 95%").wait_for()
    assert page.locator("#right_use").input_value() == "weighted"


def test_a_file_of_offers_is_compared(filled: Site, open_page: OpenPage) -> None:
    page = open_page("/compare")
    rows = "id,title,images\n1,tea red 50 pieces,blue.png\n2,mug blue,blue.png\n"
    page.set_input_files(
        "[name=offers]", {"name": "o.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    )
    page.get_by_role("button", name="Compare the file").click()
    page.get_by_text("Largest differences first").wait_for()
    assert page.locator("tbody tr").count() == 2
    with page.expect_download() as download:
        page.get_by_text("the whole table as CSV").click()
    assert download.value.path().read_text().count("\n") == 3
