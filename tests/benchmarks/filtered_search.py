"""Filtered searches beside unfiltered ones, in turn in one run: recall@10 and time.

python -m tests.benchmarks.filtered_search
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
import numpy.typing as npt

from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_filter import CategoryUnder, PriceBetween, ProductFilter
from twinshelf.server.catalogue.product_record import NewProduct, ProductRecord, ProductVector
from twinshelf.server.catalogue.ranking import HitPage, Query
from twinshelf.server.encoders.embedding import OfferEmbedding, query_vector
from twinshelf.server.encoders.modalities import Pattern

CONTRACT = make_contract(image_dim=256, text_dim=256, embedding_dim=512)
SHARES = (0.5, 0.1, 0.01, 0.001)
PER_CLUSTER = 20
DEPTH = 10
LEAST_RECALL = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """N products in clusters.

    Attributes:
        vectors: (N, 512) stored vectors.
        prices: (N,) from 0 to 1, of no relation to the vectors.
        clusters: (N,) number of the cluster, of which the category is made.
    """

    vectors: npt.NDArray[np.float16]
    prices: npt.NDArray[np.float64]
    clusters: npt.NDArray[np.int64]

    def category(self, cluster: int) -> str:
        """Returns a path: the level of a share stands in so many of the clusters."""
        place = cluster * PER_CLUSTER / len(self.prices)
        return "/".join(f"{share}" for share in SHARES if place < share) or "none"

    def record(self, row: int) -> ProductRecord:
        """Returns the fields of a product."""
        cluster = int(self.clusters[row])
        return ProductRecord(
            product_id=str(row),
            title=f"title of {row}",
            category=self.category(cluster),
            brand=f"brand {cluster % 500}",
            seller=f"seller {row % 1000}",
            price=float(self.prices[row]),
            attributes={"size": str(row % 7), "colour": str(row % 11)},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A filter.

    Attributes:
        name: What is printed.
        condition: What holds for the allowed products.
        is_allowed: (N,) whether it holds.
    """

    name: str
    condition: ProductFilter
    is_allowed: npt.NDArray[np.bool_]


