"""The generated catalogue: drawn products with several offers each, for work without a network."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image

from tests.generated_catalogue.assortment import Item, assemble_assortment
from tests.generated_catalogue.packaging import draw_package
from tests.generated_catalogue.scenes import shoot_offer, shoot_studio
from tests.generated_catalogue.vocabulary import SELLERS
from tests.generated_catalogue.wording import word_canonically, word_offer
from twinshelf.training.catalogues.product import Product
from twinshelf.training.files import atomic_write

WORKER_COUNT = 2


def generate_catalogue(
    folder: Path, *, product_count: int, offers_per_product: int, seed: int
) -> Iterator[Product]:
    """Draws and words a catalogue of near-duplicates, product after product.

    The first row of each group is the maker's own: a studio photo with the full title. The others
    are sellers' offers. Equal arguments give equal rows and equal files, byte for byte, under one
    version of Pillow. A picture that is there already is not written again.

    Args:
        folder: Where the pictures go, as JPEG files in its folder `images`; made when missing.
        product_count: How many products, 1 or more.
        offers_per_product: Rows of each product, the maker's included, 1 or more.
        seed: Equal seeds give equal catalogues.

    Yields:
        Rows with a group and one picture each.

    Raises:
        ValueError: If a count is below 1, or no such number of distinct products can be made.
    """
    if product_count < 1 or offers_per_product < 1:
        raise ValueError(
            "product_count and offers_per_product must be 1 or more, "
            f"got {product_count} and {offers_per_product}"
        )
    items = assemble_assortment(product_count, seed)
    return _generate(folder, items, offers_per_product, seed)


def _generate(
    folder: Path, items: list[Item], offers_per_product: int, seed: int
) -> Iterator[Product]:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    make = functools.partial(_make_rows, folder, offers_per_product, seed)
    with ThreadPoolExecutor(max_workers=WORKER_COUNT) as pool:
        for rows in pool.map(make, items):
            yield from rows


def _make_rows(folder: Path, row_count: int, seed: int, item: Item) -> list[Product]:
    """Words and draws all rows of one product."""
    sellers = random.Random(f"sellers {seed} {item.number}").sample(SELLERS, len(SELLERS))
    package, rows = draw_package(item), []
    for number in range(row_count):
        rng = random.Random(f"offer {seed} {item.number} {number}")
        seller, language, mark = sellers[(number - 1) % len(sellers)]
        name = f"images/{item.number:05d}-{number}.jpg"
        camera = random.Random(f"photo {seed} {name}")
        if number == 0:
            product, photo, quality = word_canonically(item), shoot_studio(package), 92
        else:
            product = replace(word_offer(item, language, rng), seller=seller)
            photo = shoot_offer(package, seller, mark, camera)
            quality = camera.randint(38, 92)
        _write_if_new(folder / name, photo, quality)
        product_id = f"{item.group}-{number}"
        rows.append(replace(product, product_id=product_id, images=(folder / name,)))
    return rows


def _write_if_new(path: Path, photo: Image.Image, quality: int) -> None:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    # The time of change tells later steps whether a photo changed.
    if not path.is_file() or path.read_bytes() != file.getvalue():
        with atomic_write(path) as partial:
            partial.write_bytes(file.getvalue())
