"""What category prediction came to, as written to categories.json and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.categories.abstention import Abstention
from training.evaluation.intervals import Estimate

Method = Literal["knn", "mlp"]
METHOD_TITLES: Mapping[str, str] = {"knn": "nearest neighbours", "mlp": "network"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelQuality:
    """How well labels were predicted for some queries.

    Attributes:
        query_count: Queries of known label.
        unseen_count: Those whose label no gallery product has: they count as wrong.
        weighted_f1: F1 per label, weighted by its queries, 0 to 1; NaN without queries.
        accuracy: Share predicted right, with its interval.
        abstention: What answering only from the margin on is worth.
    """

    query_count: int
    unseen_count: int
    weighted_f1: float
    accuracy: Estimate
    abstention: Abstention


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """What one method came to for one modality pattern.

    Attributes:
        neighbour_count: Neighbours that vote; None for the network.
        margin: Smallest margin that is answered.
        tuned_f1: Weighted F1 on the queries that tuned it, 0 to 1; NaN when it was tuned before.
        f1_by_k: K to the weighted F1 on the tuning queries; empty for the network.
        reported: Quality on queries that tuned nothing.
    """

    neighbour_count: int | None
    margin: float
    tuned_f1: float
    reported: LabelQuality
    f1_by_k: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen for a method and a pattern, to be used again.

    Attributes:
        neighbour_count: Neighbours that vote; None for the network.
        margin: Smallest margin that is answered.
    """

    neighbour_count: int | None
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoriesResult:
    """The whole evaluation of category prediction.

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

    def to_json(self) -> str:
        """Returns the results as a JSON object; NaN becomes null."""
        return json.dumps(_plain(asdict(self)), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierChoice:
    """What an earlier evaluation chose.

    Attributes:
        label: What it predicted.
        labels: Its labels, in the order of the network's outputs.
        choices: Modality pattern to method to choice.
    """

    label: str
    labels: tuple[str, ...]
    choices: Mapping[str, Mapping[str, Choice]]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the choices out of what `CategoriesResult.to_json` wrote.

        Raises:
            ValueError: If it is not such an object.
        """
        try:
            values = json.loads(text)
            choices = {
                pattern: {
                    method: Choice(
                        neighbour_count=result["neighbour_count"], margin=result["margin"]
                    )
                    for method, result in methods.items()
                }
                for pattern, methods in values["patterns"].items()
            }
            return cls(label=values["label"], labels=tuple(values["labels"]), choices=choices)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the results of training.categories: {error!r}") from error


def result_table(result: CategoriesResult) -> RenderableType:
    """Returns a table, one row per pattern and method, with the notes under it."""
    table = Table(
        title=f"Predicting {result.label}: {len(result.labels)} labels, "
        f"{result.gallery_count} gallery products",
        caption="tuned on other queries than those reported; "
        f"the margin aims at {result.target_accuracy:.0%} right answers",
    )
    table.add_column("from")
    table.add_column("by")
    for name in ("K", "tuning F1", "queries", "weighted F1", "accuracy", "answered",
                 "right answers"):  # fmt: skip
        table.add_column(name, justify="right")
    for pattern, methods in result.patterns.items():
        best = max(methods, key=lambda name: _sortable(methods[name].reported.weighted_f1))
        for method, values in methods.items():
            reported = values.reported
            table.add_row(
                pattern,
                METHOD_TITLES[method],
                str(values.neighbour_count or ""),
                _number(values.tuned_f1),
                str(reported.query_count),
                Text(_number(reported.weighted_f1), style="bold" if method == best else ""),
                _interval(reported.accuracy),
                _number(reported.abstention.coverage),
                _number(reported.abstention.accuracy),
            )
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))


def _sortable(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "–"
    return f"{estimate.value:.3f} [dim]{estimate.low:.3f}–{estimate.high:.3f}[/dim]"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
