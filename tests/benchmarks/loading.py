"""Embedded products loaded into Milvus: by its bulk import, and by writes, one after the other.

python -m tests.benchmarks.loading
python -m tests.benchmarks.loading --products 100000

Needs the packages of tests/milvus/requirements.in; starts the Milvus of the wheel on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.filtered_search import CONTRACT, Products, make_products, make_query
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.milvus.local_server import LocalServer
from twinshelf.server.bulk.embedded_folder import EmbeddedOutput, WholeOutput, read_outputs
from twinshelf.server.bulk.embedded_table import EmbeddedRow, make_table
from twinshelf.server.bulk.import_folder import ImportFolder
from twinshelf.server.bulk.loading import import_outputs, load_outputs
from twinshelf.server.bulk.product_batch import PART_ROWS
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.encoders.embedding import OfferEmbedding

_QUERY_COUNT = 100


def write_embedded(products: Products, folder: Path) -> Mapping[Path, WholeOutput]:
    """Writes products as `twinshelf embed` does; returns the outputs of the folder."""
    output = EmbeddedOutput(folder=folder / "products", run="generated")
    count = len(products.prices)
    starts = range(0, count, PART_ROWS)
    for part, start in enumerate(starts):
        rows = [_row(products, row) for row in range(start, min(start + PART_ROWS, count))]
        output.write_part(part, [make_table(rows, CONTRACT)])
    output.finish(len(starts), CONTRACT)
    return read_outputs(folder, CONTRACT)


async def measure(
    host: str, outputs: Mapping[Path, WholeOutput], products: Products, imports: Path | None
) -> tuple[Row, list[list[str]]]:
    """Loads into a new catalogue; returns what it took, and what is found there.

    Args:
        host: The server, as host:port.
        outputs: What is loaded.
        products: The same.
        imports: Folder that Milvus reads; None writes the products.
    """
    way = "by writes" if imports is None else "by import"
    address = MilvusAddress.parse(f"milvus://{host}/{way.replace(' ', '_')}")
    assert address is not None
    catalogue = MilvusCatalogue(address, reader_count=4)
    start_s, cpu_s = time.perf_counter(), time.process_time()
    if imports is None:
        report = await load_outputs(outputs, CONTRACT, catalogue, lambda: None)
    else:
        folder = ImportFolder.parse(str(imports))
        report = await import_outputs(outputs, CONTRACT, catalogue, folder, lambda: None)
    took_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    if report.stored_count != len(products.prices):
        raise AnswersDifferError(f"{report.stored_count:,} products are there {way}")
    found = []
    for row in range(_QUERY_COUNT):
        page = await catalogue.search(make_query(products, row, None))
        found.append([hit.product.record.product_id for hit in page.hits])
    await catalogue.close()
    taken: Row = {
        "way": way,
        "seconds": took_s,
        "products a second": len(products.prices) / took_s,
        "our own CPU, s": cpu_s,
    }
    return taken, found


async def compare(products: Products, folder: Path, tick_ms: int) -> list[Row]:
    """Loads both ways.

    Raises:
        AnswersDifferError: If products are missing, or the two catalogues find different ones.
    """
    outputs = write_embedded(products, folder / "embedded")
    server = LocalServer(folder / "milvus", tick_ms=tick_ms)
    await asyncio.to_thread(server.start)
    try:
        imported, found = await measure(server.address, outputs, products, folder / "imports")
        written, expected = await measure(server.address, outputs, products, None)
    finally:
        server.kill()
    same_count = sum(len(set(a) & set(b)) for a, b in zip(found, expected, strict=True))
    if same_count < 0.99 * sum(map(len, expected)):
        raise AnswersDifferError(f"of {sum(map(len, expected))} matches {same_count} are the same")
    return [imported, written]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares the ways; returns 1 when their catalogues differ, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=20_000, help="products of the catalogue")
    parser.add_argument("--seed", type=int, default=0, help="of the products")
    parser.add_argument("--tick-ms", type=int, default=200, help="clock of Milvus' log")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    report = Report(name="loading", machine=describe_machine(["pymilvus"]))
    report.say(str(report.machine))
    products = make_products(np.random.default_rng(options.seed), options.products)
    try:
        with tempfile.TemporaryDirectory() as folder:
            rows = asyncio.run(compare(products, Path(folder), options.tick_ms))
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.add(
        f"{options.products:,} products of 512 numbers, log of Milvus every {options.tick_ms} ms",
        rows,
    )
    report.save(options.output)
    return 0


def _row(products: Products, row: int) -> EmbeddedRow:
    image, text = np.split(products.vectors[row].astype(np.float32), 2)
    return EmbeddedRow(
        row_number=row + 1,
        record=products.record(row),
        embedding=OfferEmbedding(image=image, text=text),
    )


if __name__ == "__main__":
    sys.exit(main())
