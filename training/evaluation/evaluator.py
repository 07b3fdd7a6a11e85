"""The evaluator: searches the gallery by image, by text and by both, and judges what it finds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training import metrics
from training.calibration import PATTERNS
from training.embeddings import ModalityWeights
from training.evaluation.categories import judge_categories
from training.evaluation.embedded import EmbeddedProducts
from training.evaluation.intervals import Estimate, estimate_means
from training.evaluation.reliability import expected_calibration_error, reliability_bins
from training.evaluation.results import (
    CategoryBreakdown,
    EvaluationResult,
    JudgedQuality,
    PatternResult,
)
from training.evaluation.row_f1 import MatchLists, row_f1
from training.evaluation.scored_pairs import ScoredPairs, average_precision_of_pairs, quality_at
from training.evaluation.search import Search, rows_with_pattern, search_gallery
from training.evaluation.settings import EvaluationSettings
from training.evaluation.tuning import Tuning, split_halves, tune

logger = logging.getLogger(__name__)

ACCURACY_K = 10
CURVE_KS = (1, 2, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatternEvaluation:
    """Results of a pattern, with the pairs that plots are drawn of.

    Attributes:
        result: The results.
        pairs: All candidate pairs.
    """

    result: PatternResult
    pairs: ScoredPairs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """A whole evaluation, with the pairs that plots are drawn of.

    Attributes:
        result: The results.
        pairs: All candidate pairs of each pattern.
    """

    result: EvaluationResult
    pairs: Mapping[str, ScoredPairs]


def evaluate(
    queries: EmbeddedProducts,
    gallery: EmbeddedProducts,
    *,
    fusion_weight: float,
    settings: EvaluationSettings,
    tunings: Mapping[str, Tuning] | None = None,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Judges an encoder by what its embeddings find.

    The gallery is searched with all it has; a pattern uses those queries that have its modalities.

    Args:
        queries: Held-out offers.
        gallery: Products to search.
        fusion_weight: w, the share of the image in "both", 0 to 1.
        settings: How it is done.
        tunings: Curves and thresholds of an earlier evaluation, to be judged on all queries; None
            fits them on one half of the queries, by group, and judges them on the other.
        notes: What a reader of the results should know.

    Raises:
        ValueError: If there are no queries or no gallery, or the embeddings do not fit.
    """
    if not len(queries) or not len(gallery):
        raise ValueError(
            f"an evaluation needs queries and a gallery, got {len(queries)} and {len(gallery)}"
        )
    weights = {
        "image": ModalityWeights(image=1, text=0),
        "text": ModalityWeights(image=0, text=1),
        "both": ModalityWeights(image=fusion_weight, text=1 - fusion_weight),
    }
    results, pairs = {}, {}
    for pattern in PATTERNS:
        chosen = rows_with_pattern(queries, pattern)
        if not chosen.any():
            continue
        logger.info("searching %d products by %s", len(gallery), pattern)
        search = search_gallery(queries.rows(chosen), gallery, weights[pattern], settings)
        tuning = None if tunings is None else tunings.get(pattern)
        judged = judge(pattern, search, gallery, settings, tuning)
        results[pattern], pairs[pattern] = judged.result, judged.pairs
    result = EvaluationResult(
        query_count=len(queries),
        gallery_count=len(gallery),
        fusion_weight=fusion_weight,
        confidence=settings.confidence,
        target_precision=settings.target_precision,
        patterns=results,
        notes=tuple(notes),
    )
    return Evaluation(result=result, pairs=pairs)


def judge(
    pattern: str,
    search: Search,
    gallery: EmbeddedProducts,
    settings: EvaluationSettings,
    tuning: Tuning | None,
) -> PatternEvaluation:
    """Computes all that is reported of one search."""
    values = metric_values(search.found.ranks, settings.top_k)
    pairs = candidate_pairs(search.matches, settings.candidate_count)
    reason, judged = "", None
    tuned_elsewhere = tuning is not None
    judged_half = np.ones(len(search.queries), dtype=np.bool_)
    if tuning is None:
        fitting_half = split_halves(search.clusters, settings.seed)
        judged_half = ~fitting_half
        try:
            tuning = fit_tuning(search.matches.rows(fitting_half), settings)
        except ValueError as error:
            reason = str(error)
            logger.warning("no calibration for %s: %s", pattern, reason)
    if tuning is not None:
        judged = judge_tuning(search, tuning, judged_half, settings, tuned_elsewhere)
    ranks, known = search.found.ranks, any(search.queries.categories) and any(gallery.categories)
    result = PatternResult(
        pattern=pattern,
        query_count=len(search.queries),
        lone_count=ranks.lone_count,
        itself_count=int(search.matches.has_itself.sum()),
        metrics=_estimates(values, search.clusters, settings),
        recall_by_k={k: metrics.mean(metrics.recall_at(ranks, k)) for k in CURVE_KS},
        accuracy_by_k={k: metrics.mean(metrics.accuracy_at(ranks, k)) for k in CURVE_KS},
        pair_average_precision=average_precision_of_pairs(pairs),
        categories=judge_categories(
            search.queries.categories,
            search.found.candidates,
            gallery.categories,
            settings.neighbour_count,
        )
        if known
        else None,
        by_category=break_down(values, search.queries.categories),
        tuning=tuning,
        judged=judged,
        untuned_reason=reason,
    )
    return PatternEvaluation(result=result, pairs=pairs)


