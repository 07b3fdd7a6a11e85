"""A page in a thread, before a real service in a process of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from PIL import Image

from tests.browser.word_encoder import WordEncoder
from tests.client.fake_service import wait_until
from tests.server.service_process import serve_apart
from twinshelf.client.records import Product
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client
from twinshelf.client.web.app import make_app
from twinshelf.client.web.config import PageConfig
from twinshelf.server.config import ServerConfig

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 210)}
KINDS = ("tea", "mug", "lamp", "soap", "chair", "pan", "towel", "clock")
HOSTILE = "<img src=x onerror=window.ran=1><script>window.ran=1</script> tea"


@dataclass(frozen=True, slots=True)
class Site:
    """A page that runs.

    Attributes:
        address: Where it is, such as http://127.0.0.1:40000.
        service: Where its service is.
        photos: Folder of the photos.
        judgements: File of what people judge.
    """

    address: str
    service: str
    photos: Path
    judgements: Path


@contextmanager
def serve_site(folder: Path, keys: Path | None = None) -> Iterator[Site]:
    """Serves a page and its service, which holds nothing yet; with keys, callers need one."""
    photos = folder / "photos"
    photos.mkdir()
    _draw_photos(photos)
    service_config = ServerConfig(
        address="127.0.0.1:0",
        catalogue=folder / "catalogue",
        metrics_address="",
        canary_interval_s=60,
        drain_timeout_s=5,
        keep_thumbnails=160,
        keys=str(keys or ""),
    )
    with serve_apart(service_config, WordEncoder) as apart:
        service = apart.address
        page_config = PageConfig(
            address=service,
            judgements=folder / "judgements.sqlite",
            image_root=photos,
            timeout_s=10,
            retry_policy=RetryPolicy(attempt_count=2, initial_backoff_s=0.01, max_backoff_s=0.02),
        )
        with serve_page(page_config) as address:
            yield Site(address, service, photos, page_config.judgements)


def _draw_photos(folder: Path) -> None:
    """Draws each colour alone, and each kind in each colour."""
    for colour, paint in COLOURS.items():
        plain = Image.new("RGB", (200, 200), paint)
        plain.save(folder / f"{colour}.png")
        for number, kind in enumerate(KINDS):
            photo = plain.copy()
            # The lower half tells the kind.
            for bit in range(2):
                shade = tuple(220 if number >> part & 1 else 30 for part in range(bit, bit + 3))
                photo.paste(shade, (100 * bit, 100, 100 * bit + 100, 200))
            photo.save(folder / f"{kind}-{colour}.png")


@contextmanager
def serve_page(config: PageConfig) -> Iterator[str]:
    """Serves a page alone; yields where it is."""
    listener = socket.create_server(("127.0.0.1", 0))
    page = uvicorn.Server(uvicorn.Config(make_app(config), log_level="warning", ws="none"))
    thread = threading.Thread(target=page.run, args=([listener],), daemon=True)
    thread.start()
    wait_until(lambda: page.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        page.should_exit = True
        thread.join(20)
        listener.close()


def fill(site: Site, products: Sequence[Product] = ()) -> None:
    """Stores products, by default some of each kind, and waits until they are grouped."""
    with Client(site.service) as client:
        answers = list(client.upsert(products or _usual(site.photos)))
        assert all(answer.error is None for answer in answers), answers
        wait_until(lambda: not client.groups.list_page().pending_product_count)


def _usual(photos: Path) -> list[Product]:
    """Three colours of eight kinds, twins of the first, and a title that wants to run."""
    products = [
        Product(
            product_id=f"{kind}-{colour}",
            title=f"{kind} {colour} {50 + 10 * number} pieces of {kind}",
            brand="Acme",
            category=f"Home/{kind}",
            seller="Shop & Co",
            price=4.5 + number,
            attributes={"views": str(10**number % 9973)},
            image=(photos / f"{kind}-{colour}.png").read_bytes(),
            image_uri=f"{kind}-{colour}.png",
        )
        for number, kind in enumerate(KINDS)
        for colour in COLOURS
    ]
    twin = products[0]
    twins = [
        Product(
            product_id=f"twin-{number}",
            title=twin.title,
            brand=twin.brand,
            category=twin.category,
            seller=f"Shop {number}",
            image=twin.image,
            image_uri=twin.image_uri,
        )
        for number in range(2)
    ]
    return [*products, *twins, Product(product_id="hostile", title=HOSTILE)]
