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
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil

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
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductVector
from twinshelf.server.encoders.embedding import query_vector
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.triton.repository import RepositoryError, newest_version

DEPTH = 10
CALLER_COUNT = 16
ENCODED_COUNT = 32
FUTURE_SIZES = (10_000_000, 100_000_000, 1_000_000_000)
# A machine as shops rent them; a shard is to leave a fifth of its memory free.
MACHINE_MEMORY_BYTES, MEMORY_SHARE = 128 * 2**30, 0.8
# What the model may miss of the largest size, which it has not seen.
TOLERANCE = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One catalogue.

    Attributes:
        product_count: Its size.
        store_ms: Time to store one product, many at a time.
        build_ms: CPU time to put one product into the graph.
        disk_mib: On disk, graph and snapshot included.
        memory_mib: In memory, what is mapped included.
        search_ms: Median time of one search of a single caller.
        search_cpu_ms: CPU time of one search of many callers.
        searches_per_s: Of 16 callers.
        recall: Share of the ten exact best that are found.
        longest_write_ms: Of single writes during a snapshot.
        start_s: From opening the folder to the first match, no file of it being in memory.
        read_s: To read the snapshot of the index, none of it being in memory.
    """

    product_count: int
    store_ms: float
    build_ms: float
    disk_mib: float
    memory_mib: float
    search_ms: float
    search_cpu_ms: float
    searches_per_s: float
    recall: float
    longest_write_ms: float
    start_s: float
    read_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """What a catalogue of a size takes, extrapolated.

    Attributes:
        product_count: Its size.
        memory_gib: All vectors, graphs and rows that searches touch.
        disk_gib: All files.
        shard_count: Machines that hold it, each a part of it.
        encode_core_hours: To embed all of it, each with photo and text.
        build_core_hours: To put all of it into graphs.
        search_cpu_ms: One search in all shards.
        core_seconds_per_million: Cores times seconds for a million matches: the offers are encoded,
            and searched for.
    """

    product_count: int
    memory_gib: float
    disk_gib: float
    shard_count: int
    encode_core_hours: float
    build_core_hours: float
    search_cpu_ms: float
    core_seconds_per_million: float


def fit(counts: Sequence[int], values: Sequence[float]) -> tuple[float, float]:
    """Fits value = a + b · log10(count), as the depth of an HNSW graph grows; returns a and b.

    Source: Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using
    Hierarchical Navigable Small World graphs, 2018, section 4.2.
    """
    slope, offset = np.polyfit(np.log10(np.array(counts, float)), np.array(values), 1)
    return float(offset), float(slope)


def growth_bytes(measured: Sequence[Measured], name: str) -> float:
    """Returns what a further product takes, from the two largest sizes."""
    smaller, larger = measured[-2:]
    mib = getattr(larger, name) - getattr(smaller, name)
    return float(mib * 2**20 / (larger.product_count - smaller.product_count))


def tell(fitted: tuple[float, float], count: int) -> float:
    """Returns what a fit says of a size."""
    return fitted[0] + fitted[1] * math.log10(count)


def check_model(measured: Sequence[Measured]) -> dict[str, float]:
    """Returns by how much a fit on all sizes but the largest misses it, as a share, by measure."""
    *seen, last = measured
    misses = {}
    for name in ("disk_mib", "memory_mib"):
        further = last.product_count - seen[-1].product_count
        told = getattr(seen[-1], name) + growth_bytes(seen, name) * further / 2**20
        misses[name] = told / getattr(last, name) - 1
    for name in ("build_ms", "search_cpu_ms"):
        fitted = fit([each.product_count for each in seen], [getattr(each, name) for each in seen])
        misses[name] = tell(fitted, last.product_count) / getattr(last, name) - 1
    return misses


def plan(measured: Sequence[Measured], product_count: int, encode_ms: float) -> Machines:
    """Extrapolates to a size.

    A shard is as large as the memory of a machine allows; every shard is asked in every search.

    Args:
        measured: Catalogues, the smallest first.
        product_count: The size.
        encode_ms: CPU time to encode a product or an offer.
    """
    counts = [each.product_count for each in measured]
    memory_bytes = growth_bytes(measured, "memory_mib")
    per_shard = int(MACHINE_MEMORY_BYTES * MEMORY_SHARE / memory_bytes)
    shard_count = math.ceil(product_count / per_shard)
    shard_size = product_count // shard_count
    search_fit = fit(counts, [each.search_cpu_ms for each in measured])
    build_fit = fit(counts, [each.build_ms for each in measured])
    search_cpu_ms = shard_count * tell(search_fit, shard_size)
    return Machines(
        product_count=product_count,
        memory_gib=product_count * memory_bytes / 2**30,
        disk_gib=product_count * growth_bytes(measured, "disk_mib") / 2**30,
        shard_count=shard_count,
        encode_core_hours=product_count * encode_ms / 3.6e6,
        build_core_hours=product_count * tell(build_fit, shard_size) / 3.6e6,
        search_cpu_ms=search_cpu_ms,
        core_seconds_per_million=1000 * (encode_ms + search_cpu_ms),
    )


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
        recall = np.mean([await _recall(catalogue, products, row) for row in rows])
        search_ms = await _search_alone(catalogue, products, rows)
        searches_per_s, search_cpu_ms = await _search_together(catalogue, products, rows)
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
        recall=float(recall),
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


async def _recall(catalogue: SqliteCatalogue, products: Products, row: int) -> float:
    query = make_query(products, row, None)
    page = await catalogue.search(query)
    vector = query_vector(query.embedding, query.weights, CONTRACT).astype(np.float32)
    best: list[tuple[float, int]] = []
    for start in range(0, len(products.vectors), 100_000):
        scores = products.vectors[start : start + 100_000].astype(np.float32) @ vector
        rows = np.argpartition(-scores, DEPTH)[:DEPTH]
        best += [(float(scores[each]), start + int(each)) for each in rows]
    exact = {each for _, each in sorted(best, reverse=True)[:DEPTH]}
    return len(exact & {int(hit.product.record.product_id) for hit in page.hits}) / DEPTH


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
        own = psutil.Process().memory_full_info().uss
        return {"start_s": duration_s, "memory_bytes": float(own + mapped)}
    finally:
        await catalogue.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when the model misses the largest size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[3_000, 10_000, 30_000], help="products, rising")
    add("--queries", type=int, default=200, help="searches of each kind")
    add("--folder", type=Path, help="keeps the catalogues, and takes those that are there")
    add("--repository", type=Path, default=Path("model_repository"), help="of the encoder")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    add("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.open:
        sys.stdout.write(json.dumps(asyncio.run(open_once(options.open))))
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
            measured.append(asyncio.run(measure(folder, products, options.queries)))
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
