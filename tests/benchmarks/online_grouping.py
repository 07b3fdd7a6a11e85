"""Groups of offers that come one after the other, against `make group` on the same offers.

Shows that any order gives the same groups, how good they are, and what they cost the writes.

python -m tests.benchmarks.online_grouping
python -m tests.benchmarks.online_grouping --count 2000 --dimension 64
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.server.catalogue.groups.planted import (
    batch_groups,
    contract_of,
    groups_of,
    plant,
    products_of,
    rounded,
)
from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.training.grouping.group_scores import evaluate_groups

ORDER_COUNT = 3
# As the streams of an indexing client are answered.
IN_FLIGHT_COUNT = 32
COLUMNS = (
    *("order", "writes/s", "p99, ms", "rest, s", "CPU, ms an offer", "F1"),
    *("F1 against make group", "F1 against the first order", "in another group than at first"),
)
SIZES, SHARES = (1, 2, 3, 4, 6, 10, 20), (0.3, 0.25, 0.2, 0.14, 0.07, 0.03, 0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What writing offers in some order led to.

    Attributes:
        numbers: Number of each offer's group (N,); those that are alone have numbers of their own.
        write_s: Time from the first write to the last answer.
        p99_ms: Time that 99 of 100 writes waited no longer than.
        settle_s: Time from the last answer until all was grouped.
        cpu_s: Time of all cores, until then.
        renamed_share: Share of the offers whose group has another number at the end than at first.
    """

    numbers: np.ndarray
    write_s: float
    p99_ms: float
    settle_s: float
    cpu_s: float
    renamed_share: float


async def write_all(
    products: Sequence[NewProduct], order: Sequence[int], contract: EncoderContract, *, groups: bool
) -> Written:
    """Writes products to a new catalogue in an order, and waits until they are grouped.

    Args:
        products: The products (N).
        order: Their places (N), in the order of writing.
        contract: That of their encoder.
        groups: Whether they are grouped at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        catalogue = SqliteCatalogue(
            Path(folder), reader_count=2, guards=GroupGuards() if groups else None
        )
        await catalogue.use_encoder(contract)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        waits_s = await _write(catalogue, products, order)
        written_s = time.perf_counter()
        while groups and await catalogue.groups.pending_count():
            await asyncio.sleep(0.1)
        settled_s, cpu_s = time.perf_counter(), time.process_time() - start_cpu_s
        found = await groups_of(catalogue)
        number_of = {each: group.number for group in found.values() for each in group.product_ids}
        first: dict[str, int] = {}
        for event in await catalogue.groups.events_after(None, 0, 10 * len(products)):
            for each in event.product_ids:
                if event.target is not None:
                    first.setdefault(each, event.target)
        await catalogue.close()
    numbers = [
        number_of.get(product.record.product_id, -1 - place)
        for place, product in enumerate(products)
    ]
    renamed = [first[each] != number for each, number in number_of.items()]
    return Written(
        numbers=np.array(numbers),
        write_s=written_s - start_s,
        p99_ms=float(np.quantile(waits_s, 0.99)) * 1000,
        settle_s=settled_s - written_s,
        cpu_s=cpu_s,
        renamed_share=float(np.mean(renamed)) if renamed else 0.0,
    )


async def _write(
    catalogue: SqliteCatalogue, products: Sequence[NewProduct], order: Sequence[int]
) -> list[float]:
    """Returns how long each write waited, seconds."""
    places = asyncio.Semaphore(IN_FLIGHT_COUNT)

    async def write(place: int) -> float:
        async with places:
            start_s = time.perf_counter()
            await catalogue.upsert(products[place])
            return time.perf_counter() - start_s

    return await asyncio.gather(*map(write, order))


def pair_f1(found: np.ndarray, actual: Sequence[object]) -> float:
    """Returns the F1 of pairs of some groups against others."""
    quality = evaluate_groups(found, [str(each) for each in actual])
    return float("nan") if quality is None else quality.pair_f1


def run(count: int, dimension: int, noise: float) -> Table:
    """Groups made-up offers in several orders; returns what came of it as a table.

    Args:
        count: Offers.
        dimension: Numbers of a half.
        noise: Distance of an offer from its group's centre, in lengths of a centre.
    """
    generator = np.random.default_rng(0)
    sizes = generator.choice(SIZES, count, p=SHARES)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), count))]
    embeddings, planted = plant(
        sizes.tolist(), dimension=dimension, noise=noise, generator=generator
    )
    # As the catalogue keeps them, so that both group the same data.
    embeddings = [rounded(each) for each in embeddings]
    contract = contract_of(dimension)
    products = products_of(embeddings, contract)
    batch = np.array(batch_groups(embeddings, planted, contract, planted))
    orders = [generator.permutation(len(products)).tolist() for _ in range(ORDER_COUNT)]
    without = asyncio.run(write_all(products, orders[0], contract, groups=False))
    table = Table(title=f"{len(products):,} offers of {len(sizes):,} products", box=None)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    table.add_row("none grouped", *_costs(without, len(products)), "", "", "", "")
    table.add_row("make group", "", "", "", "", f"{pair_f1(batch, planted):.4f}", "", "", "")
    first: np.ndarray | None = None
    for place, order in enumerate(orders):
        written = asyncio.run(write_all(products, order, contract, groups=True))
        first = written.numbers if first is None else first
        table.add_row(
            str(place + 1),
            *_costs(written, len(products)),
            f"{pair_f1(written.numbers, planted):.4f}",
            f"{pair_f1(written.numbers, batch.tolist()):.4f}",
            f"{pair_f1(written.numbers, first.tolist()):.4f}",
            f"{written.renamed_share:.1%}",
        )
    return table


def _costs(written: Written, count: int) -> tuple[str, str, str, str]:
    return (
        f"{count / written.write_s:,.0f}",
        f"{written.p99_ms:.0f}",
        f"{written.settle_s:.1f}",
        f"{1000 * written.cpu_s / count:.2f}",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.online_grouping", description="Groups, offer by offer."
    )
    parser.add_argument("--count", type=int, default=20_000, help="offers (default: %(default)s)")
    parser.add_argument("--dimension", type=int, default=256, help="numbers of a half")
    parser.add_argument("--noise", type=float, default=0.5, help="distance from the centre")
    options = parser.parse_args(arguments)
    Console(width=160).print(run(options.count, options.dimension, options.noise))
    return 0


if __name__ == "__main__":
    sys.exit(main())
