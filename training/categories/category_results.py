"""What category prediction came to, as written to categories.json and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from twinshelf.training.categories.abstention import Abstention
from twinshelf.training.evaluation.intervals import Estimate
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.runs.figures import figure_table, figure_text

METHOD_TITLES: Mapping[str, str] = {"knn": "neighbours", "mlp": "network"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelQuality:
    """How well labels were predicted for some queries.

    Attributes:
        query_count: Queries of known label.
        unseen_count: Those whose label no gallery product has: they count as wrong.
        weighted_f1: F1 per label, weighted by its queries, 0 to 1; NaN without queries.
        accuracy: Share predicted right, with its interval.
        abstention: What answering only from the margin on is worth.
        calibration_error: How far probability and accuracy are apart, 0 to 1, with its interval.
    """

    query_count: int
    unseen_count: int
    weighted_f1: float
    accuracy: Estimate
    abstention: Abstention
    calibration_error: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for a method and a pattern, to be used again.

    Attributes:
        neighbour_count: Neighbours that vote; None for the network.
        margin: Smallest margin that is answered.
        curve: Margin to the probability that the label is right.
        tuned_f1: Weighted F1 on the queries that tuned it, 0 to 1.
        f1_by_k: K to the weighted F1 on these queries; empty for the network.
    """

    neighbour_count: int | None
    margin: float
    curve: Curve
    tuned_f1: float
    f1_by_k: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """What one method came to for one modality pattern.

    Attributes:
        choice: What was chosen for it.
        reported: Quality on queries that tuned nothing.
    """

    choice: Choice
    reported: LabelQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoriesResult:
    """All that category prediction came to.

    Attributes:
        label: What was predicted: "category" or "group".
        labels: The labels that can be predicted.
        gallery_count: Gallery products of known label.
        target_accuracy: Share of right answers that the margin is to reach.
        patterns: Modality pattern to method to result.
        notes: What a reader should know.
    """

    label: str
    labels: tuple[str, ...]
    gallery_count: int
    target_accuracy: float
    patterns: Mapping[str, Mapping[str, MethodResult]]
    notes: tuple[str, ...] = ()


def result_table(result: CategoriesResult) -> RenderableType:
    """Returns a table, one row per pattern and method, with the notes under it."""
    rows: dict[str, list[RenderableType]] = {}
    for pattern, methods in result.patterns.items():
        best = max(values.reported.weighted_f1 for values in methods.values())
        for method, values in methods.items():
            reported, f1 = values.reported, values.reported.weighted_f1
            rows[f"{pattern}, {METHOD_TITLES[method]}"] = [
                str(values.choice.neighbour_count or ""),
                str(reported.query_count),
                Text(figure_text(f1), style="bold" if f1 == best else ""),
                str(reported.accuracy),
                figure_text(reported.calibration_error.value),
                figure_text(reported.abstention.coverage),
                figure_text(reported.abstention.accuracy),
            ]
    table = figure_table(
        f"Predicting {result.label}: {len(result.labels)} labels, "
        f"{result.gallery_count} gallery products",
        ("from", "K", "queries", "weighted F1", "accuracy", "ECE", "answered", "right"),
        rows,
        caption="tuned on other queries than those reported; "
        f"the margin aims at {result.target_accuracy:.0%} right answers",
    )
    table.box, table.pad_edge = None, False
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))