def metric_values(
    ranks: metrics.RelevantRanks, top_k: Sequence[int]
) -> dict[str, npt.NDArray[np.float64]]:
    """Returns every retrieval metric per query, in the order of the tables; NaN when lone."""
    values = {}
    for k in sorted({*top_k, ACCURACY_K}):
        if k in top_k:
            values[f"P@{k}"] = metrics.precision_at(ranks, k)
            values[f"R@{k}"] = metrics.recall_at(ranks, k)
            values[f"F1@{k}"] = metrics.f1_at(ranks, k)
            values[f"NDCG@{k}"] = metrics.ndcg_at(ranks, k)
        values[f"Acc@{k}"] = metrics.accuracy_at(ranks, k)
    values["MAP"] = metrics.average_precision(ranks)
    return values


def candidate_pairs(matches: MatchLists, count: int) -> ScoredPairs:
    """Returns the pairs of queries with their first candidates; matches beyond are missed."""
    scores, labels = matches.scores[:, :count], matches.is_match[:, :count]
    valid = np.isfinite(scores)
    return ScoredPairs(
        scores=scores[valid],
        is_match=labels[valid],
        missed_count=int(matches.relevant_counts.sum() - labels[valid].sum()),
    )


def fit_tuning(matches: MatchLists, settings: EvaluationSettings) -> Tuning:
    """Fits curve and thresholds.

    Raises:
        ValueError: If the candidates are all matches or all non-matches.
    """
    return tune(
        candidate_pairs(matches, settings.near_count),
        candidate_pairs(matches, settings.candidate_count),
        matches,
        target_precision=settings.target_precision,
        method=settings.calibration_method,
    )


def judge_tuning(
    search: Search,
    tuning: Tuning,
    judged_half: npt.NDArray[np.bool_],
    settings: EvaluationSettings,
    tuned_elsewhere: bool,
) -> JudgedQuality:
    """Judges curve and thresholds on the chosen queries."""
    matches = search.matches.rows(judged_half)
    near = candidate_pairs(matches, settings.near_count)
    bins = reliability_bins(tuning.curve.probability(near.scores), near.is_match)
    clusters = [search.clusters[row] for row in np.flatnonzero(judged_half).tolist()]
    values = {"row F1": row_f1(matches, tuning.row_threshold)}
    return JudgedQuality(
        query_count=len(clusters),
        tuned_elsewhere=tuned_elsewhere,
        calibration_error=expected_calibration_error(bins),
        reliability=bins,
        matches=quality_at(near, tuning.match_threshold),
        pairs=quality_at(candidate_pairs(matches, settings.candidate_count), tuning.pair_threshold),
        row_f1=_estimates(values, clusters, settings)["row F1"],
    )


def break_down(
    values: Mapping[str, npt.NDArray[np.float64]], categories: Sequence[str]
) -> dict[str, CategoryBreakdown]:
    """Returns the means of each category by itself, sorted by name; "" is left out."""
    rows: dict[str, list[int]] = {}
    for row, category in enumerate(categories):
        if category:
            rows.setdefault(category, []).append(row)
    lone = np.isnan(values["MAP"])
    return {
        category: CategoryBreakdown(
            query_count=len(members),
            lone_count=int(lone[members].sum()),
            means={name: metrics.mean(row[members]) for name, row in values.items()},
        )
        for category, members in sorted(rows.items())
    }


def _estimates(
    values: Mapping[str, npt.NDArray[np.float64]],
    clusters: Sequence[str],
    settings: EvaluationSettings,
) -> dict[str, Estimate]:
    return estimate_means(
        values,
        clusters,
        confidence=settings.confidence,
        resample_count=settings.resample_count,
        seed=settings.seed,
    )
