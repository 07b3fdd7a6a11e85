"""Contact sheets: every offer and match is on them, and broken photos do no harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from twinshelf.client.demo import contact_sheet
from twinshelf.client.demo.contact_page import write_page
from twinshelf.client.demo.contact_sheet import write_sheet
from twinshelf.client.demo.held_out import MatchedOffer
from twinshelf.client.demo.thumbnails import load_thumbnail
from twinshelf.client.files.product_row import Photo, ProductRow
from twinshelf.client.records import Match, Product


@pytest.fixture
def matched(tmp_path: Path) -> list[MatchedOffer]:
    photo = tmp_path / "photo.jpg"
    Image.new("RGB", (300, 100), (200, 30, 30)).save(photo)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 not a photo")
    photos = (photo, broken, None, tmp_path / "missing.jpg", photo)
    titles = ("Чай <зелёный> & tea", "x" * 200, "", "a b " * 60, "mug")
    matches = tuple(
        Match(
            product=Product(product_id=f"p{rank}", title=title),
            score=0.9 - rank / 10,
            probability=(0.97, 1.2, -0.1, 0.5, 0.0)[rank],
            is_match=rank == 0,
            pattern="both",
            image_score=None,
            text_score=0.5,
        )
        for rank, title in enumerate(titles)
    )

    def make(photo: Path | None, title: str, right: int, count: int) -> MatchedOffer:
        return MatchedOffer(
            offer=ProductRow(
                source="offers.csv",
                row_number=1,
                product_id="q",
                title=title,
                photos=(Photo(path=photo),),
            ),
            matches=matches[:count],
            photos=photos[:count],
            is_right=tuple(rank == right for rank in range(count)),
        )

    return [make(photo, "offer <1>", 0, 5), make(None, "", 1, 5), make(broken, "none", 9, 0)]


@pytest.mark.slow
def test_the_sheet_has_a_row_for_each_offer_and_marks_the_right_match(
    matched: list[MatchedOffer], tmp_path: Path
) -> None:
    sizes = []
    for count in (1, 3):
        path = tmp_path / "out" / f"{count}.png"
        write_sheet(path, matched[:count], title="Twinshelf · demo", subtitle="recall@1")
        with Image.open(path) as sheet:
            sizes.append(sheet.size)
            colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 24) or []}
        assert contact_sheet.RIGHT in colours
        assert (contact_sheet.WRONG in colours) == (count == 3)
    assert sizes[0][0] == sizes[1][0]
    row_px = contact_sheet.CARD_HEIGHT_PX + contact_sheet.GAP_PX
    assert sizes[1][1] - sizes[0][1] == 2 * row_px


def test_the_page_stands_alone_and_escapes_what_shops_write(
    matched: list[MatchedOffer], tmp_path: Path
) -> None:
    write_page(tmp_path / "out.html", matched, title="Twinshelf <x>", subtitle="a & b")
    page = (tmp_path / "out.html").read_text()
    assert page.count("<article>") == 3
    assert "Чай &lt;зелёный&gt; &amp; tea" in page and "<зелёный>" not in page
    assert "offer &lt;1&gt;" in page and "Twinshelf &lt;x&gt;" in page and "a &amp; b" in page
    assert page.count('class="badge"') == 2
    assert page.count("data:image/jpeg;base64,") == 5 and page.count('class="none"') == 8
    assert "http" not in page and "prefers-color-scheme: dark" in page
    assert "width:100.0%" in page and "width:-" not in page


def test_a_thumbnail_is_whole_and_square(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 400), (10, 200, 10, 255)).save(tmp_path / "tall.png")
    thumbnail = load_thumbnail(tmp_path / "tall.png", 100)
    assert thumbnail is not None and thumbnail.size == (100, 100)
    assert thumbnail.getpixel((50, 2)) == (10, 200, 10)
    assert thumbnail.getpixel((2, 50)) == (255, 255, 255)


def test_a_photo_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    photo = Image.new("RGB", (40, 20), "blue")
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "side.jpg", exif=exif)
    thumbnail = load_thumbnail(tmp_path / "side.jpg", 40)
    assert thumbnail is not None
    red, _, blue = thumbnail.getpixel((20, 1))  # type: ignore[misc]
    assert blue > 200 and red < 60
