"""Ranking of judged products: how well an encoder orders what people judged for a query.

It is the first task of Amazon's Shopping Queries Dataset: the judged products of each query, and
no others, are ordered by score, and the order is measured by NDCG with a gain for each label.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.esci import read_esci
from twinshelf.training.catalogues.lookup import blocks
from twinshelf.training.catalogues.product import QueryProduct
from twinshelf.training.catalogues.reading import usable_rows
from twinshelf.training.evaluation.embedded_products import (
    MOST_BAD_ROWS_LOGGED,
    Embedder,
    embed_contents,
)
from twinshelf.training.evaluation.evaluation_config import EvaluationOptions
from twinshelf.training.evaluation.intervals import Estimate, Floats, estimate_means
from twinshelf.training.runs.tracking import Outcome, save_outcome

Ints = npt.NDArray[np.int64]
RESULTS = "judgements.json"
JUDGED = "judged"
BLOCK_PAIR_COUNT = 4096  # whose texts and embeddings are in memory at once
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedPairs:
    """Pairs of a query and a judged product, in any order.

    Attributes:
        query_count: Queries (Q).
        queries: Number of the query of each pair, 0 to below Q, int64 (P,).
        scores: Score of each pair, higher is better, float64 (P,).
        gains: Worth of each pair's label, 0 or more, float64 (P,).
    """

    query_count: int
    queries: Ints
    scores: Floats
    gains: Floats


def graded_ndcg(pairs: JudgedPairs, k: int | None = None) -> Floats:
    """NDCG@K with discount 1/log2(1 + rank), 0 to 1, (Q,); NaN for a query without any gain.

    Of equal scores the lesser gain comes first, so that an encoder that cannot tell products apart
    gets nothing for the order in which they happen to lie in the file.

    Source: Järvelin, Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002).

    Args:
        pairs: The judged lists.
        k: Ranks that count, 1 or more; None counts all.
    """
    by_score = np.lexsort((pairs.gains, -pairs.scores, pairs.queries))
    return _share_of_ideal(pairs, pairs.gains[by_score], k)


def random_ndcg(pairs: JudgedPairs) -> Floats:
    """NDCG that a random order has on average, 0 to 1, (Q,); NaN for a query without any gain.

    Judged lists hold many right products, so that even this is high: a figure says something only
    by its distance from it.
    """
    mean_gains = pd.Series(pairs.gains).groupby(pairs.queries).transform("mean").to_numpy()
    return _share_of_ideal(pairs, mean_gains[np.argsort(pairs.queries)], None)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedResult:
    """What the ranking of judged products came to.

    Attributes:
        query_count: Queries that were ranked for.
        no_gain_count: Those without a product of any gain; they are in no mean.
        pair_count: Judged products of all of them.
        bad_row_count: Judgements of the whole file that could not be read.
        metrics: "NDCG", "NDCG@10", and for comparison "NDCG of a random order".
    """

    query_count: int
    no_gain_count: int
    pair_count: int
    bad_row_count: int
    metrics: Mapping[str, Estimate]


def evaluate_searches(options: EvaluationOptions, place: Path) -> JudgedResult:
    """Ranks the judged products of the held-out queries by text, and saves judgements.json.

    The results go to the loggers of the run's training as well, beside those of the evaluation.

    Args:
        options: The run, its held-out queries, and the folder of the results.
        place: Folder or file of the judgements (see `training.catalogues.esci`).

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file lacks a column, or has no answer to any of the held-out queries.
        OSError: If MLflow does not take the results, which are then saved.
    """
    judgements = read_esci(place)
    embedder = Embedder.of_run(options.run, options.config.device)
    paths = (options.queries,) if options.queries else ()
    wanted = {row.product_id for row in embedder.read("queries", paths, options.columns)}
    bad_rows: list[BadRow] = []
    chosen = (row for row in usable_rows(judgements, bad_rows) if row.query_id in wanted)
    judged = score_pairs(embedder, chosen)
    for row in bad_rows[:MOST_BAD_ROWS_LOGGED]:
        logger.warning("left out %s", row)
    if not judged.gains.any():
        raise ValueError(
            f"{place} judges {judged.query_count} of the {len(wanted)} held-out queries, "
            "and no product of them better than irrelevant"
        )
    result = _measure(judged, len(bad_rows))
    name = JUDGED if options.results_folder == options.run else f"{options.name}/{JUDGED}"
    outcome = Outcome(name=name, results=options.results_folder / RESULTS)
    save_outcome(embedder.tracked_run, outcome, result)
    return result


def score_pairs(embedder: Embedder, pairs: Iterable[QueryProduct]) -> JudgedPairs:
    """Scores pairs by the cosine of their texts, a block at a time.

    Args:
        embedder: Embeds with the trained encoder.
        pairs: Queries, products and labels; the text of a query gets the query prefix.
    """
    numbers: dict[str, int] = {}
    queries: list[int] = []
    gains: list[float] = []
    scores: list[Floats] = [np.zeros(0)]
    for block in blocks(pairs, BLOCK_PAIR_COUNT):
        logger.info("scoring judged products %d to %d", len(gains) + 1, len(gains) + len(block))
        scores.append(_score_block(embedder, block))
        for pair in block:
            queries.append(numbers.setdefault(pair.query_id, len(numbers)))
            gains.append(pair.label.gain)
    return JudgedPairs(
        query_count=len(numbers),
        queries=np.array(queries, dtype=np.int64),
        scores=np.concatenate(scores),
        gains=np.array(gains, dtype=np.float64),
    )


def _share_of_ideal(pairs: JudgedPairs, gains: Floats, k: int | None) -> Floats:
    """Compares gains, ordered by query and then by rank, with those of the best order."""
    ideal = _discounted_sums(pairs, pairs.gains[np.lexsort((-pairs.gains, pairs.queries))], k)
    with np.errstate(invalid="ignore"):  # 0 / 0 where a query has no gain
        return _discounted_sums(pairs, gains, k) / ideal


def _discounted_sums(pairs: JudgedPairs, gains: Floats, k: int | None) -> Floats:
    queries = np.sort(pairs.queries)
    ranks = np.arange(len(queries)) - np.searchsorted(queries, queries) + 1
    worth = np.where(ranks <= (k or len(queries)), gains / np.log2(1.0 + ranks), 0.0)
    return np.bincount(queries, weights=worth, minlength=pairs.query_count).astype(np.float64)


def _score_block(embedder: Embedder, block: Sequence[QueryProduct]) -> Floats:
    sides = [
        embed_contents(embedder.encoder, rows, are_passages=are_passages, device=embedder.device)
        for rows, are_passages in (
            ([pair.offer for pair in block], False),
            ([pair.product for pair in block], True),
        )
    ]
    return np.einsum("pd,pd->p", sides[0].text, sides[1].text).astype(np.float64)


def _measure(judged: JudgedPairs, bad_row_count: int) -> JudgedResult:
    values = {
        "NDCG": graded_ndcg(judged),
        "NDCG@10": graded_ndcg(judged, 10),
        "NDCG of a random order": random_ndcg(judged),
    }
    return JudgedResult(
        query_count=judged.query_count,
        no_gain_count=int(np.isnan(values["NDCG"]).sum()),
        pair_count=len(judged.queries),
        bad_row_count=bad_row_count,
        metrics=estimate_means(values, [str(query) for query in range(judged.query_count)]),
    )
