"""Ranking of judged products: how well an encoder orders what people judged for a query.

It is the first task of Amazon's Shopping Queries Dataset: the judged products of each query, and
no others, are ordered by score, and the order is measured by NDCG with a gain for each label.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from training.catalogues.esci import find_esci_files, read_esci
from training.catalogues.lookup import blocks
from training.catalogues.table import read_table
from training.checkpoint import TrainedEncoder, load_encoder
from training.evaluation.embedded import embed_products
from training.evaluation.graded_ndcg import Floats, JudgedPairs, graded_ndcg, random_ndcg
from training.evaluation.intervals import Estimate, estimate_means
from training.evaluation.run import EvaluationFiles
from training.evaluation.settings import EvaluationSettings
from training.product import BadRow, Product
from training.query_product import QueryProduct
from training.runs.environment import record_environment
from training.runs.tracking import Outcome, TrackedRun, track_outcome
from training.whole_file import write_whole

RESULTS = "judgements.json"
JUDGED = "judged"
BLOCK_PAIR_COUNT = 4096
MOST_BAD_ROWS_LOGGED = 5
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedResult:
    """What the ranking of judged products came to.

    Attributes:
        query_count: Queries that were ranked for.
        lone_count: Those without a product of any gain; they are in no mean.
        pair_count: Judged products of all of them.
        bad_row_count: Judgements of the whole file that could not be read.
        metrics: "NDCG", "NDCG@10", and for comparison "NDCG of a random order".
    """

    query_count: int
    lone_count: int
    pair_count: int
    bad_row_count: int
    metrics: Mapping[str, Estimate]


def judge_searches(
    files: EvaluationFiles, place: Path, settings: EvaluationSettings
) -> JudgedResult:
    """Ranks the judged products of the held-out queries by text, and saves judgements.json.

    The results go to the loggers of the run's training as well, beside those of the evaluation.

    Args:
        files: The run, its held-out queries, and the folder of the results.
        place: Folder or file of the judgements (see `training.catalogues.esci`).
        settings: Confidence, resamples, seed and device.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file lacks a column, or has no answer to any of the held-out queries.
        OSError: If MLflow does not take the results, which are then saved.
    """
    found = find_esci_files(place)
    encoder = load_encoder(files.run)
    queries = files.queries or Path(encoder.config.data.folder) / "queries.parquet"
    wanted = _read_ids(queries, files.columns if files.queries else {})
    bad_rows: list[BadRow] = []
    pairs = _chosen(read_esci(found.examples, found.products), wanted, bad_rows)
    judged = score_pairs(encoder, pairs, device=settings.device)
    for row in bad_rows[:MOST_BAD_ROWS_LOGGED]:
        logger.warning("left out %s", row)
    if not judged.gains.any():
        raise ValueError(
            f"{found.examples} judges {judged.query_count} of the {len(wanted)} queries of "
            f"{queries}, and no product of them better than irrelevant"
        )
    result = _measure(judged, len(bad_rows), settings)
    results = files.results_folder / RESULTS
    write_whole(results, json.dumps(asdict(result), indent=2) + "\n")
    environment = record_environment(files.results_folder, JUDGED)
    name = JUDGED if files.results_folder == files.run else f"{files.name}/{JUDGED}"
    outcome = Outcome(name=name, results=results, files=[environment])
    track_outcome(TrackedRun.of(files.run, encoder.config.loop), outcome)
    return result


def score_pairs(
    encoder: TrainedEncoder,
    pairs: Iterable[QueryProduct],
    *,
    device: str = "cpu",
    block_pair_count: int = BLOCK_PAIR_COUNT,
) -> JudgedPairs:
    """Scores pairs by the cosine of their texts, a block at a time.

    Args:
        encoder: The trained encoder.
        pairs: Queries, products and labels; the text of a query gets the query prefix.
        device: "cpu" or "cuda".
        block_pair_count: Pairs whose texts and embeddings are in memory at once.
    """
    numbers: dict[tuple[str, str], int] = {}
    queries: list[int] = []
    gains: list[float] = []
    scores: list[Floats] = [np.zeros(0)]
    for block in blocks(pairs, block_pair_count):
        logger.info("scoring judged products %d to %d", len(gains) + 1, len(gains) + len(block))
        scores.append(_score_block(encoder, block, device))
        for pair in block:
            queries.append(numbers.setdefault((pair.locale, pair.query), len(numbers)))
            gains.append(pair.label.gain)
    return JudgedPairs(
        query_count=len(numbers),
        queries=np.array(queries, dtype=np.int64),
        scores=np.concatenate(scores),
        gains=np.array(gains, dtype=np.float64),
    )


def _score_block(encoder: TrainedEncoder, block: Sequence[QueryProduct], device: str) -> Floats:
    sides = []
    for rows, are_passages in (
        ([pair.offer for pair in block], False),
        ([pair.product for pair in block], True),
    ):
        # By title as well: spellings of one query share an identifier.
        places: dict[tuple[str, str], int] = {}
        unique: list[Product] = []
        for row in rows:
            if places.setdefault((row.product_id, row.title), len(unique)) == len(unique):
                unique.append(row)
        embedded = embed_products(
            encoder,
            unique,
            are_passages=are_passages,
            pixel_cache=Path(encoder.config.data.pixel_cache),
            batch_size=encoder.config.data.embedding_batch_size,
            device=device,
        )
        text = embedded.embeddings.text
        sides.append(text[[places[row.product_id, row.title] for row in rows]])
    return np.einsum("pd,pd->p", *sides).astype(np.float64)


def _chosen(
    rows: Iterator[QueryProduct | BadRow], wanted: frozenset[str], bad_rows: list[BadRow]
) -> Iterator[QueryProduct]:
    for row in rows:
        if isinstance(row, BadRow):
            bad_rows.append(row)
        elif row.query_id in wanted:
            yield row


def _measure(judged: JudgedPairs, bad_row_count: int, settings: EvaluationSettings) -> JudgedResult:
    values = {
        "NDCG": graded_ndcg(judged),
        "NDCG@10": graded_ndcg(judged, 10),
        "NDCG of a random order": random_ndcg(judged),
    }
    return JudgedResult(
        query_count=judged.query_count,
        lone_count=int(np.isnan(values["NDCG"]).sum()),
        pair_count=len(judged.queries),
        bad_row_count=bad_row_count,
        metrics=estimate_means(
            values,
            [str(query) for query in range(judged.query_count)],
            confidence=settings.confidence,
            resample_count=settings.resample_count,
            seed=settings.seed,
        ),
    )


def _read_ids(path: Path, columns: Mapping[str, str]) -> frozenset[str]:
    if not path.is_file():
        raise FileNotFoundError(f"no table of queries at {path}: run training.prepare first")
    rows = read_table(path, columns)
    return frozenset(row.product_id for row in rows if isinstance(row, Product))
