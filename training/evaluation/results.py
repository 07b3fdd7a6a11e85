"""The results of an evaluation, as written to evaluation.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from training.calibration import Curve
from training.evaluation.categories import CategoryQuality
from training.evaluation.intervals import Estimate
from training.evaluation.reliability import ReliabilityBin
from training.evaluation.scored_pairs import PairQuality
from training.evaluation.tuning import Tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryBreakdown:
    """Retrieval metrics of the queries of one category.

    Attributes:
        query_count: Queries of the category.
        lone_count: Those without a right product in the gallery; they are in no mean.
        means: Metric to mean; NaN when all queries are lone.
    """

    query_count: int
    lone_count: int
    means: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedQuality:
    """What the tuned curve and thresholds are worth on queries that did not tune them.

    Attributes:
        query_count: Queries judged.
        tuned_elsewhere: Whether the tuning is of an earlier evaluation, so that all queries are
            judged; else it is of the other half of them.
        calibration_error: Expected calibration error, 0 to 1.
        reliability: Its bins.
        matches: Quality at the threshold of the target precision, among the near candidates.
        pairs: Quality at the pair threshold, among all candidates.
        row_f1: Mean F1 per row at the row threshold; lone queries count.
    """

    query_count: int
    tuned_elsewhere: bool
    calibration_error: float
    reliability: tuple[ReliabilityBin, ...]
    matches: PairQuality
    pairs: PairQuality
    row_f1: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternResult:
    """What one modality pattern came to.

    Attributes:
        pattern: "image", "text" or "both".
        query_count: Queries that have all modalities of the pattern.
        lone_count: Those without a right product in the gallery; they are in no mean of a
            retrieval metric.
        itself_count: Queries that are in the gallery; they are left out of their own search.
        metrics: Metric to mean and interval, over the queries that are not lone.
        recall_by_k: K to mean R@K.
        accuracy_by_k: K to mean Acc@K.
        pair_average_precision: PR-AUC of all candidate pairs, of all queries.
        categories: Quality of category prediction; None when no query or product has one.
        by_category: Category to its retrieval metrics.
        tuning: Curve and thresholds; None when they could not be fitted.
        judged: Quality of the tuning; None when there is none.
        untuned_reason: Why there is no tuning; empty when there is.
    """

    pattern: str
    query_count: int
    lone_count: int
    itself_count: int
    metrics: Mapping[str, Estimate]
    recall_by_k: Mapping[int, float]
    accuracy_by_k: Mapping[int, float]
    pair_average_precision: float
    categories: CategoryQuality | None
    by_category: Mapping[str, CategoryBreakdown]
    tuning: Tuning | None
    judged: JudgedQuality | None
    untuned_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """The whole evaluation.

    Attributes:
        query_count: Queries read.
        gallery_count: Products searched.
        fusion_weight: w, the share of the image in "both".
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

    def to_json(self) -> str:
        """Returns the results as a JSON object; NaN becomes null."""
        return json.dumps(_plain(asdict(self)), indent=2, ensure_ascii=False) + "\n"


def read_tunings(text: str) -> dict[str, Tuning]:
    """Reads the tuning of each pattern from what `EvaluationResult.to_json` wrote.

    Raises:
        ValueError: If it is not such an object.
    """
    tunings = {}
    try:
        for pattern, values in json.loads(text)["patterns"].items():
            if (tuning := values["tuning"]) is None:
                continue
            curve = tuning.pop("curve")
            tunings[pattern] = Tuning(
                curve=Curve(
                    scores=tuple(curve["scores"]), probabilities=tuple(curve["probabilities"])
                ),
                **tuning,
            )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the results of an evaluation: {error!r}") from error
    return tunings


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
