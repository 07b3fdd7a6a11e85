"""What every page keeps to: it fits, it is named, it can be read, it stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import DESKTOP, PHONE, OpenPage
from tests.browser.site import Site
from twinshelf.client.records import Product
from twinshelf.client.web.judgements import CandidatePair, Judgements

SCREENSHOTS = Path(__file__).parents[2] / ".cache" / "screenshots"
PAGES = {
    "search-empty": "/",
    "search": "/?title=tea+red&category=Home",
    "compare": "/compare?title=tea+red&right_use=text",
    "catalogue": "/catalogue",
    "product": "/catalogue/product?id=tea-red",
    "map": "/catalogue/map",
    "groups": "/groups",
    "group": "/groups/group?product=twin-0",
    "history": "/groups/history",
    "review": "/review",
    "health": "/health",
    "failure": "/nowhere",
}
PAIR = CandidatePair(
    left_key="left",
    right_key="right",
    left=Product(product_id="left", title="Red tea 50 bags", brand="Acme", image_uri="red.png"),
    right=Product(product_id="right", title="Red tea 25 bags", description="Hot" * 100),
    score=0.7,
    probability=0.5,
)
UNNAMED = """() => [...document.querySelectorAll("a, button, input, select, summary")].filter(
    (each) => each.type !== "hidden" && !each.hidden && each.getAttribute("aria-hidden") !== "true"
        && !(each.labels?.length || each.ariaLabel || each.textContent.trim())
).map((each) => each.outerHTML)"""
# Contrast as WCAG 2.1 defines it, of each text against the nearest ground that is not see-through.
TOO_FAINT = """() => {
    const light = (colour) => {
        const part = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = colour.match(/[\\d.]+/g).map((each) => part(each / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (each) => {
        for (; each; each = each.parentElement) {
            const colour = getComputedStyle(each).backgroundColor;
            if (!colour.endsWith(", 0)")) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
        const each = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !each.checkVisibility()) continue;
        if (each.closest("svg")) continue;
        const [low, high] = [getComputedStyle(each).color, ground(each)].map(light)
            .sort((one, other) => one - other);
        if ((high + 0.05) / (low + 0.05) < 4.5) found.push(each.outerHTML);
    }
    return found;
}"""
SHIFT = """() => new Promise((done) => {
    let sum = 0;
    new PerformanceObserver((list) => {
        for (const each of list.getEntries()) if (!each.hadRecentInput) sum += each.value;
    }).observe({ type: "layout-shift", buffered: true });
    setTimeout(() => done(sum), 200);
})"""


@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_is_named_and_can_be_read(
    filled: Site, open_page: OpenPage, width: str, scheme: str
) -> None:
    options: dict[str, Any] = {"color_scheme": scheme}
    if width == "phone":
        options |= {"is_mobile": True, "has_touch": True}
    Judgements(filled.judgements).add([PAIR])
    page = open_page("/", PHONE if width == "phone" else DESKTOP, **options)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for name, path in PAGES.items():
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate(UNNAMED) == [], name
        assert page.evaluate(TOO_FAINT) == [], name
        assert page.evaluate(SHIFT) < 0.1, name
        assert page.locator("h1").count() == 1, name
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
