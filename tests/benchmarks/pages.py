"""How long the pages take on a large catalogue, beside a match of the service alone.

python -m tests.benchmarks.pages --products 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.browser.site import serve_page
from tests.server.catalogue.groups.planted import contract_of
from tests.server.fake_encoder import FakeEncoder
from tests.server.service_process import serve_apart
from twinshelf.client.records import Offer
from twinshelf.client.sync_client import Client
from twinshelf.client.web.config import PageConfig
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductRecord, ProductVector
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.embedding import OfferEmbedding, stored_vector
from twinshelf.server.encoders.modalities import Pattern

_LENGTH = 16
_BATCH = 4096
_LISTED = 1000
_ROUNDS = 9
_WAIT_S = 60.0


def make_encoder() -> FakeEncoder:
    """Makes the encoder of the service, which takes no time."""
    return FakeEncoder(contract_of(_LENGTH))


async def fill(folder: Path, count: int) -> None:
    """Stores products with titles alone, and a snapshot of their index."""
    contract = contract_of(_LENGTH)
    generator = np.random.default_rng(0)
    catalogue = SqliteCatalogue(folder, reader_count=1)
    try:
        await catalogue.use_encoder(contract)
        for start in range(0, count, _BATCH):
            rows = range(start, min(start + _BATCH, count))
            texts = generator.normal(size=(len(rows), _LENGTH)).astype(np.float32)
            texts /= np.linalg.norm(texts, axis=1, keepdims=True)
            products = [
                NewProduct(
                    record=make_record(row),
                    vectors=(
                        ProductVector(
                            digest=contract.digest,
                            pattern=Pattern.TEXT,
                            vector=stored_vector(OfferEmbedding(image=None, text=text), contract),
                        ),
                    ),
                )
                for row, text in zip(rows, texts, strict=True)
            ]
            await asyncio.gather(*map(catalogue.upsert, products))
        await catalogue.snapshot()
    finally:
        await catalogue.close()


def make_record(row: int) -> ProductRecord:
    """Returns the fields of a product."""
    return ProductRecord(
        product_id=f"p{row:07}",
        title=f"product {row} tea {row % 997}",
        category=f"c{row % 50}/d{row % 7}",
        brand=f"b{row % 300}",
        seller=f"s{row % 40}",
        price=float(row % 500),
        attributes={"views": str(row % 1000)},
    )


def paths_of(client: Client, count: int) -> dict[str, str]:
    """Returns what is asked for, by what it shows; the token leads past half of the products."""
    token = ""
    for _ in range(count // _LISTED // 2):
        token = client.list_page(page_size=_LISTED, page_token=token).next_page_token
    return {
        "search": "/?title=product 77 tea",
        "search, a category": "/?title=product 77 tea&category=c7",
        "search, seller and brand": "/?title=product 77 tea&seller=s3&brand=b43",
        "compare": "/compare?title=product 77 tea",
        "catalogue": "/catalogue",
        "catalogue, past half": f"/catalogue?after={token}",
        "a product and its neighbours": f"/catalogue/product?id=p{count // 2:07}",
        "groups": "/groups",
        "map of a sample": "/catalogue/map",
        "review": "/review",
        "health": "/health",
    }


def median_ms(ask: Callable[[], object]) -> float:
    """Returns the median of several times, after a first that counts for nothing."""
    times_s = []
    for _ in range(_ROUNDS + 1):
        start_s = time.perf_counter()
        ask()
        times_s.append(time.perf_counter() - start_s)
    return 1e3 * statistics.median(times_s[1:])


def _read(url: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_WAIT_S) as answer:
            answer.read()
    except urllib.error.HTTPError as error:
        raise AnswersDifferError(f"{url} answered {error.code}") from error


def measure(folder: Path, count: int) -> list[Row]:
    """Measures the service's own match and each page.

    Raises:
        AnswersDifferError: If a page does not answer 200, or the catalogue holds another count.
    """
    config = ServerConfig(address="127.0.0.1:0", catalogue=folder, metrics_address="")
    with (
        serve_apart(config, make_encoder) as service,
        Client(service.address, timeout_s=_WAIT_S) as client,
        tempfile.TemporaryDirectory() as judgements,
    ):
        offer = Offer(title="product 77 tea")
        rows: list[Row] = [
            {"page": "the service's match alone", "ms": median_ms(lambda: client.match(offer))}
        ]
        if (stored := client.stats().product_count) != count:
            raise AnswersDifferError(f"{folder} holds {stored:,} products, expected {count:,}")
        file = Path(judgements) / "judgements.sqlite"
        page = PageConfig(address=service.address, judgements=file, timeout_s=_WAIT_S)
        with serve_page(page) as address:
            for name, path in paths_of(client, count).items():
                url = address + urllib.parse.quote(path, safe="/?&=")
                rows.append({"page": name, "ms": median_ms(partial(_read, url))})
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when a page does not answer as it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pages", description=__doc__)
    parser.add_argument("--products", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--folder", type=Path, help="where the catalogue is kept for other runs")
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    report = Report(name="pages")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "catalogue"
        try:
            if not folder.exists():
                asyncio.run(fill(folder, options.products))
            rows = measure(folder, options.products)
        except AnswersDifferError as error:
            report.say(str(error))
            return 1
    report.add(f"{options.products:,} products, {_LENGTH} numbers each", rows)
    report.save(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
