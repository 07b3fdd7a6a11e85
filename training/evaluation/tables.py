"""The results of an evaluation as tables that a person reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.evaluation.intervals import Estimate
from training.evaluation.judged_search import JudgedResult
from training.evaluation.results import EvaluationResult, PatternResult

BREAKDOWN_METRICS = ("Acc@10", "MAP")
MOST_CATEGORIES = 12


def result_tables(result: EvaluationResult) -> RenderableType:
    """Returns all tables, with the notes under them."""
    patterns = list(result.patterns.values())
    parts: list[RenderableType] = [
        retrieval_table(result, patterns),
        quality_table(result, patterns),
    ]
    if any(pattern.by_category for pattern in patterns):
        parts.append(category_table(patterns))
    parts += [Text(f"Note: {note}") for note in result.notes]
    parts += [
        Text(f"Note: no calibration for {pattern.pattern}: {pattern.untuned_reason}")
        for pattern in patterns
        if pattern.untuned_reason
    ]
    return Group(*parts)


def retrieval_table(result: EvaluationResult, patterns: Sequence[PatternResult]) -> Table:
    """Returns P@K, R@K, F1@K, NDCG@K, Acc@K and MAP, one column per modality pattern."""
    table = Table(
        title=f"Retrieval: {result.query_count} queries, {result.gallery_count} products",
        caption=f"{result.confidence:.0%} bootstrap interval; "
        f"'both' weighs the image {result.fusion_weight:.3g}; lone queries are in no mean",
    )
    table.add_column("metric")
    for pattern in patterns:
        table.add_column(pattern.pattern, justify="right")
    names = list(patterns[0].metrics) if patterns else []
    for name in names:
        table.add_row(name, *(_interval(pattern.metrics[name]) for pattern in patterns))
    table.add_section()
    table.add_row("queries", *(str(pattern.query_count) for pattern in patterns))
    table.add_row("lone queries", *(str(pattern.lone_count) for pattern in patterns))
    if any(pattern.itself_count for pattern in patterns):
        table.add_row("in the gallery", *(str(pattern.itself_count) for pattern in patterns))
    return table


def judged_table(result: JudgedResult) -> Table:
    """Returns NDCG over the judged products of each query."""
    table = Table(
        title=f"Judged products: {result.query_count} held-out queries, {result.pair_count} "
        "products ranked by text",
        caption="gains: exact 1, substitute 0.1, complement 0.01; "
        f"{result.lone_count} queries without any gain are in no mean, "
        f"{result.bad_row_count} judgements could not be read",
    )
    table.add_column("metric")
    table.add_column("text", justify="right")
    for name, estimate in result.metrics.items():
        table.add_row(name, _interval(estimate))
    return table


def quality_table(result: EvaluationResult, patterns: Sequence[PatternResult]) -> Table:
    """Returns pairs, rows, categories and calibration, one column per modality pattern."""
    table = Table(
        title="Pairs, thresholds, categories, calibration",
        caption="thresholds and curve: tuned on other queries than those judged here",
    )
    table.add_column("measure")
    for pattern in patterns:
        table.add_column(pattern.pattern, justify="right")
    columns = [_quality(pattern, result.target_precision) for pattern in patterns]
    for name in columns[0] if columns else ():
        table.add_row(name, *(column[name] for column in columns))
    return table


def category_table(patterns: Sequence[PatternResult]) -> Table:
    """Returns Acc@10 and MAP of the largest categories, one pair of columns per pattern."""
    counts: dict[str, int] = {}
    for pattern in patterns:
        for category, breakdown in pattern.by_category.items():
            counts[category] = max(counts.get(category, 0), breakdown.query_count)
    largest = sorted(counts, key=lambda category: (-counts[category], category))
    left_out = len(largest) - MOST_CATEGORIES
    table = Table(
        title="By category",
        caption=f"and {left_out} more in evaluation.json" if left_out > 0 else None,
    )
    table.add_column("category")
    table.add_column("queries", justify="right")
    for pattern in patterns:
        for metric in BREAKDOWN_METRICS:
            table.add_column(f"{pattern.pattern} {metric}", justify="right")
    for category in largest[:MOST_CATEGORIES]:
        cells = [
            _number(pattern.by_category[category].means[metric])
            if category in pattern.by_category
            else "–"
            for pattern in patterns
            for metric in BREAKDOWN_METRICS
        ]
        table.add_row(Text(category), str(counts[category]), *cells)
    return table


def _quality(pattern: PatternResult, target_precision: float) -> Mapping[str, str]:
    judged, tuning, categories = pattern.judged, pattern.tuning, pattern.categories
    missing = float("nan")
    rows = {
        "PR-AUC of pairs": _number(pattern.pair_average_precision),
        "F1 of pairs": _number(judged.pairs.f1 if judged else missing),
        "F1 per row": _interval(judged.row_f1) if judged else "–",
        "threshold": _number(tuning.match_threshold if tuning else missing),
        f"precision there (target {target_precision:g})": _number(
            judged.matches.precision if judged else missing
        ),
        "recall there": _number(judged.matches.recall if judged else missing),
        "calibration error": _number(judged.calibration_error if judged else missing),
        "weighted F1 of categories": _number(categories.weighted_f1 if categories else missing),
    }
    return rows


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "–"
    return f"{estimate.value:.3f} [dim]{estimate.low:.3f}–{estimate.high:.3f}[/dim]"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
