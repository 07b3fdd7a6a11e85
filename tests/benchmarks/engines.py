"""The same catalogue in both engines, side by side: recall@10, time of a search, writes a second.

python -m tests.benchmarks.engines
python -m tests.benchmarks.engines --products 100000

Needs the packages of tests/milvus/requirements.in; starts the Milvus of the wheel on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.benchmarks.filtered_search import (
    CONTRACT,
    DEPTH,
    LEAST_RECALL,
    Case,
    Products,
    make_cases,
    make_products,
    make_query,
)
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.milvus.local_server import LocalServer
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductVector
from twinshelf.server.catalogue.ranking import HitPage
from twinshelf.server.encoders.embedding import query_vector
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueUnavailableError

_WRITES_AT_ONCE = 1024
_LONE_WRITE_COUNT = 20
_REPEAT_COUNT, _REPEAT_AFTER_S = 5, 1.0
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
        repeated_count: Writes that the engine refused, and that were repeated as a client does.
        lone_write_ms: Median time of a write that has nobody beside it.
        seal_s: Time until all is searched by graphs.
        searches_per_s: Searches a second, 4 on their way at once, without a filter.
        memory_mib: What the engine's process holds in the end; with SQLite that is this process,
            libraries and all.
        searched: The searches.
    """

    engine: str
    writes_per_s: float
    repeated_count: int
    lone_write_ms: float
    seal_s: float
    searches_per_s: float
    memory_mib: int
    searched: list[Searched]


async def load(catalogue: Catalogue, products: Products) -> tuple[float, int]:
    """Writes all products; returns how many a second, and how often one was refused and repeated.

    Raises:
        CatalogueUnavailableError: If one is refused for longer than a client repeats it.
    """
    await catalogue.use_encoder(CONTRACT)
    start_s = time.perf_counter()
    count, repeated_count = len(products.prices), 0

    async def store(row: int) -> None:
        nonlocal repeated_count
        for _ in range(_REPEAT_COUNT):
            try:
                await catalogue.upsert(_product(products, row))
                return
            except CatalogueUnavailableError:
                repeated_count += 1
                await asyncio.sleep(_REPEAT_AFTER_S)
        await catalogue.upsert(_product(products, row))

    for first in range(0, count, _WRITES_AT_ONCE):
        rows = range(first, min(first + _WRITES_AT_ONCE, count))
        await asyncio.gather(*(store(row) for row in rows))
    return count / (time.perf_counter() - start_s), repeated_count


async def measure(
    name: str, catalogue: Catalogue, products: Products, query_count: int
) -> Measured:
    """Fills an empty catalogue and searches it."""
    writes_per_s, repeated_count = await load(catalogue, products)
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
        repeated_count=repeated_count,
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


def comparison(measured: Sequence[Measured]) -> list[Row]:
    """Returns what the engines did, side by side."""
    names = {
        "writes_per_s": "products written a second",
        "repeated_count": "writes repeated",
        "lone_write_ms": "a lone write, ms",
        "seal_s": "sealed after, s",
        "searches_per_s": "searches a second",
        "memory_mib": "memory, MiB",
    }
    rows: list[Row] = [
        {"measure": shown} | {each.engine: getattr(each, name) for each in measured}
        for name, shown in names.items()
    ]
    parts = {"recall": f"recall@{DEPTH}", "p50_ms": "p50, ms", "p95_ms": "p95, ms"}
    for number, searched in enumerate(measured[0].searched):
        for name, shown in parts.items():
            found = {each.engine: getattr(each.searched[number], name) for each in measured}
            rows.append({"measure": f"{searched.filter_name or 'no filter'}: {shown}"} | found)
    return rows


async def compare(
    products: Products, query_count: int, tick_ms: int, folder: Path
) -> list[Measured]:
    """Measures one engine after the other.

    Raises:
        AnswersDifferError: If one of them finds too little to be compared.
    """
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
    for each in measured:
        if (recall := min(searched.recall for searched in each.searched)) < LEAST_RECALL:
            raise AnswersDifferError(f"recall@{DEPTH} of {each.engine} is {recall}")
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares the engines; returns 1 when one of them finds too little, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=20_000, help="products of the catalogue")
    parser.add_argument("--queries", type=int, default=200, help="searches of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the products")
    parser.add_argument("--tick-ms", type=int, default=200, help="clock of Milvus' log")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    report = Report(name="engines", machine=describe_machine(["pymilvus"]))
    report.say(str(report.machine))
    products = make_products(np.random.default_rng(options.seed), options.products)
    try:
        with tempfile.TemporaryDirectory() as folder:
            measured = asyncio.run(
                compare(products, options.queries, options.tick_ms, Path(folder))
            )
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.add(
        f"{options.products:,} products, {options.queries} searches of each kind, "
        f"log of Milvus every {options.tick_ms} ms",
        comparison(measured),
    )
    report.save(options.output)
    return 0


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
    sys.exit(main())
