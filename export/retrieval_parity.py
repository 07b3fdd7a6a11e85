"""The second half of the parity gate: real rows of the run, searched with both embeddings."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from twinshelf.export.parity import ParityComparison, ParityError
from twinshelf.export.precision import ParityBounds
from twinshelf.export.reference import Tensors
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.data.training_data import text_fields
from twinshelf.training.preprocessing.texts import join_fields
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import rank_items, score_blocks
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.metrics import (
    RelevantPairs,
    RelevantRanks,
    accuracy_at,
    average_precision,
    mean,
    pairs_by_group,
    rows_of_same_product,
)

logger = logging.getLogger(__name__)
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
T = TypeVar("T")

QUERIES, GALLERY = "queries.parquet", "gallery.parquet"
# Where groups are categories, one of them holds thousands of products.
MOST_QUERIES, MOST_OF_GROUP, MOST_DISTRACTORS = 200, 5, 200
# Scores this near are a tie, which either runtime may break as it likes: many catalogues hold the
# same title twice.
SCORE_TOLERANCE = 1e-4
ROUNDING = 1e-9
METRICS: Final = {"recall@1": lambda found: accuracy_at(found, 1), "MAP": average_precision}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalSample:
    """Real rows to search with.

    Attributes:
        queries: Held-out offers whose product is in the gallery, besides themselves.
        gallery: Their products, at most `MOST_OF_GROUP` of a group, and some distractors.
    """

    queries: tuple[Product, ...]
    gallery: tuple[Product, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPair:
    """A metric, computed both ways.

    Attributes:
        name: Metric and modality pattern.
        in_torch: Mean over the queries, 0 to 1.
        as_published: The same of the published version.
    """

    name: str
    in_torch: float
    as_published: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _BothWays:
    in_torch: ProductEmbeddings
    as_published: ProductEmbeddings


def read_sample(folder: Path, *, seed: int = 42) -> RetrievalSample | None:
    """Draws a sample from prepared data.

    Args:
        folder: Folder that `make data` wrote.
        seed: Seed of the draw.

    Returns:
        The sample; None when the tables are not there or no query has its product in the gallery.
    """
    if not ((folder / QUERIES).is_file() and (folder / GALLERY).is_file()):
        return None
    gallery = _products(folder / GALLERY)
    members: defaultdict[str, list[Product]] = defaultdict(list)
    for product in gallery:
        members[product.group].append(product)
    usable = [
        query
        for query in _products(folder / QUERIES)
        if query.group and any(p.product_id != query.product_id for p in members[query.group])
    ]
    generator = np.random.default_rng(seed)
    queries = _draw(usable, MOST_QUERIES, generator)
    wanted = {query.group: None for query in queries}
    others = [p for p in gallery if p.group not in wanted]
    drawn = [_draw(members[group], MOST_OF_GROUP, generator) for group in wanted]
    chosen = {p.product_id for p in chain(*drawn, _draw(others, MOST_DISTRACTORS, generator))}
    kept = tuple(p for p in gallery if p.product_id in chosen)
    return RetrievalSample(queries=queries, gallery=kept) if queries else None


def compare_retrieval(
    comparison: ParityComparison, sample: RetrievalSample, encoder: TrainedEncoder
) -> tuple[MetricPair, ...]:
    """Compares embeddings of real rows, then recall@1 and MAP of searching with them.

    Args:
        comparison: Embeds both ways.
        sample: The rows.
        encoder: The trained encoder: it says how texts are joined, and the fusion weight.

    Returns:
        Both metrics of each modality pattern that the sample has.

    Raises:
        ParityError: If embeddings or metrics differ.
    """
    settings, fusion_weight = encoder.settings, encoder.model.fusion.plain_weight()
    queries = _embed(comparison, sample.queries, encoder, settings.query_prefix)
    gallery = _embed(comparison, sample.gallery, encoder, settings.passage_prefix)
    itself = rows_of_same_product(
        [query.product_id for query in sample.queries],
        [product.product_id for product in sample.gallery],
    )
    relevant = pairs_by_group(
        [query.group for query in sample.queries],
        [product.group for product in sample.gallery],
        excluded=itself,
    )
    found: list[MetricPair] = []
    for pattern, weight in pattern_weights(fusion_weight).items():
        in_torch = _scores(queries.in_torch, gallery.in_torch, weight, itself)
        if np.isfinite(in_torch).any():
            as_published = _scores(queries.as_published, gallery.as_published, weight, itself)
            found += compare_metrics(pattern, in_torch, as_published, relevant, comparison.bounds)
    return tuple(found)


def compare_metrics(
    pattern: str,
    in_torch: Floats,
    as_published: Floats,
    relevant: RelevantPairs,
    bounds: ParityBounds,
) -> tuple[MetricPair, ...]:
    """Compares recall@1 and MAP of two score tables, (Q, G) each.

    Where the bounds allow no loss, each query's value must lie between those that torch's scores
    give when their ties are broken against the relevant products and for them.

    Raises:
        ParityError: If a query ranks otherwise, or more is lost than allowed.
    """
    ranks = {shift: _ranks(in_torch, relevant, shift) for shift in (-1, 0, 1)}
    published_ranks = _ranks(as_published, relevant, 0)
    pairs = []
    for name, metric in METRICS.items():
        worst, expected, best = (metric(ranks[shift]) for shift in (-1, 0, 1))
        values = metric(published_ranks)
        pair = MetricPair(
            name=f"{name} {pattern}", in_torch=mean(expected), as_published=mean(values)
        )
        loss = mean(worst) - pair.as_published
        if bounds.metric_loss and loss > bounds.metric_loss + ROUNDING:
            raise ParityError(
                f"{name} of queries by {pattern} is {pair.in_torch:.4f} in torch and "
                f"{pair.as_published:.4f} as published: {100 * loss:.2f} points are lost, at most "
                f"{100 * bounds.metric_loss:g} may be"
            )
        outside = int(((values < worst - ROUNDING) | (values > best + ROUNDING)).sum())
        if outside and not bounds.metric_loss:
            raise ParityError(
                f"{name} of queries by {pattern} is {pair.in_torch:.4f} in torch and "
                f"{pair.as_published:.4f} as published: {outside} of {len(values)} queries rank "
                "otherwise, which no tie explains; none may"
            )
        pairs.append(pair)
    _check_shift(pattern, in_torch, as_published, relevant, bounds)
    return tuple(pairs)


def _check_shift(
    pattern: str,
    in_torch: Floats,
    as_published: Floats,
    relevant: RelevantPairs,
    bounds: ParityBounds,
) -> None:
    """Makes sure that the scores of true matches still mean what was fitted to them."""
    pairs = relevant.queries, relevant.items
    before, after = in_torch[pairs], as_published[pairs]
    there = np.isfinite(before)
    shift = float(np.abs(after[there] - before[there]).mean()) if there.any() else 0.0
    if shift > bounds.score_shift:
        raise ParityError(
            f"scores of true matches by {pattern} move by {shift:.4f} on average, at most "
            f"{bounds.score_shift:g} keeps their probabilities"
        )


def _scores(
    queries: ProductEmbeddings, gallery: ProductEmbeddings, image_weight: float, itself: Ints
) -> Floats:
    """Scores all pairs, (Q, G); that of a query with itself, which proves nothing, is -inf."""
    blocks = score_blocks(queries, gallery, image_weight=image_weight)
    scores = np.concatenate([scores.numpy() for _, scores in blocks])
    there = itself >= 0
    scores[there, itself[there]] = -np.inf
    return scores


def _ranks(scores: Floats, relevant: RelevantPairs, shift: int) -> RelevantRanks:
    """Ranks the relevant products, with near ties broken against (-1) or for (1) all of them."""
    shifted = scores.copy()
    shifted[relevant.queries, relevant.items] += shift * SCORE_TOLERANCE
    ranks = rank_items(shifted, relevant.queries, relevant.items)
    return RelevantRanks.of_pairs(relevant.query_count, relevant.queries, ranks)


def _embed(
    comparison: ParityComparison, products: Sequence[Product], encoder: TrainedEncoder, prefix: str
) -> _BothWays:
    joined = [join_fields(text_fields(each), encoder.settings, prefix=prefix) for each in products]
    image = _halves(
        [_read_photo(product) for product in products],
        comparison.photos,
        ("IMAGE_EMBEDDING", encoder.model.image_tower.embedding_dim),
        comparison.max_batch_size,
    )
    text = _halves(
        [row if row and comparison.reads(row) else None for row in joined],
        comparison.texts,
        ("TEXT_EMBEDDING", encoder.model.text_tower.embedding_dim),
        comparison.max_batch_size,
    )
    return _BothWays(
        in_torch=ProductEmbeddings(image=image[0], text=text[0]),
        as_published=ProductEmbeddings(image=image[1], text=text[1]),
    )


def _halves(
    rows: Sequence[T | None],
    compare: Callable[[Sequence[T], str], tuple[Tensors, Tensors]],
    tensor: tuple[str, int],
    batch_size: int,
) -> tuple[Floats, Floats]:
    """Embeds the rows that are there both ways; zeros, (N, D), where one is None."""
    name, dim = tensor
    in_torch, as_published = (np.zeros((len(rows), dim), dtype=np.float32) for _ in range(2))
    present = [number for number, row in enumerate(rows) if row is not None]
    for start in range(0, len(present), batch_size):
        chosen = present[start : start + batch_size]
        batch = [row for number in chosen if (row := rows[number]) is not None]
        expected, found = compare(batch, "rows of the run's data")
        in_torch[chosen], as_published[chosen] = expected[name], found[name]
    return in_torch, as_published


def _read_photo(product: Product) -> bytes | None:
    try:
        return product.images[0].read_bytes() if product.images else None
    except OSError as error:  # as in training, it counts as missing
        logger.warning("a photo cannot be read: %s", error)
        return None


def _products(path: Path) -> list[Product]:
    return [row for row in read_table(path) if isinstance(row, Product)]


def _draw(
    products: Sequence[Product], count: int, generator: np.random.Generator
) -> tuple[Product, ...]:
    chosen = generator.permutation(len(products))[:count]
    return tuple(products[number] for number in sorted(chosen.tolist()))
