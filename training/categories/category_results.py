"""What category prediction came to, as written to categories.json and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from twinshelf.training.categories.abstention import Abstention
from twinshelf.training.evaluation.intervals import Estimate
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.runs.figures import figure_text

RESULTS = "categories.json"
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
class MethodResult:
    """What one method came to for one modality pattern.

    Attributes:
        neighbour_count: Neighbours that vote; None for the network.
        margin: Smallest margin that is answered.
        curve: Margin to the probability that the label is right.
        tuned_f1: Weighted F1 on the queries that tuned it, 0 to 1; NaN when it was tuned before.
        f1_by_k: K to the weighted F1 on the tuning queries; empty for the network.
        reported: Quality on queries that tuned nothing.
    """

    neighbour_count: int | None
    margin: float
    curve: Curve
    tuned_f1: float
    reported: LabelQuality
    f1_by_k: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for a method and a pattern, to be used again.

    Attributes:
        neighbour_count: Neighbours that vote; None for the network.
        margin: Smallest margin that is answered.
        curve: Margin to the probability that the label is right.
    """

    neighbour_count: int | None
    margin: float
    curve: Curve


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierChoice:
    """What an earlier evaluation chose.

    Attributes:
        labels: Its labels, in the order of the network's outputs.
        choices: Modality pattern to method to choice.
    """

    labels: tuple[str, ...]
    choices: Mapping[str, Mapping[str, Choice]]

    @classmethod
    def read(cls, folder: Path, label: str) -> Self:
        """Reads the choices out of categories.json.

        Args:
            folder: Folder of the earlier results.
            label: What is to be predicted.

        Raises:
            FileNotFoundError: If there are no such results.
            ValueError: If they are no results of ours, or of another label.
        """
        path = folder / RESULTS
        if not path.is_file():
            raise FileNotFoundError(f"no {RESULTS} in {folder}: run training.categories first")
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["label"] != label:
                raise ValueError(f"{path} predicts the {values['label']}, not the {label}")
            choices = {
                pattern: {
                    method: Choice(
                        neighbour_count=result["neighbour_count"],
                        margin=result["margin"],
                        curve=Curve(**{k: tuple(v) for k, v in result["curve"].items()}),
                    )
                    for method, result in methods.items()
                }
                for pattern, methods in values["patterns"].items()
            }
            return cls(labels=tuple(values["labels"]), choices=choices)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not of training.categories: {error!r}") from error


def result_table(result: CategoriesResult) -> RenderableType:
    """Returns a table, one row per pattern and method, with the notes under it."""
    table = Table(
        title=f"Predicting {result.label}: {len(result.labels)} labels, "
        f"{result.gallery_count} gallery products",
        caption="tuned on other queries than those reported; "
        f"the margin aims at {result.target_accuracy:.0%} right answers",
        box=None,
        pad_edge=False,
    )
    table.add_column("from")
    table.add_column("by")
    for name in ("K", "queries", "weighted F1", "accuracy", "ECE", "answered",
                 "right"):  # fmt: skip
        table.add_column(name, justify="right")
    for pattern, methods in result.patterns.items():
        best = max(methods, key=lambda name: _sortable(methods[name].reported.weighted_f1))
        for method, values in methods.items():
            reported = values.reported
            table.add_row(
                pattern,
                METHOD_TITLES[method],
                str(values.neighbour_count or ""),
                str(reported.query_count),
                Text(figure_text(reported.weighted_f1), style="bold" if method == best else ""),
                str(reported.accuracy),
                figure_text(reported.calibration_error.value),
                figure_text(reported.abstention.coverage),
                figure_text(reported.abstention.accuracy),
            )
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))


def _sortable(value: float) -> float:
    return -1.0 if math.isnan(value) else value
