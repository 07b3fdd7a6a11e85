"""The gate of the pair scorer: a version answers its probe pairs as the trained scorer did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import numpy.typing as npt

from twinshelf.export.pair_scorer_repository import CLASSIFIER_MODEL, SCORER_MODEL
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.encoders.python_model import bytes_column
from twinshelf.training.pairs.features import cosine_count
from twinshelf.training.pairs.probes import PairProbe
from twinshelf.training.pairs.scorer import PairScorer

# Float32 sums of thousands of leaves against float64 ones; a pair on the wrong side of one split
# moves further.
PROBABILITY_TOLERANCE = 1e-5


class PairParityError(ValueError):
    """A published pair scorer that does not answer as the trained one does."""


def check_pair_parity(
    published: PublishedVersion, scorer: PairScorer, probes: Sequence[PairProbe]
) -> float:
    """Compares a version with the trained scorer, on probes and on rows of drawn features.

    Returns:
        The largest difference of two probabilities.

    Raises:
        PairParityError: If one differs by more than `PROBABILITY_TOLERANCE`, or there is no probe.
    """
    if not probes:
        raise PairParityError("there are no probe pairs to compare: train the scorer again")
    trained = np.array([probe.probability for probe in probes])
    cosines = np.array([astuple(probe.cosines) for probe in probes], np.float32)  # (P, 4)
    inputs = {
        "LEFT": bytes_column([probe.left.encode() for probe in probes]),
        "RIGHT": bytes_column([probe.right.encode() for probe in probes]),
        "COSINES": cosines[:, : cosine_count(scorer.feature_names)],
    }
    answers = published.run(SCORER_MODEL, inputs)["PROBABILITY"][:, 0]
    by_pairs = np.abs(answers - trained)
    if not (by_pairs <= PROBABILITY_TOLERANCE).all():  # NaN is no parity either
        worst = int(by_pairs.argmax())
        raise PairParityError(
            f"probe pair {worst + 1} scores {by_pairs[worst]:.1e} away from the trained scorer, "
            f"allowed are {PROBABILITY_TOLERANCE}"
        )
    rows = _drawn_features(len(scorer.feature_names))
    by_graph = published.models[CLASSIFIER_MODEL].run({"FEATURES": rows})["PROBABILITY"][:, 0]
    by_rows = np.abs(by_graph - scorer.score_features(rows))
    if not (by_rows <= PROBABILITY_TOLERANCE).all():
        raise PairParityError(
            f"the graph answers drawn features {by_rows.max():.1e} away from the trained trees, "
            f"allowed are {PROBABILITY_TOLERANCE}"
        )
    return float(max(by_pairs.max(), by_rows.max()))


def _drawn_features(width: int) -> npt.NDArray[np.float32]:
    """Rows of shares and counts with gaps, and one of nothing but gaps."""
    generator = np.random.default_rng(0)
    rows = generator.random((64, width)).astype(np.float32)  # (64, F)
    rows[32:] = np.round(rows[32:] * 12)
    rows[generator.random(rows.shape) < 0.2] = np.nan
    rows[0] = np.nan
    return rows
