"""Groups a table of products with the encoder of a run, and saves the groups."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from training.calibration import Calibration
from training.checkpoint import CALIBRATION, TrainedEncoder, load_encoder
from training.evaluation.embedded import EmbeddedProducts
from training.grouping.components import Groups
from training.grouping.evidence import (
    Evidence,
    gather_evidence,
    group_by,
    thresholds_from_json,
    thresholds_to_json,
)
from training.grouping.group_table import check_output, read_group_ids, write_groups
from training.grouping.naming import name_groups
from training.grouping.quality import GroupingQuality, judge_groups
from training.grouping.settings import GroupingSettings
from training.grouping.tuning import tune_thresholds
from training.runs.environment import record_environment
from training.runs.products import Embedder, read_products
from training.runs.tracking import Outcome, TrackedRun, track_outcome
from training.whole_file import write_whole

GROUPING = "grouping"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingFiles:
    """Where grouping reads and writes.

    Attributes:
        run: Folder of the run, with its calibration.
        products: Tables of the catalogue.
        output: Table of the groups, ending in .parquet; results lie beside it, ending in .json.
        columns: Our column names to those of the tables, where they differ.
        previous: Table of an earlier grouping, whose names are kept; None names anew.
        labelled: Table of products with groups that thresholds are tuned on; None takes those of
            the calibration, or of `chosen`.
        chosen: Results of an earlier grouping whose thresholds are used.

    Raises:
        ValueError: If the output has another ending, or two sources of thresholds are given.
    """

    run: Path
    products: tuple[Path, ...]
    output: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    previous: Path | None = None
    labelled: Path | None = None
    chosen: Path | None = None

    def __post_init__(self) -> None:
        check_output(self.output)
        if self.labelled is not None and self.chosen is not None:
            raise ValueError("thresholds are either tuned or those of earlier results, not both")

    @property
    def results(self) -> Path:
        """File of the results."""
        return self.output.with_suffix(".json")

    @property
    def name(self) -> str:
        """Name under which the results are tracked."""
        return f"{GROUPING}/{self.output.stem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingResult:
    """What a grouping came to.

    Attributes:
        product_count: Products grouped.
        group_count: Groups of two products or more.
        grouped_count: Products in them.
        largest_size: Members of the largest group.
        thresholds: Modality pattern to the lowest score it accepts; infinity leaves it out.
        edge_counts: Modality pattern to the pairs it accepted.
        quality: Against the products' own groups; None when they have none.
        tuned_row_f1: F1 per row on the products that tuned the thresholds; NaN without tuning.
        notes: What a reader should know.
    """

    product_count: int
    group_count: int
    grouped_count: int
    largest_size: int
    thresholds: Mapping[str, float]
    edge_counts: Mapping[str, int]
    quality: GroupingQuality | None
    tuned_row_f1: float
    notes: tuple[str, ...]

    def to_json(self) -> str:
        """Returns the result as a JSON object; NaN and infinity become null."""
        values = asdict(self)
        values["thresholds"] = thresholds_to_json(self.thresholds)
        if math.isnan(self.tuned_row_f1):
            values["tuned_row_f1"] = None
        if self.quality is not None:
            values["quality"] = {
                key: None if math.isnan(value) else value
                for key, value in asdict(self.quality).items()
            }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def group_products(files: GroupingFiles, settings: GroupingSettings) -> GroupingResult:
    """Groups the products of a catalogue, and writes the table of groups and the results.

    The results go to the loggers of the run's training as well.

    Args:
        files: Where it reads and writes.
        settings: How it is done.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the run has no calibration, or a table cannot be read or is empty.
        OSError: If MLflow does not take the results, which are then saved.
    """
    encoder = load_encoder(files.run)
    calibration = _calibration_of(encoder, files.run)
    embedder = Embedder(encoder=encoder, device=settings.device)
    previous = read_group_ids(files.previous) if files.previous else None
    thresholds, tuned_row_f1 = _thresholds(files, calibration, embedder, settings)
    products = _embed(files.products, files, embedder)
    evidence = _gather(products, calibration, embedder, settings)
    if not evidence.edges:
        embedder.notes.append("no two products have what a calibrated pattern needs: all are alone")
    groups = group_by(evidence, thresholds, settings)
    result = GroupingResult(
        product_count=len(products),
        group_count=len(np.unique(groups.numbers[groups.sizes > 1])),
        grouped_count=int((groups.sizes > 1).sum()),
        largest_size=int(groups.sizes.max()),
        thresholds=thresholds,
        edge_counts=_edge_counts(evidence, thresholds),
        quality=judge_groups(groups.numbers, products.groups),
        tuned_row_f1=tuned_row_f1,
        notes=tuple(embedder.notes),
    )
    _save(result, files, products, groups, previous)
    environment = record_environment(files.results.parent, files.name)
    outcome = Outcome(name=files.name, results=files.results, files=[environment])
    track_outcome(TrackedRun.of(files.run, encoder.config.loop), outcome)
    return result


def _calibration_of(encoder: TrainedEncoder, run: Path) -> Calibration:
    if encoder.calibration is None:
        raise ValueError(
            f"{run} has no {CALIBRATION}, so its scores have no probabilities: "
            "run `make evaluate` first"
        )
    return encoder.calibration


def _thresholds(
    files: GroupingFiles, calibration: Calibration, embedder: Embedder, settings: GroupingSettings
) -> tuple[dict[str, float], float]:
    """Returns the thresholds to use, and the F1 per row that tuning reached; NaN without it."""
    if files.chosen is not None:
        if not files.chosen.is_file():
            raise FileNotFoundError(f"no results of a grouping at {files.chosen}")
        embedder.notes.append(f"thresholds are those of {files.chosen}")
        return thresholds_from_json(files.chosen.read_text(encoding="utf-8")), math.nan
    if files.labelled is None:
        return dict(calibration.thresholds), math.nan
    labelled = _embed((files.labelled,), files, embedder)
    evidence = _gather(labelled, calibration, embedder, settings)
    tuned = tune_thresholds(evidence, labelled.groups, calibration.thresholds, settings)
    embedder.notes.append(f"thresholds were tuned on {len(labelled)} products of {files.labelled}")
    return {**calibration.thresholds, **tuned.thresholds}, tuned.row_f1


def _embed(paths: tuple[Path, ...], files: GroupingFiles, embedder: Embedder) -> EmbeddedProducts:
    tables = read_products(paths, files.columns)
    embedder.notes.extend(tables.notes)
    return embedder.embed("products", tables.products, are_passages=True)


def _gather(
    products: EmbeddedProducts,
    calibration: Calibration,
    embedder: Embedder,
    settings: GroupingSettings,
) -> Evidence:
    logger.info("searching %d products in themselves", len(products))
    return gather_evidence(
        products,
        calibration=calibration,
        fusion_weight=embedder.fusion_weight,
        settings=settings,
    )


def _edge_counts(evidence: Evidence, thresholds: Mapping[str, float]) -> dict[str, int]:
    return {
        pattern: int((edges.scores >= thresholds.get(pattern, math.inf)).sum())
        for pattern, edges in evidence.edges.items()
    }


def _save(
    result: GroupingResult,
    files: GroupingFiles,
    products: EmbeddedProducts,
    groups: Groups,
    previous: Mapping[str, str] | None,
) -> None:
    names = name_groups(products.product_ids, groups.numbers, previous)
    write_groups(files.output, products.product_ids, names, groups)
    write_whole(files.results, result.to_json())
