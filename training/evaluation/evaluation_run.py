"""Evaluates the encoder of a finished run and saves what was found."""

from __future__ import annotations

import logging
from pathlib import Path

from twinshelf.training.checkpoint import CALIBRATION
from twinshelf.training.evaluation.embedded_products import (
    EmbeddedProducts,
    Embedder,
    read_products,
)
from twinshelf.training.evaluation.evaluation_config import RESULTS, EvaluationOptions
from twinshelf.training.evaluation.evaluation_plots import save_plots
from twinshelf.training.evaluation.evaluation_results import EvaluationResult, read_tunings
from twinshelf.training.evaluation.evaluator import evaluate
from twinshelf.training.evaluation.tuning import Tuning
from twinshelf.training.files import write_atomically
from twinshelf.training.retrieval.calibration import Calibration
from twinshelf.training.retrieval.match_probability import MatchProbability
from twinshelf.training.runs.tracking import Outcome, save_outcome

PLOTS = "plots"
logger = logging.getLogger(__name__)


def evaluate_run(options: EvaluationOptions) -> EvaluationResult:
    """Evaluates a run, and saves evaluation.json, plots and, for its own data, calibration.json.

    They go to the loggers of the run's training as well. With another folder for the results the
    run's calibration stays as it is.

    On other data the curve and thresholds of the run's own evaluation are tried, if there are any
    and `tune` does not ask for new ones; the run's calibration stays as it is.

    Raises:
        FileNotFoundError: If a file of the run or a table is missing.
        ValueError: If a table cannot be read or holds nothing usable.
        OSError: If MLflow does not take the results, which are then saved.
    """
    config = options.config
    embedder = Embedder.of_run(options.run, config.device)
    queries, gallery = (
        embedder.read(name, (path,) if path else (), options.columns)
        for name, path in (("queries", options.queries), ("gallery", options.gallery))
    )
    if "category" in embedder.encoder.settings.text_fields and any(q.category for q in queries):
        embedder.notes.append(
            "the encoder reads the category of these offers: how well text predicts it shows "
            "little; `make categories` leaves it out"
        )
    tunings = None
    if not (options.is_own_data or options.tune):
        tunings = _read_run_tunings(options.run, embedder.notes)
    if options.judged_offers and tunings is not None:
        raise ValueError("nothing is fitted to these queries, and so not to judged offers: --tune")
    evaluation = evaluate(
        embedder.embed("queries", queries, are_passages=False),
        embedder.embed("gallery", gallery, are_passages=True),
        fusion_weight=embedder.fusion_weight,
        config=config,
        tunings=tunings,
        judged=_embed_judged(options.judged_offers, embedder) if options.judged_offers else None,
        notes=embedder.notes,
    )
    folder, result = options.results_folder, evaluation.result
    # Calibration and evaluation of a run are of one and the same measurement.
    is_of_run = options.is_own_data and folder == options.run
    outcome = Outcome(
        name=options.name,
        results=folder / RESULTS,
        plots=save_plots(result, evaluation.pairs, folder / PLOTS) if options.plots else (),
        files=_save_calibration(result, options.run, config.match_prior) if is_of_run else (),
    )
    save_outcome(embedder.tracked_run, outcome, result)
    return result


def _embed_judged(path: Path, embedder: Embedder) -> EmbeddedProducts:
    # The page names photos as the run's own tables do.
    root = Path(embedder.encoder.config.data.folder)
    offers = read_products((path,), embedder.notes, image_root=root)
    return embedder.embed("judged offers", offers, are_passages=False)


def _read_run_tunings(run: Path, notes: list[str]) -> dict[str, Tuning] | None:
    path = run / RESULTS
    if not path.is_file():
        notes.append("the run has no evaluation of its own: thresholds are fitted on half of these")
        return None
    notes.append(f"thresholds and curves are those of {path}")
    return read_tunings(path.read_text(encoding="utf-8"))


def _save_calibration(result: EvaluationResult, run: Path, match_prior: float) -> list[Path]:
    path = run / CALIBRATION
    tuned = {name: found.tuning for name, found in result.patterns.items() if found.tuning}
    if not tuned:
        path.unlink(missing_ok=True)
        logger.warning("no modality pattern could be calibrated: %s is not written", CALIBRATION)
        return []
    models = [model for tuning in tuned.values() for model in tuning.match_models]
    models.sort(key=lambda model: model.image_weight)
    calibration = Calibration(
        curves={pattern: tuning.curve for pattern, tuning in tuned.items()},
        thresholds={pattern: tuning.match_threshold for pattern, tuning in tuned.items()},
        matches=MatchProbability(models=tuple(models), match_prior=match_prior),
    )
    write_atomically(path, calibration.to_json())
    return [path]
