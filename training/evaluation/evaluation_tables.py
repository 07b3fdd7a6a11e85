"""The results of an evaluation as tables that a person reads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from twinshelf.training.evaluation.evaluation_results import EvaluationResult, PatternResult
from twinshelf.training.evaluation.judged_search import JudgedResult
from twinshelf.training.evaluation.match_worlds import WorldQuality
from twinshelf.training.runs.figures import ABSENT, figure_table, figure_text

BREAKDOWN_METRICS = ("Acc@10", "MAP")
MOST_CATEGORIES = 12


def result_tables(result: EvaluationResult) -> RenderableType:
    """Returns all tables, with the notes under them."""
    patterns = list(result.patterns.values())
    parts = [
        retrieval_table(result, patterns),
        quality_table(result, patterns),
        probability_table(patterns),
    ]
    if any(pattern.by_category for pattern in patterns):
        parts.append(category_table(patterns))
    notes = [
        *result.notes,
        *(f"no calibration for {p.pattern}: {p.untuned_reason}" for p in patterns
          if p.untuned_reason),
    ]  # fmt: skip
    return Group(*parts, *(Text(f"Note: {note}") for note in notes))


def retrieval_table(result: EvaluationResult, patterns: Sequence[PatternResult]) -> Table:
    """Returns P@K, R@K, F1@K, NDCG@K, Acc@K and MAP, one column per modality pattern."""
    table = figure_table(
        f"Retrieval: {result.query_count} queries, {result.gallery_count} products",
        ("metric", *(pattern.pattern for pattern in patterns)),
        {
            name: [str(pattern.metrics[name]) for pattern in patterns]
            for name in (patterns[0].metrics if patterns else ())
        },
        caption=f"{result.confidence:.0%} bootstrap interval; "
        f"'both' weighs the image {result.fusion_weight:.3g}; queries without a relevant "
        "product are in no mean",
    )
    table.add_section()
    table.add_row("queries", *(str(pattern.query_count) for pattern in patterns))
    table.add_row("without relevant", *(str(pattern.no_relevant_count) for pattern in patterns))
    if any(pattern.itself_count for pattern in patterns):
        table.add_row("in the gallery", *(str(pattern.itself_count) for pattern in patterns))
    return table


def judged_table(result: JudgedResult) -> Table:
    """Returns NDCG over the judged products of each query."""
    return figure_table(
        f"Judged products: {result.query_count} held-out queries, {result.pair_count} "
        "products ranked by text",
        ("metric", "text"),
        {name: [str(estimate)] for name, estimate in result.metrics.items()},
        caption="gains: exact 1, substitute 0.1, complement 0.01; "
        f"{result.no_gain_count} queries without any gain are in no mean, "
        f"{result.bad_row_count} judgements could not be read",
    )


def quality_table(result: EvaluationResult, patterns: Sequence[PatternResult]) -> Table:
    """Returns pairs, rows and categories, one column per modality pattern."""
    columns = [_quality(pattern, result.target_precision) for pattern in patterns]
    return figure_table(
        "Pairs, thresholds, categories",
        ("measure", *(pattern.pattern for pattern in patterns)),
        {name: [column[name] for column in columns] for name in (columns[0] if columns else ())},
        caption="thresholds: tuned on other queries than these figures are of",
    )


def probability_table(patterns: Sequence[PatternResult]) -> Table:
    """Returns what match probabilities are worth in both worlds, one column per pattern."""
    rows = {}
    for world in ("closed", "open"):
        found = [each.held_out and each.held_out.worlds.get(world) for each in patterns]
        columns = [_world(quality) if quality else {} for quality in found]
        for name in max(columns, key=len, default={}):
            rows[f"{world}: {name}"] = [column.get(name, ABSENT) for column in columns]
    return figure_table(
        "Probability of matches",
        ("measure", *(pattern.pattern for pattern in patterns)),
        rows,
        caption="closed world: every offer has a match; open: half have none; fitted to other "
        "queries than these figures are of; ECE: expected calibration error; taken at a precision: "
        "share of first matches (best possible), their precision",
    )


def category_table(patterns: Sequence[PatternResult]) -> Table:
    """Returns MAP of the largest categories by pattern; of a single pattern Acc@10, too."""
    counts: Counter[str] = Counter()
    for pattern in patterns:
        counts |= Counter({name: part.query_count for name, part in pattern.by_category.items()})
    largest = sorted(counts, key=lambda category: (-counts[category], category))
    left_out = len(largest) - MOST_CATEGORIES
    # More columns leave no room for the names of the categories in a terminal.
    metrics = BREAKDOWN_METRICS if len(patterns) == 1 else BREAKDOWN_METRICS[-1:]
    pairs = [(pattern, metric) for pattern in patterns for metric in metrics]
    rows = {}
    for category in largest[:MOST_CATEGORIES]:
        found = [(pattern.by_category.get(category), metric) for pattern, metric in pairs]
        figures = [part.means[metric] if part else math.nan for part, metric in found]
        rows[category] = [str(counts[category]), *map(figure_text, figures)]
    return figure_table(
        "By category",
        ("category", "queries", *(f"{pattern.pattern} {metric}" for pattern, metric in pairs)),
        rows,
        caption=f"and {left_out} more in evaluation.json" if left_out > 0 else None,
    )


def _world(quality: WorldQuality) -> Mapping[str, str]:
    rows = {
        "ECE of the first": str(quality.first.error),
        "ECE of all": str(quality.every.error),
        "mean, accuracy": f"{quality.mean_probability:.3f}, {quality.accuracy:.3f}",
    }
    for target, coverage in quality.coverage.items():
        rows[f"taken at {target}"] = (
            f"{coverage.share:.3f} ({coverage.oracle_share:.3f}), {figure_text(coverage.precision)}"
        )
    if not math.isnan(quality.has_match_auroc):
        rows["AUROC of having one"] = f"{quality.has_match_auroc:.3f}"
    return rows


def _quality(pattern: PatternResult, target_precision: float) -> Mapping[str, str]:
    found, tuning, categories = pattern.held_out, pattern.tuning, pattern.categories
    precision = f"precision there (target {target_precision:g})"
    return {
        "PR-AUC of pairs": figure_text(pattern.pair_average_precision),
        "F1 of pairs": figure_text(found.pairs.f1) if found else ABSENT,
        "F1 per row": str(found.row_f1) if found else ABSENT,
        "threshold": figure_text(tuning.match_threshold) if tuning else ABSENT,
        precision: figure_text(found.matches.precision) if found else ABSENT,
        "recall there": figure_text(found.matches.recall) if found else ABSENT,
        "weighted F1 of categories": figure_text(categories.weighted_f1) if categories else ABSENT,
    }
