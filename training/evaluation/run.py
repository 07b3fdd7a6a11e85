"""Evaluates the encoder of a finished run and saves what was found."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.catalogues.table import read_table
from training.checkpoint import CALIBRATION, TrainedEncoder, load_encoder
from training.evaluation.embedded import EmbeddedProducts, embed_products
from training.evaluation.evaluator import Evaluation, evaluate
from training.evaluation.plots import save_plots
from training.evaluation.results import read_tunings
from training.evaluation.settings import EvaluationSettings
from training.evaluation.tuning import Tuning, as_calibration
from training.loop import LoopConfig
from training.product import BadRow, Product
from training.runs.environment import ENVIRONMENT, record_environment
from training.runs.tracking import Outcome, TrackedRun, track_outcome
from training.whole_file import write_whole

RESULTS = "evaluation.json"
PLOTS = "plots"
OTHER_DATA = "evaluations"
MOST_BAD_ROWS_LOGGED = 5
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFiles:
    """Where an evaluation reads and writes.

    Attributes:
        run: Folder of the run, written by `training.train`.
        queries: Table of held-out offers; None takes the run's own.
        gallery: Table of products to search; None takes the run's own.
        columns: Our column names to those of both tables, where they differ.
        output: Folder of the results; None takes the run's folder for its own data, and for other
            data a folder in it, named after the queries.
    """

    run: Path
    queries: Path | None = None
    gallery: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    output: Path | None = None

    @property
    def is_own_data(self) -> bool:
        """Whether the run is judged on the data set that it was trained for."""
        return self.queries is None and self.gallery is None

    @property
    def results_folder(self) -> Path:
        """Folder of the results."""
        if self.output is not None:
            return self.output
        if self.is_own_data:
            return self.run
        return self.run / OTHER_DATA / (self.queries or self.gallery or self.run).stem

    @property
    def name(self) -> str:
        """Name under which the results are tracked."""
        if self.results_folder == self.run:
            return Path(RESULTS).stem
        return f"{OTHER_DATA}/{self.results_folder.resolve().name}"


def evaluate_run(
    files: EvaluationFiles,
    settings: EvaluationSettings,
    *,
    tunes: bool = False,
    draws: bool = True,
) -> Evaluation:
    """Evaluates a run, and saves evaluation.json, plots and, for its own data, calibration.json.

    They go to the loggers of the run's training as well.

    On other data the curve and thresholds of the run's own evaluation are judged, if there are any
    and `tunes` does not ask for new ones; the run's calibration stays as it is.

    Args:
        files: Where it reads and writes.
        settings: How it is done.
        tunes: Whether curve and thresholds are fitted on half of the queries even on other data.
        draws: Whether plots are drawn.

    Raises:
        FileNotFoundError: If a file of the run or a table is missing.
        ValueError: If a table cannot be read or holds nothing usable.
        OSError: If MLflow does not take the results, which are then saved.
    """
    encoder = load_encoder(files.run)
    folder = Path(encoder.config.data.folder)
    queries_path = files.queries or folder / "queries.parquet"
    gallery_path = files.gallery or folder / "gallery.parquet"
    notes: list[str] = []
    query_columns = files.columns if files.queries else {}
    gallery_columns = files.columns if files.gallery else {}
    queries = _read("queries", queries_path, query_columns, notes)
    gallery = _read("gallery", gallery_path, gallery_columns, notes)
    tunings = None
    if not (files.is_own_data or tunes):
        tunings = _read_run_tunings(files.run, notes)
    evaluation = evaluate(
        _embed("queries", encoder, queries, settings, notes, are_passages=False),
        _embed("gallery", encoder, gallery, settings, notes, are_passages=True),
        fusion_weight=encoder.model.fusion.image_share(),
        settings=settings,
        tunings=tunings,
        notes=notes,
    )
    plots = _save(evaluation, files, draws=draws)
    _track(files, encoder.config.loop, plots)
    return evaluation


def _read(name: str, path: Path, columns: Mapping[str, str], notes: list[str]) -> list[Product]:
    if not path.is_file():
        raise FileNotFoundError(f"no table of {name} at {path}: run training.prepare first")
    products: list[Product] = []
    bad_rows: list[BadRow] = []
    for row in read_table(path, columns):
        (bad_rows if isinstance(row, BadRow) else products).append(row)  # type: ignore[arg-type]
    for bad_row in bad_rows[:MOST_BAD_ROWS_LOGGED]:
        logger.warning("left out %s", bad_row)
    if bad_rows:
        notes.append(f"{len(bad_rows)} rows of {path.name} could not be read and were left out")
    if not products:
        raise ValueError(f"{path} holds no usable row")
    return products


def _embed(
    name: str,
    encoder: TrainedEncoder,
    products: Sequence[Product],
    settings: EvaluationSettings,
    notes: list[str],
    *,
    are_passages: bool,
) -> EmbeddedProducts:
    logger.info("embedding %d %s", len(products), name)
    embedded = embed_products(
        encoder,
        products,
        are_passages=are_passages,
        pixel_cache=Path(encoder.config.data.pixel_cache),
        batch_size=encoder.config.data.embedding_batch_size,
        device=settings.device,
    )
    present = embedded.embeddings.presence
    claimed = sum(bool(product.images) for product in products)
    if (lost := claimed - int(present[:, 0].sum())) > 0:
        notes.append(f"{lost} photos of the {name} could not be read and count as missing")
    if empty := int((~present.any(axis=1)).sum()):
        notes.append(f"{empty} of the {name} have nothing to embed and cannot be found")
    return embedded


def _read_run_tunings(run: Path, notes: list[str]) -> dict[str, Tuning] | None:
    path = run / RESULTS
    if not path.is_file():
        notes.append("the run has no evaluation of its own: thresholds are fitted on half of these")
        return None
    notes.append(f"thresholds and curves are those of {path}")
    return read_tunings(path.read_text(encoding="utf-8"))


def _save(evaluation: Evaluation, files: EvaluationFiles, *, draws: bool) -> list[Path]:
    folder, result = files.results_folder, evaluation.result
    record_environment(folder, "evaluation")
    write_whole(folder / RESULTS, result.to_json())
    plots = save_plots(result, evaluation.pairs, folder / PLOTS) if draws else []
    if not files.is_own_data:
        return plots
    tuned = {name: found.tuning for name, found in result.patterns.items() if found.tuning}
    if tuned:
        write_whole(files.run / CALIBRATION, as_calibration(tuned).to_json())
    else:
        (files.run / CALIBRATION).unlink(missing_ok=True)
        logger.warning("no modality pattern could be calibrated: %s is not written", CALIBRATION)
    return plots


def _track(files: EvaluationFiles, loop: LoopConfig, plots: Sequence[Path]) -> None:
    others = [files.results_folder / ENVIRONMENT]
    if files.is_own_data and (files.run / CALIBRATION).is_file():
        others.append(files.run / CALIBRATION)
    outcome = Outcome(
        name=files.name, results=files.results_folder / RESULTS, plots=plots, files=others
    )
    track_outcome(TrackedRun.of(files.run, loop), outcome)
