"""What a catalogue costs as it grows, and from that how many machines 10M to 1B products take.

    python -m tests.benchmarks.scale
    python -m tests.benchmarks.scale --sizes 10000 100000 1000000 --folder /big/disk

Fills a catalogue of each size with vectors of 512 numbers in clusters, measures how long a product
takes to store, a search to answer and a start to be ready, and what it occupies. A model fitted on
all sizes but the largest must tell the largest; the plan is extrapolated from a fit on all. What an
offer takes to encode is measured on the encoder of a model repository, its steps one by one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import uvloop

from tests.benchmarks.end_to_end.offers import make_offers
from tests.benchmarks.end_to_end.parts import time_parts
from tests.benchmarks.filtered_search import (
    CONTRACT,
    Products,
    make_products,
    make_query,
    open_filled,
)
from tests.benchmarks.report import FOLDER, Report
from tests.benchmarks.scale.cost_model import MACHINE_MEMORY_BYTES, Measured, check_model, plan
from twinshelf.server.__main__ import tune_process
from twinshelf.server.catalogue.index.graph import IndexConfig, MappedGraph
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductVector
from twinshelf.server.catalogue.ranking import LEAST_CANDIDATES, Query
from twinshelf.server.encoders.embedding import query_vector
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.triton.plan import usable_core_count
from twinshelf.server.triton.repository import RepositoryError, newest_version

DEPTH = 10
CALLER_COUNT = 16
ROUND_COUNT = 3
ENCODED_COUNT = 32
EXACT_BLOCK = 4096
FUTURE_SIZES = (10_000_000, 100_000_000, 1_000_000_000)
# What the model may miss of the largest size, which it has not seen.
TOLERANCE = 0.35


async def measure(folder: Path, products: Products, query_count: int) -> Measured:
    """Fills a folder, or takes what an earlier run has put there, and measures."""
    count = len(products.prices)
    kept = folder / "filled.json"
    if kept.is_file():
        filled = json.loads(kept.read_text("utf-8"))
    else:
        filled = await _fill(folder, products)
        kept.write_text(json.dumps(filled), "utf-8")
    forget(folder)
    started = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.scale", "--open", str(folder)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    forget(folder)
    read_s = read_snapshot(folder)
    catalogue = SqliteCatalogue(folder, reader_count=4)
    try:
        await catalogue.use_encoder(CONTRACT)
        rows = np.random.default_rng(1).integers(count, size=query_count).tolist()
        recall = await _recall(catalogue, products, rows)
        search_ms = await _search_alone(catalogue, products, rows)
        # In turn: the machine may slow down meanwhile.
        rounds = [
            (
                *await _search_together(catalogue, products, rows),
                await asyncio.to_thread(_search_graph, folder, products, rows),
            )
            for _ in range(ROUND_COUNT)
        ]
        searches_per_s, search_cpu_ms, graph_searches_per_s = np.median(rounds, axis=0).tolist()
        longest_write_ms = await _longest_write(catalogue, products)
    finally:
        await catalogue.close()
    return Measured(
        product_count=count,
        store_ms=filled["store_ms"],
        build_ms=filled["build_ms"],
        disk_mib=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20,
        memory_mib=started["memory_bytes"] / 2**20,
        search_ms=search_ms,
        search_cpu_ms=search_cpu_ms,
        searches_per_s=searches_per_s,
        graph_searches_per_s=graph_searches_per_s,
        recall=recall,
        longest_write_ms=longest_write_ms,
        start_s=started["start_s"],
        read_s=read_s,
    )


def forget(folder: Path) -> None:
    """Takes the files of a catalogue out of the system's memory, as if it had started just now."""
    for file in filter(Path.is_file, folder.rglob("*")):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())  # what is not yet on the disk would stay
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_snapshot(folder: Path) -> float:
    """Reads all that a snapshot of the index holds; returns the time, s."""
    block = bytearray(2**20)
    start_s = time.perf_counter()
    for file in _snapshot_files(folder):
        with file.open("rb", buffering=0) as opened:
            while opened.readinto(block):
                pass
    return time.perf_counter() - start_s


def _snapshot_files(folder: Path) -> list[Path]:
    return [file for file in folder.glob("index-*/*") if file.suffix != ".json"]


