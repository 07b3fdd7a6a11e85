"""The generated catalogue: drawn products with several offers each, for work without a network."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image

from training.catalogues.generated.assortment import Item, assemble_assortment
from training.catalogues.generated.packaging import draw_package
from training.catalogues.generated.scenes import jpeg_quality, shoot_offer, shoot_studio
from training.catalogues.generated.vocabulary import SELLERS
from training.catalogues.generated.wording import Wording, word_canonically, word_offer
from training.product import Product
from training.whole_file import write_whole

WORKER_COUNT = 2
DRAWN_AHEAD = 8
STAMP = "generated.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheaf:
    """The rows of one product, and what their pictures hold."""

    products: tuple[Product, ...]
    digests: Mapping[str, str]


def generate_catalogue(
    folder: Path, *, product_count: int, offers_per_product: int, seed: int
) -> Iterator[Product]:
    """Draws and words a catalogue of near-duplicates, product after product.

    The first row of each group is the maker's own: a studio photo with the full title. The others
    are sellers' offers. Equal arguments give equal rows and equal files, byte for byte, under one
    version of Pillow. Pictures of a complete earlier run with the same arguments are kept.

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
    fingerprint = _fingerprint(len(items), offers_per_product, seed)
    kept = _read_stamp(folder, fingerprint)
    digests: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=WORKER_COUNT) as pool:
        jobs = (
            pool.submit(_make_sheaf, folder, item, offers_per_product, seed, kept) for item in items
        )
        for sheaf in _in_order(jobs):
            digests |= sheaf.digests
            yield from sheaf.products
    stamp = {"fingerprint": fingerprint, "sha256": digests}
    write_whole(folder / STAMP, json.dumps(stamp, indent=1))


def _in_order(jobs: Iterable[Future[_Sheaf]]) -> Iterator[_Sheaf]:
    """Yields results in the order of the jobs, a few of which are started ahead."""
    source = iter(jobs)
    started = deque(itertools.islice(source, DRAWN_AHEAD))
    while started:
        yield started.popleft().result()
        started.extend(itertools.islice(source, 1))


def _make_sheaf(
    folder: Path, item: Item, offers_per_product: int, seed: int, kept: Mapping[str, str]
) -> _Sheaf:
    """Words and draws all rows of one product."""
    sellers = random.Random(f"sellers {seed} {item.number}").sample(SELLERS, len(SELLERS))
    products, digests = [], {}
    package: Image.Image | None = None
    for row in range(offers_per_product):
        rng = random.Random(f"offer {seed} {item.number} {row}")
        seller = sellers[(row - 1) % len(sellers)]
        wording = word_canonically(item) if row == 0 else word_offer(item, seller[1], rng)
        name = f"images/{item.number:05d}-{row}.jpg"
        products.append(_product(folder / name, item, row, wording, seller[0], rng))
        digest = _digest(folder / name)
        if digest is None or kept.get(name) != digest:
            package = package or draw_package(item)
            data = _photograph(package, row, seller, random.Random(f"photo {seed} {name}"))
            (folder / name).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
        digests[name] = digest
    return _Sheaf(products=tuple(products), digests=digests)


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


def _fingerprint(product_count: int, offers_per_product: int, seed: int) -> str:
    """Names everything that the pictures depend on: arguments, this code, Pillow."""
    digest = hashlib.sha256(
        f"{product_count} {offers_per_product} {seed} {PIL.__version__}".encode()
    )
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _read_stamp(folder: Path, fingerprint: str) -> Mapping[str, str]:
    """Returns the digests of the pictures of a complete equal run, else nothing."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(stamp, dict) or stamp.get("fingerprint") != fingerprint:
        return {}
    digests = stamp.get("sha256")
    return digests if isinstance(digests, dict) else {}


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
