"""Products stored by streams of UpsertProducts, beside Triton alone on the same products.

python -m tests.benchmarks.ingest
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
from tritonclient.grpc import aio as triton

from tests.benchmarks.end_to_end.deployment import ServiceAddresses, serve_service
from tests.benchmarks.end_to_end.offers import Offer, make_products
from tests.benchmarks.end_to_end.sides import ServiceSide
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from twinshelf.server.encoders.python_model import bytes_column
from twinshelf.server.triton.repository import newest_version
from twinshelf.v1 import catalog_service_pb2
from twinshelf.v1.catalog_service_pb2_grpc import CatalogServiceStub

NAME = "ingest"
BATCH_SIZES = (1, 8, 32)
IN_FLIGHT_COUNT = 4
STREAM_COUNTS = (1, 4)
WARM_UP_COUNT = 16


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when a product is missing afterwards, else 0."""
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.benchmarks.{NAME}",
        description="Products a second through the service, and through Triton alone.",
    )
    add = parser.add_argument
    add("--repository", type=Path, default=Path("model_repository"), help="what is served")
    add("--version", type=int, help="version in it; default: the newest")
    add("--products", type=int, default=200, help="products of a round")
    add("--rounds", type=int, default=3, help="turns of each way")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file and the logs")
    options = parser.parse_args(arguments)
    version = options.version or newest_version(options.repository)
    report = Report(name=NAME)
    report.say(str(report.machine))
    products = make_products(options.products)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            serve_service(
                options.repository, version, Path(folder), options.output / "logs" / NAME
            ) as addresses,
        ):
            rates = asyncio.run(measure(addresses, products, options.rounds))
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.add("products a second", rate_rows(rates))
    report.save(options.output)
    return 0


async def measure(
    addresses: ServiceAddresses, products: Sequence[Offer], round_count: int
) -> dict[str, float]:
    """Stores all products by some streams, and embeds them by Triton alone, in turn.

    Args:
        addresses: Of a service whose catalogue is empty.
        products: What is stored again and again; nothing is answered from memory.
        round_count: Turns of each way.

    Returns:
        The median products a second of each way.

    Raises:
        AnswersDifferError: If the catalogue does not hold all of them afterwards.
    """
    await _embed(addresses.triton, products[:WARM_UP_COUNT], 1)
    await _store(addresses.service, products[:WARM_UP_COUNT], 1)
    times_s: dict[str, list[float]] = {}
    for _ in range(round_count):
        for stream_count in STREAM_COUNTS:
            start_s = time.perf_counter()
            await _store(addresses.service, products, stream_count)
            name = f"UpsertProducts, {stream_count} stream(s)"
            times_s.setdefault(name, []).append(time.perf_counter() - start_s)
        for batch_size in BATCH_SIZES:
            start_s = time.perf_counter()
            await _embed(addresses.triton, products, batch_size)
            name = f"Triton alone, batches of {batch_size}"
            times_s.setdefault(name, []).append(time.perf_counter() - start_s)
    async with grpc.aio.insecure_channel(addresses.service) as channel:
        stats = await CatalogServiceStub(channel).GetCatalogStats(
            catalog_service_pb2.GetCatalogStatsRequest()
        )
    if stats.product_count != len(products):
        raise AnswersDifferError(f"{len(products)} were stored, {stats.product_count} are there")
    return {name: len(products) / float(np.median(each)) for name, each in times_s.items()}


def rate_rows(rates: dict[str, float]) -> list[Row]:
    """Returns each rate beside the best of Triton alone."""
    best = max(rate for name, rate in rates.items() if name.startswith("Triton"))
    return [
        {"way": name, "products/s": rate, "this / best of Triton": rate / best}
        for name, rate in rates.items()
    ]


async def _store(address: str, products: Sequence[Offer], stream_count: int) -> None:
    sides = [ServiceSide(address) for _ in range(stream_count)]
    shares = [products[place::stream_count] for place in range(stream_count)]
    await asyncio.gather(*(side.store(each) for side, each in zip(sides, shares, strict=True)))
    for side in sides:
        await side.close()


async def _embed(address: str, products: Sequence[Offer], batch_size: int) -> None:
    """Embeds products by the ensemble of photo and text, some batches at a time."""
    places = asyncio.Semaphore(IN_FLIGHT_COUNT)
    async with triton.InferenceServerClient(address) as client:

        async def infer(batch: Sequence[Offer]) -> None:
            columns = {
                "IMAGE": bytes_column([each.image for each in batch]),
                "TEXT": bytes_column([each.title.encode() for each in batch]),
            }
            inputs = []
            for name, column in columns.items():
                tensor = triton.InferInput(name, list(column.shape), "BYTES")
                tensor.set_data_from_numpy(column)
                inputs.append(tensor)
            async with places:
                await client.infer("product_encoder", inputs)

        starts = range(0, len(products), batch_size)
        await asyncio.gather(*(infer(products[at : at + batch_size]) for at in starts))


if __name__ == "__main__":
    sys.exit(main())
