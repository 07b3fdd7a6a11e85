"""The generated catalogue: drawn products with several offers each, for work without a network."""

from __future__ import annotations

import io
import itertools
import random
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from twinshelf.training.catalogues.generated.assortment import Item, assemble_assortment
from twinshelf.training.catalogues.generated.packaging import draw_package
from twinshelf.training.catalogues.generated.scenes import jpeg_quality, shoot_offer, shoot_studio
from twinshelf.training.catalogues.generated.vocabulary import SELLERS
from twinshelf.training.catalogues.generated.wording import Wording, word_canonically, word_offer
from twinshelf.training.catalogues.product import Product
from twinshelf.training.files import atomic_write

WORKER_COUNT = 2
DRAWN_AHEAD = 8


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
    with ThreadPoolExecutor(max_workers=WORKER_COUNT) as pool:
        jobs = (pool.submit(_make_offers, folder, item, offers_per_product, seed) for item in items)
        for products in _in_order(jobs):
            yield from products


def _in_order(jobs: Iterable[Future[list[Product]]]) -> Iterator[list[Product]]:
    """Yields results in the order of the jobs, a few of which are started ahead."""
    source = iter(jobs)
    started = deque(itertools.islice(source, DRAWN_AHEAD))
    while started:
        yield started.popleft().result()
        started.extend(itertools.islice(source, 1))


def _make_offers(folder: Path, item: Item, offers_per_product: int, seed: int) -> list[Product]:
    """Words and draws all rows of one product."""
    sellers = random.Random(f"sellers {seed} {item.number}").sample(SELLERS, len(SELLERS))
    package, products = draw_package(item), []
    for row in range(offers_per_product):
        rng = random.Random(f"offer {seed} {item.number} {row}")
        seller = sellers[(row - 1) % len(sellers)]
        wording = word_canonically(item) if row == 0 else word_offer(item, seller[1], rng)
        name = f"images/{item.number:05d}-{row}.jpg"
        products.append(_product(folder / name, item, row, wording, seller[0], rng))
        photo = _photograph(package, row, seller, random.Random(f"photo {seed} {name}"))
        _write_if_new(folder / name, photo)
    return products


def _write_if_new(path: Path, content: bytes) -> None:
    # The time of change tells later steps whether a photo changed.
    if not path.is_file() or path.read_bytes() != content:
        with atomic_write(path) as partial:
            partial.write_bytes(content)


def _product(
    image: Path, item: Item, row: int, wording: Wording, seller: str, rng: random.Random
) -> Product:
    canonical = row == 0
    return Product(
        product_id=f"g{item.number:05d}-{row}",
        title=wording.title,
        description=wording.description,
        category=wording.category,
        brand=wording.brand,
        seller=item.brand.name if canonical else seller,
        price=item.price if canonical else round(item.price * rng.uniform(0.85, 1.2), 2),
        attributes=wording.attributes,
        images=(image,),
        group=f"g{item.number:05d}",
    )


def _photograph(
    package: Image.Image, row: int, seller: tuple[str, str, str], rng: random.Random
) -> bytes:
    """Returns the photo of a row as a JPEG file."""
    if row == 0:
        photo, quality = shoot_studio(package), 92
    else:
        photo, quality = shoot_offer(package, seller[0], seller[2], rng), jpeg_quality(rng)
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()
