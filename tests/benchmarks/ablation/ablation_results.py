"""The results of an ablation, and their table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from twinshelf.training.runs.figures import figure_text

ENCODERS = ("zero-shot", "fine-tuned")
SEARCHES = ("exact", "usearch")
METRICS = ("recall@1", "Acc@10", "MAP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one search came to.

    Attributes:
        query_count: Queries that have what the variant reads.
        no_relevant_count: Those without a relevant product; in no mean.
        fusion_weight: w, the weight of the image; None where one modality counts alone.
        metrics: Name to mean, 0 to 1.
    """

    query_count: int
    no_relevant_count: int
    fusion_weight: float | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """The whole comparison.

    Attributes:
        run: Name of the run.
        query_count: Queries.
        gallery_count: Products searched.
        cells: Variant to encoder to search to what it came to; absent where it does not apply.
        notes: What a reader should know.
    """

    run: str
    query_count: int
    gallery_count: int
    cells: Mapping[str, Mapping[str, Mapping[str, Cell]]]
    notes: tuple[str, ...] = ()


def ablation_table(found: Ablation) -> RenderableType:
    """Returns one table, a row per variant and metric, with the notes under it."""
    table = Table(
        title=f"Ablation of {found.run}: {found.query_count} queries, "
        f"{found.gallery_count} products",
        caption="n/a: not pretrained, or no query has it",
    )
    for name in ("input", "queries", "metric"):
        table.add_column(name, justify="right" if name == "queries" else "left")
    for encoder in ENCODERS:
        for search in SEARCHES:
            table.add_column(f"{encoder}\n{search}", justify="right")
    for variant, encoders in found.cells.items():
        counts = {cell.query_count for searches in encoders.values() for cell in searches.values()}
        for number, metric in enumerate(METRICS):
            head = (variant, " / ".join(map(str, sorted(counts)))) if number == 0 else ("", "")
            values = (
                _value(encoders.get(encoder, {}).get(search), metric)
                for encoder in ENCODERS
                for search in SEARCHES
            )
            table.add_row(*head, metric, *values)
        table.add_section()
    return Group(table, *(Text(f"Note: {note}") for note in found.notes))


def _value(cell: Cell | None, metric: str) -> str:
    if cell is None or math.isnan(cell.metrics[metric]):
        return "n/a"
    return figure_text(cell.metrics[metric])
