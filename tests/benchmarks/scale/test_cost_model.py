"""The cost model: what it tells of catalogues that follow it exactly."""

from __future__ import annotations

import math

import pytest

from tests.benchmarks.scale.cost_model import Measured, check_model, plan


def measured(count: int) -> Measured:
    """A catalogue that costs just what the model assumes."""
    return Measured(
        product_count=count,
        store_ms=0.2,
        build_ms=0.1 * math.log10(count),
        disk_mib=10 + 4096 * count / 2**20,
        memory_mib=50 + 2048 * count / 2**20,
        search_ms=1.0,
        search_cpu_ms=0.2 * math.log10(count),
        searches_per_s=1000.0,
        graph_searches_per_s=2000.0,
        recall=1.0,
        longest_write_ms=5.0,
        start_s=0.2,
        read_s=0.3,
    )


SIZES = [measured(count) for count in (10_000, 100_000, 1_000_000)]


def test_a_catalogue_that_follows_the_model_is_told() -> None:
    assert check_model(SIZES) == pytest.approx(dict.fromkeys(check_model(SIZES), 0), abs=1e-9)


def test_ten_millions_fit_one_machine_and_a_billion_does_not() -> None:
    small, large = plan(SIZES, 10_000_000, 20.0), plan(SIZES, 1_000_000_000, 20.0)
    assert small.shard_count == 1
    assert small.memory_gib == pytest.approx(10_000_000 * 2048 / 2**30)
    assert small.search_cpu_ms == pytest.approx(0.2 * 7)
    assert large.shard_count == math.ceil(1_000_000_000 * 2048 / (128 * 2**30 * 0.8))
    assert large.search_cpu_ms > large.shard_count * small.search_cpu_ms / 2
    assert small.encode_core_hours == pytest.approx(10_000_000 * 0.02 / 3600)
    assert large.core_seconds_per_million == pytest.approx(1000 * (20 + large.search_cpu_ms))