def make_products(generator: np.random.Generator, count: int) -> Products:
    """Makes clusters of products; both halves of each have length 1."""
    centres = generator.normal(size=(count // PER_CLUSTER, 2, 256)).astype(np.float32)
    clusters = generator.integers(len(centres), size=count)
    halves = centres[clusters]
    for start in range(0, count, 10_000):  # all at once, the noise would take gigabytes
        block = halves[start : start + 10_000]
        block += 0.5 * generator.normal(size=block.shape)
    halves /= np.linalg.norm(halves, axis=2, keepdims=True)
    return Products(
        vectors=halves.reshape(count, 512).astype(np.float16),
        prices=generator.random(count),
        clusters=clusters,
    )


def make_cases(products: Products) -> list[Case]:
    """Makes a filter of each share that has nothing to do with the vectors, and one that has."""
    cases = []
    places = products.clusters * PER_CLUSTER / len(products.prices)
    for share in SHARES:
        cases.append(
            Case(
                name=f"{share:.1%} by price",
                condition=PriceBetween(greatest=share),
                is_allowed=products.prices <= share,
            )
        )
        path = tuple(f"{each}" for each in SHARES if each >= share)
        cases.append(
            Case(
                name=f"{share:.1%} by category",
                condition=CategoryUnder(paths=frozenset({path})),
                is_allowed=places < share,
            )
        )
    return cases


def make_query(products: Products, row: int, condition: ProductFilter | None) -> Query:
    """Makes a query for what is like a product."""
    image, text = np.split(products.vectors[row].astype(np.float32), 2)
    return Query(
        embedding=OfferEmbedding(image=image, text=text),
        weights=CONTRACT.weights,
        match_count=DEPTH,
        min_probability=0,
        match_prior=0.5,
        target_precision=0.9,
        contract=CONTRACT,
        condition=condition,
    )


async def open_filled(
    folder: Path, products: Products, *, is_indexed: bool = True
) -> SqliteCatalogue:
    """Stores the products, and builds their graph unless it is to be built later."""
    catalogue = SqliteCatalogue(folder, reader_count=2)
    for start in range(0, len(products.prices), 1000):
        rows = range(start, min(start + 1000, len(products.prices)))
        await asyncio.gather(
            *(
                catalogue.upsert(
                    NewProduct(
                        record=products.record(row),
                        vectors=(
                            ProductVector(
                                pattern=Pattern.BOTH,
                                vector=products.vectors[row],
                                digest=CONTRACT.digest,
                            ),
                        ),
                    )
                )
                for row in rows
            )
        )
    if not is_indexed:
        return catalogue
    await catalogue.use_encoder(CONTRACT)
    await catalogue.snapshot()
    # The first filter waits until the facets are read.
    await catalogue.search(make_query(products, 0, PriceBetween()))
    return catalogue


def recall_of(page: HitPage, products: Products, query: Query, case: Case) -> float:
    """Returns the share of the ten best allowed products that a page has."""
    vector = query_vector(query.embedding, query.weights, CONTRACT)
    numbers = np.flatnonzero(case.is_allowed)
    scores = products.vectors[numbers].astype(np.float32) @ vector
    best = set(numbers[np.argsort(-scores)[:DEPTH]].tolist())
    found = {int(hit.product.record.product_id) for hit in page.hits}
    return len(best & found) / len(best)


async def measure(
    catalogue: SqliteCatalogue, products: Products, cases: Sequence[Case], query_count: int
) -> list[Row]:
    """Asks for the same products with and without each filter, in turn.

    Raises:
        AnswersDifferError: If a filter costs more recall than it may.
    """
    generator = np.random.default_rng(1)
    table: list[Row] = []
    for case in cases:
        rows = generator.integers(len(products.prices), size=query_count)
        filtered_s, plain_s, pages = [], [], []
        for row in rows.tolist():
            query = make_query(products, row, case.condition)
            start_s = time.perf_counter()
            pages.append(await catalogue.search(query))
            middle_s = time.perf_counter()
            await catalogue.search(make_query(products, row, None))
            filtered_s.append(middle_s - start_s)
            plain_s.append(time.perf_counter() - middle_s)
        # Afterwards, for it throws everything else out of the caches.
        recalls = [
            recall_of(page, products, make_query(products, row, case.condition), case)
            for page, row in zip(pages, rows.tolist(), strict=True)
        ]
        plans = {"exact" if page.plan and page.plan.is_exact else "graph" for page in pages}
        filtered, plain = 1e3 * float(np.median(filtered_s)), 1e3 * float(np.median(plain_s))
        recall = float(np.mean(recalls))
        if recall < LEAST_RECALL:
            raise AnswersDifferError(f"recall@10 of {case.name} is {recall}, not {LEAST_RECALL}")
        table.append(
            {
                "allowed": case.name,
                "plan": "/".join(sorted(plans)),
                "recall@10": recall,
                "ms": filtered,
                "unfiltered ms": plain,
                "filtered / unfiltered": filtered / plain,
            }
        )
    return table


async def run(product_count: int, query_count: int) -> list[Row]:
    """Runs the benchmark in a folder of its own; returns its table."""
    products = make_products(np.random.default_rng(0), product_count)
    with tempfile.TemporaryDirectory() as folder:
        catalogue = await open_filled(Path(folder), products)
        try:
            return await measure(catalogue, products, make_cases(products), query_count)
        finally:
            await catalogue.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; returns 1 when a filter costs recall, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.filtered_search",
        description="Searches with and without filters.",
    )
    parser.add_argument("--products", type=int, default=30_000, help="size of the catalogue")
    parser.add_argument("--queries", type=int, default=200, help="searches with each filter")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    report = Report(name="filtered_search")
    report.say(str(report.machine))
    try:
        rows = asyncio.run(run(options.products, options.queries))
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.add(f"{options.products:,} products", rows)
    report.save(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
