"""The encoder contract: what readers of embeddings must know, stamped into the ensembles."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from twinshelf.export.precision import Precision
from twinshelf.training.categories.category_results import PRECISIONS, Choice
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.match_probability import MatchModel, MatchProbability
from twinshelf.training.retrieval.match_probability_fit import NO_THRESHOLDS

logger = logging.getLogger(__name__)

CONTRACT_VERSION = 3


def build_contract(
    encoder: TrainedEncoder,
    *,
    version: int,
    digest: str,
    max_batch_size: int,
    precision: Precision,
    category_votes: Mapping[str, Choice],
) -> dict[str, Any]:
    """Builds the contract of a published version.

    Args:
        encoder: The trained encoder.
        version: Version in the model repository, 1 or more.
        digest: "sha256:" and 64 hex digits, from `export.manifest`.
        max_batch_size: Most rows that the models take at once.
        precision: Number format of the towers.
        category_votes: What was chosen for votes for a category, by modality pattern; empty where
            `make categories` did not run.

    Returns:
        The contract as JSON values. At a weight of the photo for which no probabilities were fitted
        they rise with the score, and no match is claimed.
    """
    model = encoder.model
    image_dim, text_dim = model.image_tower.embedding_dim, model.text_tower.embedding_dim
    return {
        "contract_version": CONTRACT_VERSION,
        "encoder_version": version,
        "digest": digest,
        "image_dim": image_dim,
        "text_dim": text_dim,
        "embedding_dim": image_dim + text_dim,
        "fusion_weight": model.fusion.plain_weight(),
        "max_batch_size": max_batch_size,
        "precision": precision,
        "preprocessing": json.loads(encoder.settings.to_json()),
        "match_probability": _match_probability(encoder).to_values(),
        "pair_curves": _pair_curves(encoder),
        "category_curves": {name: _category_curve(each) for name, each in category_votes.items()},
    }


def _pair_curves(encoder: TrainedEncoder) -> dict[str, Any]:
    """Returns what the score of two products means, by pattern; `make group` groups by the same."""
    calibration = encoder.calibration
    if calibration is None:
        return {}
    return {
        pattern: {
            "scores": list(curve.scores),
            "probabilities": list(curve.probabilities),
            "threshold": calibration.thresholds[pattern],
        }
        for pattern, curve in calibration.curves.items()
    }


def _category_curve(choice: Choice) -> dict[str, Any]:
    return {
        "neighbour_count": choice.neighbour_count,
        "margins": list(choice.curve.scores),
        "probabilities": list(choice.curve.probabilities),
        "targets": list(PRECISIONS),
        "thresholds": list(choice.thresholds),
    }


def _match_probability(encoder: TrainedEncoder) -> MatchProbability:
    """Returns what was fitted, with a model for each modality pattern that was not."""
    fitted = encoder.calibration and encoder.calibration.matches
    models = {model.image_weight: model for model in fitted.models} if fitted else {}
    weights = pattern_weights(encoder.model.fusion.plain_weight())
    missing = {name: each for name, each in weights.items() if each not in models}
    if missing:
        logger.warning("probabilities of %s are not calibrated", " and ".join(missing))
    models |= {weight: _unfitted_model(weight) for weight in missing.values()}
    return MatchProbability(
        models=tuple(models[weight] for weight in sorted(models)),
        match_prior=fitted.match_prior if fitted else 0.5,
    )


def _unfitted_model(image_weight: float) -> MatchModel:
    return MatchModel(
        image_weight=image_weight,
        steepness=1.0,
        even_score=1.0,
        sharpness=1.0,
        rivalry=1.0,
        thresholds=NO_THRESHOLDS,
    )


def contract_to_json(contract: dict[str, Any]) -> str:
    """Returns the contract in the compact form that the ensembles hold; equal ones are equal."""
    return json.dumps(contract, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
