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
from twinshelf.training.runs.figures import ABSENT, figure_table, figure_text

BREAKDOWN_METRICS = ("Acc@10", "MAP")
MOST_CATEGORIES = 12


def result_tables(result: EvaluationResult) -> RenderableType:
    """Returns all tables, with the notes under them."""
    patterns = list(result.patterns.values())
    parts = [
        _retrieval_table(result, patterns),
        _pattern_table(
            "Pairs, thresholds, categories",
            patterns,
            [_quality(pattern, result.target_precision) for pattern in patterns],
            caption="thresholds: tuned on other queries than these figures are of",
        ),
        _pattern_table(
            "Probability of matches",
            patterns,
            [_probabilities(pattern) for pattern in patterns],
            caption="closed world: every offer has a match; open: half have none; fitted to other "
            "queries than these figures are of; ECE: expected calibration error; taken at a "
            "precision: share of first matches (best possible), their precision",
        ),
    ]
    if any(pattern.by_category for pattern in patterns):
        parts.append(_category_table(patterns))
    notes = [
        *result.notes,
        *(f"no calibration for {p.pattern}: {p.untuned_reason}" for p in patterns
          if p.untuned_reason),
    ]  # fmt: skip
    return Group(*parts, *(Text(f"Note: {note}") for note in notes))


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


def _pattern_table(
    title: str,
    patterns: Sequence[PatternResult],
    columns: Sequence[Mapping[str, str]],
    *,
    caption: str,
) -> Table:
    """Returns a table with one column per modality pattern; what a pattern lacks is a dash."""
    names = max(columns, key=len, default={})
    rows = {name: [column.get(name, ABSENT) for column in columns] for name in names}
    header = ("measure", *(pattern.pattern for pattern in patterns))
    return figure_table(title, header, rows, caption=caption)


def _retrieval_table(result: EvaluationResult, patterns: Sequence[PatternResult]) -> Table:
    """Returns P@K, R@K, F1@K, NDCG@K, Acc@K and MAP."""
    table = _pattern_table(
        f"Retrieval: {result.query_count} queries, {result.gallery_count} products",
        patterns,
        [{name: str(each) for name, each in pattern.metrics.items()} for pattern in patterns],
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


def _category_table(patterns: Sequence[PatternResult]) -> Table:
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


def _probabilities(pattern: PatternResult) -> Mapping[str, str]:
    rows = {}
    for world, quality in (pattern.held_out.worlds if pattern.held_out else {}).items():
        rows[f"{world}: ECE of the first"] = str(quality.first.error)
        rows[f"{world}: ECE of all"] = str(quality.every.error)
        rows[f"{world}: mean, accuracy"] = f"{quality.mean_probability:.3f}, {quality.accuracy:.3f}"
        for target, coverage in quality.coverage.items():
            shares = f"{coverage.share:.3f} ({coverage.oracle_share:.3f})"
            rows[f"{world}: taken at {target}"] = f"{shares}, {figure_text(coverage.precision)}"
        if not math.isnan(quality.has_match_auroc):
            rows[f"{world}: AUROC of having one"] = f"{quality.has_match_auroc:.3f}"
    return rows


def _quality(pattern: PatternResult, target_precision: float) -> Mapping[str, str]:
    found, tuning = pattern.held_out, pattern.tuning
    precision = f"precision there (target {target_precision:g})"
    return {
        "PR-AUC of pairs": figure_text(pattern.pair_average_precision),
        "F1 of pairs": figure_text(found.pairs.f1) if found else ABSENT,
        "F1 per row": str(found.row_f1) if found else ABSENT,
        "its threshold, matches at least": f"{tuning.row_threshold:.3f}, {tuning.least_row_count}"
        if tuning
        else ABSENT,
        "threshold": figure_text(tuning.match_threshold) if tuning else ABSENT,
        precision: figure_text(found.matches.precision) if found else ABSENT,
        "recall there": figure_text(found.matches.recall) if found else ABSENT,
        "weighted F1 of categories": figure_text(pattern.category_f1),
    }
