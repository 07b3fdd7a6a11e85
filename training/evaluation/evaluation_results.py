"""The results of an evaluation, as written to evaluation.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from twinshelf.training.evaluation.intervals import Estimate
from twinshelf.training.evaluation.match_worlds import WorldQuality
from twinshelf.training.evaluation.tuning import Tuning
from twinshelf.training.files import made_of
from twinshelf.training.retrieval.scored_pairs import PairQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryBreakdown:
    """Retrieval metrics of the queries of one category.

    Attributes:
        query_count: Queries of the category.
        no_relevant_count: Those without a relevant product in the gallery; they are in no mean.
        means: Metric to mean; NaN when no query has a relevant product.
    """

    query_count: int
    no_relevant_count: int
    means: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutQuality:
    """What was tuned is worth on queries that did not tune it.

    Attributes:
        query_count: Queries that the thresholds were tried on: one half, thresholds being of the
            other, or all where the tuning is of an earlier evaluation.
        worlds: "closed" and "open" to what match probabilities are worth there, on all queries that
            have a relevant product; unless tuned elsewhere, each by a model fitted to others.
        matches: Quality at the threshold of the target precision, among the near candidates.
        pairs: Quality at the pair threshold, among all candidates.
        row_f1: Mean F1 per row by its rule; queries without a relevant product count.
    """

    query_count: int
    worlds: Mapping[str, WorldQuality]
    matches: PairQuality
    pairs: PairQuality
    row_f1: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternResult:
    """What one modality pattern came to.

    Attributes:
        pattern: "image", "text" or "both".
        query_count: Queries that have all modalities of the pattern.
        no_relevant_count: Those without a relevant product in the gallery; they are in no mean of a
            retrieval metric.
        itself_count: Queries that are in the gallery; they are left out of their own search.
        metrics: Metric to mean and interval, over the queries that have a relevant product.
        recall_by_k: K to mean R@K.
        pair_average_precision: PR-AUC of all candidate pairs, of all queries.
        category_f1: Weighted F1 of voted categories, 0 to 1; NaN when no query or product has one.
        by_category: Category to its retrieval metrics.
        tuning: Curve and thresholds; None when they could not be fitted.
        held_out: Quality of the tuning; None when there is none.
        untuned_reason: Why there is no tuning; empty when there is.
    """

    pattern: str
    query_count: int
    no_relevant_count: int
    itself_count: int
    metrics: Mapping[str, Estimate]
    recall_by_k: Mapping[int, float]
    pair_average_precision: float
    category_f1: float
    by_category: Mapping[str, CategoryBreakdown]
    tuning: Tuning | None
    held_out: HeldOutQuality | None
    untuned_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """The whole evaluation.

    Attributes:
        query_count: Queries read.
        gallery_count: Products searched.
        fusion_weight: w, the weight of the image in "both".
        confidence: Share of bootstrap resamples inside of the intervals.
        target_precision: Precision that the match threshold is to reach.
        patterns: Results by modality pattern; a pattern that no query has is absent.
        notes: What a reader should know, such as rows that were left out.
    """

    query_count: int
    gallery_count: int
    fusion_weight: float
    confidence: float
    target_precision: float
    patterns: Mapping[str, PatternResult]
    notes: tuple[str, ...] = ()


def read_tunings(text: str) -> dict[str, Tuning]:
    """Reads the tuning of each pattern from evaluation.json.

    Raises:
        ValueError: If it is not such an object.
    """
    try:
        return {
            pattern: made_of(Tuning, values["tuning"])
            for pattern, values in json.loads(text)["patterns"].items()
            if values["tuning"] is not None
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the results of an evaluation: {error!r}") from error
