"""What was measured of catalogues, what it tells of larger ones, and the machines they take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A machine as shops rent them; a shard is to leave a fifth of its memory free.
MACHINE_MEMORY_BYTES, MEMORY_SHARE = 128 * 2**30, 0.8


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
        graph_searches_per_s: Of the bare graph by a thread for each core, eight queries at a time,
            with as many candidates.
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
    graph_searches_per_s: float
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
