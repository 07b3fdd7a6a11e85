"""The fusion weight w, fitted on validation data: the weight of the image in a fused score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import rank_items, score_blocks
from twinshelf.training.retrieval.metrics import (
    RankingScores,
    RelevantPairs,
    RelevantRanks,
    pairs_by_group,
)

EVEN_WEIGHT = 0.5
MOST_QUERIES, SEED = 2000, 42  # more are sampled down
# So many queries show that a modality earns nothing.
TELLING_QUERY_COUNT = 100
# Below the even steps: a modality may count for little, or only where the other leaves a tie.
SMALL_WEIGHTS = (0.0001, 0.001, 0.005, 0.01)
GRID = sorted(
    {number / 50 for number in range(1, 50)}.union(SMALL_WEIGHTS, (1 - w for w in SMALL_WEIGHTS))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionWeightFit:
    """The fitted weight and how it was found.

    Attributes:
        weight: w, 0.0001 to 0.9999; 0.5 when there was nothing to fit on.
        query_count: Queries with both modalities and a right answer in the gallery.
        scores: Every weight that was tried to its scores, rising: first 0, the text alone, and
            last 1, the image alone, which are not chosen.
    """

    weight: float
    query_count: int
    scores: Mapping[float, RankingScores]


def pattern_weights(fusion_weight: float) -> dict[str, float]:
    """Returns the weight of the image by the pattern of a query: "image", "text" and "both".

    Args:
        fusion_weight: w, the weight of the image in "both", 0 to 1.
    """
    return {"image": 1, "text": 0, "both": fusion_weight}


def fit_fusion_weight(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    query_groups: Sequence[str],
    gallery_groups: Sequence[str],
    *,
    device: str = "cpu",
) -> FusionWeightFit:
    """Finds the weight with the highest recall@1; among equals the highest MAP, then nearest 0.5.

    Where no mix is better than one modality alone, and some are worse, the other modality has not
    earned a share: among equals the weight is then the one nearest to that modality. Fewer than 100
    queries cannot show that.

    Queries that lack a modality are left out, for no weight changes their ranking where the
    gallery has both; so are queries without a right answer.

    Args:
        queries: Embeddings of validation queries (Q).
        gallery: Embeddings of the gallery (G).
        query_groups: Group of each query.
        gallery_groups: Group of each gallery product.
        device: Where the scores are computed: "cpu", "cuda" or "auto".
    """
    chosen = _choose_queries(queries, query_groups, gallery_groups)
    relevant = pairs_by_group([query_groups[row] for row in chosen.tolist()], gallery_groups)
    weights = [0.0, *GRID, 1.0]
    scores = _score_weights(queries.rows(chosen), gallery, relevant, weights, device=device)
    weight = _best_weight(scores, may_lean=len(chosen) >= TELLING_QUERY_COUNT)
    return FusionWeightFit(weight=weight, query_count=len(chosen), scores=scores)


def _choose_queries(
    queries: ProductEmbeddings,
    query_groups: Sequence[str],
    gallery_groups: Sequence[str],
) -> npt.NDArray[np.int64]:
    """Returns the rows of queries that have both modalities and a right answer, or a sample."""
    labelled = set(gallery_groups) - {""}
    can_be_right = np.array([group in labelled for group in query_groups], dtype=np.bool_)
    rows = np.flatnonzero(queries.presence.all(axis=1) & can_be_right)
    if len(rows) <= MOST_QUERIES:
        return rows
    return np.sort(np.random.default_rng(SEED).choice(rows, MOST_QUERIES, replace=False))


def _score_weights(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    relevant: RelevantPairs,
    weights: Sequence[float],
    *,
    device: str,
) -> dict[float, RankingScores]:
    """Scores weights that rise from 0, the text alone, to 1, the image alone."""
    ranks = np.zeros((len(weights), len(relevant.items)), dtype=np.int64)
    alone = [
        score_blocks(queries, gallery, image_weight=weight, device=device) for weight in (1, 0)
    ]
    for (start, image_block), (_, text_block) in zip(*alone, strict=True):
        image, text = image_block.cpu().numpy(), text_block.cpu().numpy()
        stop = start + len(image)
        first, last = np.searchsorted(relevant.queries, [start, stop])
        pairs = relevant.of_queries(start, stop)
        ranks[0, first:last] = rank_items(text, *pairs)
        ranks[-1, first:last] = rank_items(image, *pairs)
        # A score is -inf where the gallery lacks the modality: there the other one is the whole.
        np.copyto(image, text, where=np.isneginf(image))
        np.copyto(text, image, where=np.isneginf(text))
        for row, weight in enumerate(weights[1:-1], start=1):
            fused = weight * image + (1 - weight) * text  # (B, G)
            ranks[row, first:last] = rank_items(fused, *pairs)
    found = (RelevantRanks.of_pairs(relevant.query_count, relevant.queries, row) for row in ranks)
    return dict(zip(weights, map(RankingScores.of, found), strict=True))


def _best_weight(scores: Mapping[float, RankingScores], *, may_lean: bool) -> float:
    """Chooses from scores by rising weight, the text alone first and the image alone last."""
    (_, text), *grid, (_, image) = ((w, _quality(score)) for w, score in scores.items())
    if np.isnan(text[0]):
        return EVEN_WEIGHT
    qualities = [quality for _, quality in grid]
    worst, best, alone = min(qualities), max(qualities), max(text, image)
    target = EVEN_WEIGHT
    if may_lean and text != image and worst < best <= alone:
        target = 1.0 if image > text else 0.0
    equals = [weight for weight, quality in grid if quality == best]
    return min(equals, key=lambda weight: (abs(weight - target), weight))


def _quality(score: RankingScores) -> tuple[float, float]:
    # Rounded, so that the order of summation decides no tie.
    return round(score.recall_at_1, 9), round(score.mean_average_precision, 9)
