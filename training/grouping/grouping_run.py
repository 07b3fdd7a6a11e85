"""Groups a table of products with the encoder of a run, and saves the groups."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from twinshelf.training.checkpoint import CALIBRATION
from twinshelf.training.evaluation.embedded_products import Embedder
from twinshelf.training.grouping.components import form_groups
from twinshelf.training.grouping.edges import unite
from twinshelf.training.grouping.evidence import gather_evidence, without_clashes
from twinshelf.training.grouping.group_scores import GroupingQuality, evaluate_groups
from twinshelf.training.grouping.group_table import name_groups, read_group_ids, write_groups
from twinshelf.training.grouping.grouping_config import GroupingOptions
from twinshelf.training.runs.figures import figure_table, figure_text
from twinshelf.training.runs.tracking import Outcome, save_outcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingResult:
    """What a grouping came to.

    Attributes:
        product_count: Products grouped.
        group_count: Groups of two products or more.
        grouped_count: Products in them.
        largest_size: Members of the largest group.
        thresholds: Modality pattern to the lowest score it accepts.
        edge_counts: Modality pattern to the pairs it accepted.
        estimated_precision: Share of pairs within groups that should be right, by the
            probabilities of the edges; NaN without groups.
        quality: Against the products' own groups; None when they have none.
        notes: What a reader should know.
    """

    product_count: int
    group_count: int
    grouped_count: int
    largest_size: int
    thresholds: Mapping[str, float]
    edge_counts: Mapping[str, int]
    estimated_precision: float
    quality: GroupingQuality | None
    notes: tuple[str, ...]


def group_products(options: GroupingOptions) -> GroupingResult:
    """Groups the products of a catalogue, and writes the table of groups and the results.

    The results go to the loggers of the run's training as well.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the run has no calibration, or a table cannot be read or is empty.
        OSError: If MLflow does not take the results, which are then saved.
    """
    config = options.config
    embedder = Embedder.of_run(options.run, config.device)
    calibration = embedder.encoder.calibration
    if calibration is None:
        raise ValueError(
            f"{options.run} has no {CALIBRATION}, so its scores have no probabilities: "
            "run `make evaluate` first, with enough offers to calibrate by"
        )
    previous = read_group_ids(options.previous) if options.previous else None
    records = embedder.read("products", options.products, options.columns)
    products = embedder.embed("products", records, are_passages=True)
    logger.info("searching %d products in themselves", len(products))
    evidence = gather_evidence(
        products,
        calibration=calibration,
        fusion_weight=embedder.fusion_weight,
        config=config,
    )
    if not evidence:
        embedder.notes.append("no two products have what a calibrated pattern needs: all are alone")
    edges = without_clashes(unite(list(evidence.values())), [record.title for record in records])
    groups = form_groups(edges, len(products), config)
    is_grouped = groups.sizes > 1
    result = GroupingResult(
        product_count=len(products),
        group_count=len(np.unique(groups.numbers[is_grouped])),
        grouped_count=int(is_grouped.sum()),
        largest_size=int(groups.sizes.max()),
        thresholds=calibration.thresholds,
        edge_counts={pattern: len(accepted) for pattern, accepted in evidence.items()},
        # Each group weighs as many pairs as it has.
        estimated_precision=float(
            np.average(groups.precision[is_grouped], weights=groups.sizes[is_grouped] - 1)
        )
        if is_grouped.any()
        else math.nan,
        quality=evaluate_groups(groups.numbers, products.groups),
        notes=tuple(embedder.notes),
    )
    names = name_groups(products.product_ids, groups.numbers, previous)
    write_groups(options.output, products.product_ids, names, groups)
    outcome = Outcome(name=f"grouping/{options.output.stem}", results=options.results)
    save_outcome(embedder.tracked_run, outcome, result)
    return result


def grouping_tables(result: GroupingResult) -> RenderableType:
    """Returns what a grouping came to, as tables that a person reads."""
    rows = {
        "products": str(result.product_count),
        "groups of two or more": str(result.group_count),
        "products in them": str(result.grouped_count),
        "largest group": str(result.largest_size),
        "estimated precision of pairs": figure_text(result.estimated_precision),
    }
    for pattern, count in result.edge_counts.items():
        rows[f"pairs by {pattern}"] = f"{count} from {result.thresholds[pattern]:.3f} on"
    if result.quality is not None:
        rows |= {
            "products of known group": str(result.quality.labelled_count),
            "F1 per row": figure_text(result.quality.row_f1),
            "F1 of pairs": figure_text(result.quality.pair_f1),
            "precision of pairs": figure_text(result.quality.pair_precision),
            "recall of pairs": figure_text(result.quality.pair_recall),
        }
    cells = {name: [value] for name, value in rows.items()}
    table = figure_table("Groups of the same product", ("measure", "value"), cells)
    return Group(table, *(Text(f"Note: {note}") for note in result.notes))
