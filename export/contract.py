"""The encoder contract: what readers of embeddings must know, stamped into the ensembles."""

from __future__ import annotations

import json
import logging
from typing import Any

from training.calibration import PATTERNS, Calibration, Curve
from training.checkpoint import TrainedEncoder

logger = logging.getLogger(__name__)

CONTRACT_VERSION = 1
# For a pattern without validation pairs: rises with the score, and claims no match at all.
UNFITTED_CURVE = Curve(scores=(-1.0, 1.0), probabilities=(0.0, 1.0))
UNFITTED_THRESHOLD = 1.0


def build_contract(
    encoder: TrainedEncoder, *, version: int, digest: str, max_batch_size: int
) -> dict[str, Any]:
    """Builds the contract of a published version.

    Args:
        encoder: The trained encoder.
        version: Version in the model repository, 1 or more.
        digest: "sha256:" and 64 hex digits, from `export.digest`.
        max_batch_size: Most rows that the models take at once.

    Returns:
        The contract as JSON values. A modality pattern that had no validation pairs has a straight
        line as its curve and 1 as its threshold.
    """
    model = encoder.model
    image_dim, text_dim = model.image_tower.embedding_dim, model.text_tower.embedding_dim
    calibration = encoder.calibration or Calibration(curves={}, thresholds={})
    if missing := [pattern for pattern in PATTERNS if pattern not in calibration.curves]:
        logger.warning("probabilities of %s are not calibrated", " and ".join(missing))
    curves = {pattern: calibration.curves.get(pattern, UNFITTED_CURVE) for pattern in PATTERNS}
    return {
        "contract_version": CONTRACT_VERSION,
        "encoder_version": version,
        "digest": digest,
        "image_dim": image_dim,
        "text_dim": text_dim,
        "embedding_dim": image_dim + text_dim,
        "fusion_weight": model.fusion.image_share(),
        "max_batch_size": max_batch_size,
        "preprocessing": json.loads(encoder.settings.to_json()),
        "calibration": {
            pattern: {"scores": list(curve.scores), "probabilities": list(curve.probabilities)}
            for pattern, curve in curves.items()
        },
        "thresholds": {
            pattern: calibration.thresholds.get(pattern, UNFITTED_THRESHOLD) for pattern in PATTERNS
        },
    }


def contract_to_json(contract: dict[str, Any]) -> str:
    """Returns the contract in the compact form that the ensembles hold; equal ones are equal."""
    return json.dumps(contract, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
