"""Offers and products for the loads: real held-out ones where prepared data lies, else drawn."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import islice
from typing import Final, Literal, get_args

import grpc
import numpy as np
from PIL import Image

from tests.soak.deployment import PROJECT, is_serving
from twinshelf.client.file_products import product_of
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import PREPARED_OPTIONS, ProductFiles
from twinshelf.client.records import Product
from twinshelf.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    matching_service_pb2,
    product_pb2,
)

Kind = Literal["texts", "photos", "both"]
KINDS: Final = get_args(Kind)
PREPARED: Final = PROJECT / ".cache" / "data" / "generated"
STORE_TIMEOUT_S: Final = 300.0
SERVING_TIMEOUT_S: Final = 60.0
WORDS: Final = "red green blue tea coffee cup box bag large small 500 g ml чай кофе".split()


def read_products(table: str, count: int) -> list[Product]:
    """Returns products with photos: of the prepared table "queries" or "gallery", or drawn."""
    path = PREPARED / f"{table}.parquet"
    if not path.is_file():
        return draw_products(count, seed=len(table))
    rows = ProductFiles([path], PREPARED_OPTIONS).rows()
    shown = (row for row in rows if isinstance(row, ProductRow) and row.main_photo is not None)
    return [product_of(row) for row in islice(shown, count)]


def draw_products(count: int, seed: int) -> list[Product]:
    """Returns products with photos of smooth noise and titles of a few words."""
    chance = np.random.default_rng(seed)
    return [
        Product(
            product_id=f"drawn-{number}",
            title=" ".join(chance.choice(WORDS, size=5)),
            image=photo(64 + 8 * (number % 5), 64, seed=number),
        )
        for number in range(count)
    ]


def photo(width: int, height: int, *, seed: int = 0, kind: str = "JPEG") -> bytes:
    """Returns an encoded photo of smooth noise."""
    small = np.random.default_rng(seed).integers(0, 256, size=(4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(buffer, kind)
    return buffer.getvalue()


def offer_of(product: Product, kind: Kind) -> product_pb2.Offer:
    """Returns what a product shows of itself."""
    return product_pb2.Offer(
        image=product.image if kind != "texts" else b"",
        title=product.title if kind != "photos" else "",
        brand=product.brand if kind != "photos" else "",
        category=product.category if kind != "photos" else "",
    )


def requests_of(kind: Kind, count: int = 200, match_count: int = 10) -> list[bytes]:
    """Returns serialised MatchProductRequests of held-out offers."""
    return [
        matching_service_pb2.MatchProductRequest(
            offer=offer_of(product, kind), match_count=match_count
        ).SerializeToString()
        for product in read_products("queries", count)
    ]


def store(address: str, products: Iterable[product_pb2.Product]) -> None:
    """Stores products in the catalogue of a service.

    Raises:
        RuntimeError: If one is refused, or the service does not begin to serve.
    """
    # It listens before it has reached Triton.
    if not is_serving(address, SERVING_TIMEOUT_S):
        raise RuntimeError(f"{address} did not serve within {SERVING_TIMEOUT_S:g} s")
    requests = (catalog_service_pb2.UpsertProductsRequest(product=each) for each in products)
    with grpc.insecure_channel(address) as channel:
        stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        for answer in stub.UpsertProducts(requests, timeout=STORE_TIMEOUT_S):
            if answer.HasField("error"):
                raise RuntimeError(f"{answer.product_id} was not stored: {answer.error.message}")


def store_gallery(address: str, count: int = 300) -> None:
    """Stores the gallery."""
    fields = ("product_id", "title", "description", "category", "brand", "image")
    store(
        address,
        (
            product_pb2.Product(**{field: getattr(product, field) for field in fields})
            for product in read_products("gallery", count)
        ),
    )


def store_long_descriptions(address: str, count: int, byte_count: int = 60_000) -> None:
    """Stores products without photos whose descriptions are as long as a service takes them."""
    words = ("washing gel aloe " * (byte_count // 17 + 1))[:byte_count]
    store(
        address,
        (
            product_pb2.Product(product_id=f"long-{n:05}", title="washing gel", description=words)
            for n in range(count)
        ),
    )
