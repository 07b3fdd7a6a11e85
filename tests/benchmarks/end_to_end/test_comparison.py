"""The comparison end to end, with fake sides: equal answers, load, and the table of goals."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.benchmarks.end_to_end import __main__ as end_to_end
from tests.benchmarks.end_to_end import deployment
from tests.benchmarks.end_to_end.comparison import (
    LoadPlan,
    check_answers,
    load_rows,
    measure_closed,
    measure_open,
    median_load,
)
from tests.benchmarks.end_to_end.load import Load, run_closed_loop, run_open_loop
from tests.benchmarks.end_to_end.offers import WORD_COUNT, Offer, make_offers, make_products
from tests.benchmarks.perf_analyzer import Measurement
from tests.benchmarks.report import AnswersDifferError

SIDE_PX = 32
PLAN = LoadPlan(concurrency=(1, 2), duration_s=0.05, round_count=2)


class FakeSide:
    """Finds the product by its identifier, or no product at all."""

    def __init__(self, *, is_wrong: bool = False) -> None:
        self.is_wrong = is_wrong
        self.open_count = self.most_open_count = 0

    async def store(self, products: Sequence[Offer]) -> None:
        """Takes all of them."""

    async def match(self, offer: Offer) -> list[str]:
        self.open_count += 1
        self.most_open_count = max(self.most_open_count, self.open_count)
        await asyncio.sleep(0.001)
        self.open_count -= 1
        return ["wrong" if self.is_wrong else offer.product_id, "another"]

    async def close(self) -> None:
        """Has nothing to close."""


@pytest.fixture(scope="module")
def offers() -> list[Offer]:
    return make_offers(4, SIDE_PX)


def test_an_offer_shows_its_product_otherwise() -> None:
    (product,), (offer,) = make_products(1, SIDE_PX), make_offers(1, SIDE_PX)
    assert offer.product_id == product.product_id and offer.image != product.image
    assert Image.open(io.BytesIO(offer.image)).size == (SIDE_PX, SIDE_PX)
    words, others = product.title.split(), offer.title.split()
    assert len(words) == len(others) == WORD_COUNT
    assert sum(a != b for a, b in zip(words, others, strict=True)) <= 2
    assert make_offers(1, SIDE_PX) == [offer]


def test_the_stack_of_a_user_has_all_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started = []

    @contextlib.contextmanager
    def run(command: Sequence[str], log: Path, variables: Mapping[str, str]) -> Iterator[None]:
        started.append((command[-2:], variables))
        yield

    monkeypatch.setattr(deployment, "_running", run)
    monkeypatch.setattr(deployment, "_wait", lambda *parts: None)
    monkeypatch.setattr(deployment, "usable_core_count", lambda: 12)
    with deployment.serve_stack("onnx", tmp_path, tmp_path, 1, tmp_path):
        assert started == [(["--threads", "12"], {"OMP_NUM_THREADS": "12"})]


async def test_sides_that_find_different_products_are_not_compared(offers: list[Offer]) -> None:
    rows = await check_answers({"ours": FakeSide(), "other": FakeSide()}, offers)
    assert [row["recall@10"] for row in rows] == [1.0, 1.0]
    with pytest.raises(AnswersDifferError, match=r"recall@10 differs"):
        await check_answers({"ours": FakeSide(), "other": FakeSide(is_wrong=True)}, offers)


async def test_a_closed_loop_has_as_many_callers_as_it_says(offers: list[Offer]) -> None:
    side = FakeSide()
    load = await run_closed_loop(side.match, offers, concurrency=3, duration_s=0.05)
    assert side.most_open_count == 3
    assert load.rate > 0 and load.p50_ms >= 1 and load.failed_count == 0


@pytest.mark.slow
async def test_an_open_loop_counts_from_when_an_offer_was_due(offers: list[Offer]) -> None:
    places = asyncio.Semaphore(1)

    async def match(offer: Offer) -> list[str]:
        async with places:
            await asyncio.sleep(0.005)
        return []

    # One after the other at twice the rate that it can do: the last ones wait for all before them.
    load = await run_open_loop(match, offers, rate=400, duration_s=0.1)
    assert load.p99_ms > 50


async def test_failures_are_counted_and_nothing_but_failures_is_an_error(
    offers: list[Offer],
) -> None:
    async def match(offer: Offer) -> list[str]:
        await asyncio.sleep(0.001)
        if offer is offers[0]:
            raise ConnectionError("refused")
        return []

    load = await run_closed_loop(match, offers, concurrency=1, duration_s=0.05)
    assert load.failed_count > 0
    with pytest.raises(RuntimeError, match="refused"):
        await run_closed_loop(match, offers[:1], concurrency=1, duration_s=0.01)


@pytest.mark.slow
async def test_sides_are_measured_at_every_concurrency_and_rate(offers: list[Offer]) -> None:
    sides = {"ours": FakeSide(), "other": FakeSide()}
    said: list[str] = []
    closed = await measure_closed(sides, offers, PLAN, said.append)
    assert [line.split(":")[0] for line in said] == [
        "1 callers, ours", "1 callers, other", "2 callers, ours", "2 callers, other",
    ]  # fmt: skip
    rows = load_rows(closed)
    assert [(row["concurrency"], row["side"]) for row in rows] == [
        (1, "ours"), (1, "other"), (2, "ours"), (2, "other"),
    ]  # fmt: skip
    assert rows[0]["first side / this"] == 1.0
    opened = await measure_open(sides, offers, {"ours": 100, "other": 50}, PLAN)
    assert opened.keys() == sides.keys()


def test_the_median_round_counts_and_every_failure() -> None:
    rounds = [
        Load(rate=rate, p50_ms=1, p95_ms=2, p99_ms=3, failed_count=1) for rate in (1.0, 9.0, 2.0)
    ]
    assert median_load(rounds) == Load(rate=2.0, p50_ms=1, p95_ms=2, p99_ms=3, failed_count=3)


def test_the_goals_are_ratios_of_the_best_rates() -> None:
    def loads(rate: float) -> dict[int, Load]:
        return {1: Load(rate=rate, p50_ms=30, p95_ms=40, p99_ms=50, failed_count=0)}

    closed = {"service": loads(60), end_to_end.TORCH: loads(10), end_to_end.ONNX: loads(20)}
    perf = [
        Measurement(model=model, concurrency=1, throughput=rate, p50_ms=1, p95_ms=1, p99_ms=1)
        for model, rate in zip(end_to_end.PERF_MODELS, (80, 60), strict=True)
    ]
    rows = end_to_end.goal_rows(closed, perf, {"image_tower": 15, "text_tower": 5})
    found = {str(row["measure"]): row["is"] for row in rows}
    assert found["service / torch stack"] == 6
    assert found["service / ONNX stack"] == 3
    assert found["service / bare ensemble"] == 0.75
    assert found["p50 at 1 / sum of the parts"] == 1.5
    assert found.keys() == end_to_end.GOALS.keys()
