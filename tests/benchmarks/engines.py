"""The same catalogue in both engines, side by side: recall@10, time of a search, writes a second.

python -m tests.benchmarks.engines
python -m tests.benchmarks.engines --products 100000 --json engines.json

Needs the packages of tests/milvus/requirements.in; starts the Milvus of the wheel on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from tests.benchmarks.filtered_search import (
    CONTRACT,
    DEPTH,
    Case,
    Products,
    make_cases,
    make_products,
    make_query,
)
from tests.milvus.local_server import LocalServer
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductVector
from twinshelf.server.catalogue.ranking import HitPage
from twinshelf.server.encoders.embedding import query_vector
from twinshelf.server.encoders.modalities import Pattern

_WRITES_AT_ONCE = 1024
_LONE_WRITE_COUNT = 20
_SHOWN = ("", "10.0% by price", "1.0% by price", "1.0% by category")
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """Searches with one filter.

    Attributes:
        filter_name: What is allowed; empty for all.
        recall: Share of the exact ten best that were found, 0 to 1.
        p50_ms: Median time of a search, one after the other.
        p95_ms: Time that 95 of 100 searches stay below.
    """

    filter_name: str
    recall: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one engine did.

    Attributes:
        engine: Its name.
        writes_per_s: Products written a second, 1024 on their way at once.
        lone_write_ms: Median time of a write that has nobody beside it.
        seal_s: Time until all is searched by graphs.
        searches_per_s: Searches a second, 4 on their way at once, without a filter.
        memory_mib: What the engine's process holds in the end; with SQLite that is this process,
            libraries and all.
        searched: The searches.
    """

    engine: str
    writes_per_s: float
    lone_write_ms: float
    seal_s: float
    searches_per_s: float
    memory_mib: int
    searched: list[Searched]


async def load(catalogue: Catalogue, products: Products) -> float:
    """Writes all products; returns how many a second."""
    await catalogue.use_encoder(CONTRACT)
    start_s = time.perf_counter()
    count = len(products.prices)
    for first in range(0, count, _WRITES_AT_ONCE):
        rows = range(first, min(first + _WRITES_AT_ONCE, count))
        await asyncio.gather(*(catalogue.upsert(_product(products, row)) for row in rows))
    return count / (time.perf_counter() - start_s)


async def measure(
    name: str, catalogue: Catalogue, products: Products, query_count: int
) -> Measured:
    """Fills an empty catalogue and searches it."""
    writes_per_s = await load(catalogue, products)
    lone = []
    for row in range(_LONE_WRITE_COUNT):
        start_s = time.perf_counter()
        await catalogue.upsert(_product(products, row))
        lone.append(time.perf_counter() - start_s)
    start_s = time.perf_counter()
    await catalogue.snapshot()
    await _settle(catalogue, products)
    seal_s = time.perf_counter() - start_s
    everything = np.ones(len(products.prices), dtype=bool)
    searched = [await search(catalogue, products, None, everything, query_count)]
    for case in make_cases(products):
        if case.name in _SHOWN:
            searched.append(await search(catalogue, products, case, case.is_allowed, query_count))
    return Measured(
        engine=name,
        writes_per_s=writes_per_s,
        lone_write_ms=1e3 * float(np.median(lone)),
        seal_s=seal_s,
        searches_per_s=await load_with_searches(catalogue, products, query_count),
        memory_mib=_own_memory_bytes() // MIB,
        searched=searched,
    )


async def search(
    catalogue: Catalogue,
    products: Products,
    case: Case | None,
    is_allowed: npt.NDArray[np.bool_],
    query_count: int,
) -> Searched:
    """Searches one after the other, and compares with a look at every vector."""
    allowed = np.flatnonzero(is_allowed)
    stored = products.vectors[allowed].astype(np.float32)
    times, found_count, wanted_count = [], 0, 0
    for row in range(query_count):
        query = make_query(products, row, None if case is None else case.condition)
        start_s = time.perf_counter()
        page = await catalogue.search(query)
        times.append(time.perf_counter() - start_s)
        exact = stored @ query_vector(query.embedding, query.weights, CONTRACT)
        best = set(allowed[np.argsort(-exact, kind="stable")[:DEPTH]].tolist())
        wanted_count += len(best)
        found_count += len(best & _rows(page))
    return Searched(
        filter_name="" if case is None else case.name,
        recall=found_count / wanted_count,
        p50_ms=1e3 * float(np.percentile(times, 50)),
        p95_ms=1e3 * float(np.percentile(times, 95)),
    )