async def _fill(folder: Path, products: Products) -> dict[str, float]:
    count = len(products.prices)
    start_s = time.perf_counter()
    catalogue = await open_filled(folder, products, is_indexed=False)
    stored_s = time.perf_counter()
    process = psutil.Process()
    before = _cpu_s(process)
    try:
        await catalogue.use_encoder(CONTRACT)
        await catalogue.snapshot()
        # The graph was built by a process of its own, which has ended.
        built_cpu_s = _cpu_s(process) - before
    finally:
        await catalogue.close()
    return {
        "store_ms": 1e3 * (stored_s - start_s) / count,
        "build_ms": 1e3 * built_cpu_s / count,
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


async def _recall(catalogue: SqliteCatalogue, products: Products, rows: Sequence[int]) -> float:
    queries = [make_query(products, row, None) for row in rows]
    vectors, count = _query_vectors(queries), len(products.vectors)
    found = []
    for numbers in np.array_split(np.arange(count), -(-count // EXACT_BLOCK)):
        scores = vectors @ products.vectors[numbers].astype(np.float32).T
        places = np.argpartition(-scores, DEPTH)[:, :DEPTH]
        found.append((np.take_along_axis(scores, places, axis=1), numbers[places]))
    scores, numbers = map(np.hstack, zip(*found, strict=True))
    best = np.take_along_axis(numbers, np.argsort(-scores)[:, :DEPTH], axis=1)
    shared_count = 0
    for query, exact in zip(queries, best.tolist(), strict=True):
        hits = (await catalogue.search(query)).hits
        shared_count += len({*exact} & {int(hit.product.record.product_id) for hit in hits})
    return shared_count / best.size


def _query_vectors(queries: Sequence[Query]) -> npt.NDArray[np.float32]:
    return np.array(
        [query_vector(each.embedding, each.weights, CONTRACT) for each in queries], np.float32
    )


async def _search_alone(
    catalogue: SqliteCatalogue, products: Products, rows: Sequence[int]
) -> float:
    times = []
    for row in rows:
        query = make_query(products, row, None)
        start_s = time.perf_counter()
        await catalogue.search(query)
        times.append(time.perf_counter() - start_s)
    return 1e3 * float(np.median(times))


async def _search_together(
    catalogue: SqliteCatalogue, products: Products, rows: Sequence[int]
) -> tuple[float, float]:
    """Returns searches per second of many callers, and the CPU time of one, ms."""
    queries = [make_query(products, row, None) for row in rows]

    async def call(number: int) -> None:
        """Searches as one of the callers."""
        for query in queries[number::CALLER_COUNT]:
            await catalogue.search(query)

    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(call, range(CALLER_COUNT)))
    cpu_s, duration_s = time.process_time() - start_cpu_s, time.perf_counter() - start_s
    return len(queries) / duration_s, 1e3 * cpu_s / len(queries)


def _search_graph(folder: Path, products: Products, rows: Sequence[int]) -> float:
    """Returns searches per second of the graph of a snapshot, by nothing but usearch."""
    (file,) = folder.glob("index-*/*.graph")
    queries = [make_query(products, row, None) for row in rows]
    vectors = _query_vectors(queries)
    thread_count = usable_core_count()
    config = IndexConfig(slot_count=thread_count)
    graph = MappedGraph(file, vectors.shape[1], config)
    batches = [vectors[start : start + 8] for start in range(0, len(vectors), 8)]
    with ThreadPoolExecutor(thread_count) as threads:
        start_s = time.perf_counter()
        list(threads.map(lambda batch: graph.search(batch, LEAST_CANDIDATES), batches))
        return len(vectors) / (time.perf_counter() - start_s)


async def _longest_write(catalogue: SqliteCatalogue, products: Products) -> float:
    """Returns the longest of single writes, ms, while a snapshot is written."""
    snapshot = asyncio.ensure_future(catalogue.snapshot())
    longest_s = 0.0
    row = 0
    while not snapshot.done() or row < DEPTH:
        vector = ProductVector(
            pattern=Pattern.BOTH, vector=products.vectors[row], digest=CONTRACT.digest
        )
        start_s = time.perf_counter()
        await catalogue.upsert(NewProduct(record=products.record(row), vectors=(vector,)))
        longest_s = max(longest_s, time.perf_counter() - start_s)
        row = (row + 1) % len(products.prices)
    await snapshot
    return 1e3 * longest_s


async def open_once(folder: Path) -> dict[str, float]:
    """Opens a folder and matches once; returns the time, s, and the memory, bytes."""
    start_s = time.perf_counter()
    catalogue = SqliteCatalogue(folder, reader_count=4)
    try:
        await catalogue.use_encoder(CONTRACT)
        products = make_products(np.random.default_rng(0), 40)
        await catalogue.search(make_query(products, 0, None))
        duration_s = time.perf_counter() - start_s
        # What searches touch is in memory once many have been made.
        for row in range(len(products.prices)):
            await catalogue.search(make_query(products, row, None))
        mapped = sum(file.stat().st_size for file in _snapshot_files(folder))
        memory = psutil.Process().memory_info()
        own = memory.rss - memory.shared  # pages of mapped files are shared
        return {"start_s": duration_s, "memory_bytes": float(own + mapped)}
    finally:
        await catalogue.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when the model misses the largest size."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[3_000, 10_000, 30_000], help="products, rising")
    add("--queries", type=int, default=200, help="searches of each kind")
    add("--folder", type=Path, help="keeps the catalogues, and takes those that are there")
    add("--repository", type=Path, default=Path("model_repository"), help="of the encoder")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    add("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    tune_process()
    if options.open:
        sys.stdout.write(json.dumps(uvloop.run(open_once(options.open))))
        return 0
    if len(options.sizes) < 3 or sorted(set(options.sizes)) != options.sizes:
        parser.error(f"--sizes must be three or more, rising, got {options.sizes}")
    try:
        version = newest_version(options.repository)
    except RepositoryError as error:
        parser.error(f"{error}; `make demo` leaves one")
    report = Report(name="scale")
    report.say(str(report.machine))
    steps_ms = time_parts(options.repository, version, make_offers(ENCODED_COUNT))
    encode_ms = sum(steps_ms.values())
    report.add("an offer of photo and text in one thread, ms", [{**steps_ms, "all": encode_ms}])
    with tempfile.TemporaryDirectory() as own:
        measured = []
        for size in options.sizes:
            folder = (options.folder or Path(own)) / str(size)
            products = make_products(np.random.default_rng(0), size)
            measured.append(uvloop.run(measure(folder, products, options.queries)))
    report.add("measured", list(map(asdict, measured)))
    misses = check_model(measured)
    report.add("what the smaller sizes tell of the largest, less what it is", [misses])
    report.add(
        f"extrapolated: machines of {MACHINE_MEMORY_BYTES >> 30} GiB",
        [asdict(plan(measured, count, encode_ms)) for count in FUTURE_SIZES],
    )
    report.save(options.output)
    return int(max(map(abs, misses.values())) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
