"""What category prediction came to, as written to categories.json and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from twinshelf.training.evaluation.intervals import Estimate
from twinshelf.training.evaluation.reliability import Coverage
from twinshelf.training.files import made_of
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.retrieval.match_probability import TARGETS
from twinshelf.training.runs.figures import figure_table, figure_text

RESULTS = "categories.json"
# Where thresholds are known; between them they are interpolated.
PRECISIONS = (*TARGETS, 1.0)
METHOD_TITLES: Mapping[str, str] = {"knn": "neighbours", "mlp": "network"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelQuality:
    """How well labels were predicted for some queries.

    Attributes:
        query_count: Queries of known label.
        unseen_count: Those whose label no gallery product has: they count as wrong.
        weighted_f1: F1 per label, weighted by its queries, 0 to 1; NaN without queries.
        accuracy: Share predicted right, with its interval.
        answered: What is answered at the target, and how well.
        calibration_error: How far probability and accuracy are apart, 0 to 1, with its interval.
    """

    query_count: int
    unseen_count: int
    weighted_f1: float
    accuracy: Estimate
    answered: Coverage
    calibration_error: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for a method and a pattern, to be used again.

    Attributes:
        neighbour_count: Neighbours that vote; None for the network.
        curve: Margin to the probability that the label is right.
        thresholds: Probability from which on answers are right as often as each of `PRECISIONS`
            asks, `NEVER` where they never are.
        tuned_f1: Weighted F1 on the queries that tuned it, 0 to 1.
        f1_by_k: K to the weighted F1 on these queries; empty for the network.
    """

    neighbour_count: int | None
    curve: Curve
    thresholds: tuple[float, ...]
    tuned_f1: float
    f1_by_k: Mapping[int, float]

    def threshold(self, target: float) -> float:
        """Returns the probability from which on answers reach a precision, above 0, at most 1."""
        return float(np.interp(target, PRECISIONS, self.thresholds))


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
        target_accuracy: Share of the answers that are to be right.
        patterns: Modality pattern to method to result.
        notes: What a reader should know.
    """

    label: str
    labels: tuple[str, ...]
    gallery_count: int
    target_accuracy: float
    patterns: Mapping[str, Mapping[str, MethodResult]]
    notes: tuple[str, ...] = ()


def read_choices(folder: Path, label: str) -> tuple[tuple[str, ...], dict[str, dict[str, Choice]]]:
    """Returns the labels of a saved result, and its choices by modality pattern and method.

    Raises:
        FileNotFoundError: If there is no such result.
        ValueError: If it is no result of ours, or of another label.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise FileNotFoundError(f"no {RESULTS} in {folder}: run training.categories first")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["label"] != label:
            raise ValueError(f"{path} predicts the {values['label']}, not the {label}")
        return tuple(values["labels"]), {
            pattern: {name: made_of(Choice, each["choice"]) for name, each in methods.items()}
            for pattern, methods in values["patterns"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not of training.categories: {error!r}") from error


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
                f"{reported.answered.share:.3f} ({reported.answered.oracle_share:.3f})",
                figure_text(reported.answered.precision),
            ]
    table = figure_table(
        f"Predicting {result.label}: {len(result.labels)} labels, "
        f"{result.gallery_count} gallery products",
        ("from", "K", "queries", "weighted F1", "accuracy", "ECE", "answered (best)", "right"),
        rows,
        caption="tuned on other queries than those reported; "
        f"what is answered aims at {result.target_accuracy:.0%} right",
    )
    table.box, table.pad_edge = None, False
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))