async def load_with_searches(catalogue: Catalogue, products: Products, count: int) -> float:
    """Searches with 4 on their way at once; returns how many a second."""
    queries = iter([make_query(products, row, None) for row in range(count)])

    async def search_some() -> None:
        for query in queries:
            await catalogue.search(query)

    start_s = time.perf_counter()
    await asyncio.gather(*(search_some() for _ in range(4)))
    return count / (time.perf_counter() - start_s)


def print_table(console: Console, measured: Sequence[Measured]) -> None:
    """Prints what the engines did, side by side."""
    table = Table("", *(each.engine for each in measured))
    table.add_row("products written a second", *(f"{each.writes_per_s:.0f}" for each in measured))
    table.add_row("a lone write, ms", *(f"{each.lone_write_ms:.1f}" for each in measured))
    table.add_row("sealed after, s", *(f"{each.seal_s:.1f}" for each in measured))
    table.add_row("searches a second", *(f"{each.searches_per_s:.0f}" for each in measured))
    table.add_row("memory, MiB", *(f"{each.memory_mib}" for each in measured))
    for lines in zip(*(each.searched for each in measured), strict=True):
        name = lines[0].filter_name or "no filter"
        table.add_row(f"{name}: recall@{DEPTH}", *(f"{each.recall:.4f}" for each in lines))
        table.add_row(
            f"{name}: p50 / p95, ms", *(f"{each.p50_ms:.1f} / {each.p95_ms:.1f}" for each in lines)
        )
    console.print(table)


async def compare(
    products: Products, query_count: int, tick_ms: int, folder: Path
) -> list[Measured]:
    """Measures one engine after the other."""
    sqlite = SqliteCatalogue(folder / "sqlite", reader_count=4)
    measured = [await measure("SQLite + usearch", sqlite, products, query_count)]
    await sqlite.close()
    server = LocalServer(folder / "milvus", tick_ms=tick_ms)
    await asyncio.to_thread(server.start)
    try:
        address = MilvusAddress.parse(f"milvus://{server.address}/engines")
        assert address is not None
        shared = MilvusCatalogue(address, reader_count=4)
        result = await measure("Milvus 2.3.5", shared, products, query_count)
        memory_mib = server.resident_bytes // MIB
        measured.append(replace(result, memory_mib=memory_mib))
        await shared.close()
    finally:
        server.kill()
    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    """Compares the engines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=20_000, help="products of the catalogue")
    parser.add_argument("--queries", type=int, default=200, help="searches of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the products")
    parser.add_argument("--tick-ms", type=int, default=200, help="clock of Milvus' log")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    products = make_products(np.random.default_rng(options.seed), options.products)
    with tempfile.TemporaryDirectory() as folder:
        measured = asyncio.run(compare(products, options.queries, options.tick_ms, Path(folder)))
    print_table(Console(), measured)
    if options.json is not None:
        values = {
            "products": options.products,
            "queries": options.queries,
            "tick_ms": options.tick_ms,
            "engines": [asdict(each) for each in measured],
        }
        options.json.write_text(json.dumps(values, indent=2) + "\n")


def _product(products: Products, row: int) -> NewProduct:
    vector = ProductVector(
        digest=CONTRACT.digest, pattern=Pattern.BOTH, vector=products.vectors[row]
    )
    return NewProduct(record=products.record(row), vectors=(vector,))


def _rows(page: HitPage) -> set[int]:
    return {int(hit.product.record.product_id) for hit in page.hits}


async def _settle(catalogue: Catalogue, products: Products) -> None:
    """Searches until a search takes no less time than before: graphs are built beside."""
    best_s = float("inf")
    for _ in range(20):
        start_s = time.perf_counter()
        for row in range(20):
            await catalogue.search(make_query(products, row, None))
        took_s = time.perf_counter() - start_s
        if took_s > 0.9 * best_s:
            return
        best_s = took_s
        await asyncio.sleep(1)


def _own_memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
