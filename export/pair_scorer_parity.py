"""The gate of the pair scorer: a version answers its probe pairs as the trained scorer did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from export.pair_scorer_repository import (
    CLASSIFIER_MODEL,
    FEATURE_NAMES,
    FEATURES_MODEL,
    GRAPH,
    STATISTICS,
    VENDORED,
)
from export.repository import version_folder
from export.vendored import VendoredPackage
from training.pairs.probes import PairProbe
from training.pairs.scorer import PairScorer

# Float32 sums of thousands of leaves against float64 ones; a pair on the wrong side of one split
# moves further.
PROBABILITY_TOLERANCE = 1e-5


class PairParityError(ValueError):
    """A published pair scorer that does not answer as the trained one does."""


class PublishedPairScorer:
    """A version of the pair scorer run in this process on the very files of Triton."""

    def __init__(self, repository: Path, version: int) -> None:
        """Loads the version.

        Args:
            repository: Model repository.
            version: A version that is there.

        Raises:
            OSError: If a file of the version is missing.
        """
        folder = version_folder(repository, FEATURES_MODEL, version)
        self._names = json.loads((folder / FEATURE_NAMES).read_text("utf-8"))
        package = VendoredPackage(folder / VENDORED)
        self._features = package.module("features")
        self._records = package.module("records")
        statistics = package.module("statistics").TokenStatistics
        self._statistics = statistics.load(folder / STATISTICS)
        graph = version_folder(repository, CLASSIFIER_MODEL, version) / GRAPH
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def score(self, probes: Sequence[PairProbe]) -> npt.NDArray[np.float32]:
        """Returns the probability, 0 to 1, that each pair is the same product."""
        read = self._records.record_from_json
        names, features = self._features.feature_matrix(
            [(read(probe.left), read(probe.right)) for probe in probes],
            self._statistics,
            [probe.cosines for probe in probes],
        )
        columns = [names.index(name) for name in self._names]
        return self.classify(features[:, columns])

    def classify(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Returns the probabilities of rows of features (B, F)."""
        (answer,) = self._session.run(["PROBABILITY"], {"FEATURES": features})
        return answer[:, 0]


def check_pair_parity(
    published: PublishedPairScorer, scorer: PairScorer, probes: Sequence[PairProbe]
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
    by_pairs = np.abs(published.score(probes) - trained)
    if not (by_pairs <= PROBABILITY_TOLERANCE).all():  # NaN is no parity either
        worst = int(by_pairs.argmax())
        raise PairParityError(
            f"probe pair {worst + 1} scores {by_pairs[worst]:.1e} away from the trained scorer, "
            f"allowed are {PROBABILITY_TOLERANCE}"
        )
    rows = _drawn_features(len(scorer.feature_names))
    by_rows = np.abs(published.classify(rows) - scorer.score_features(rows))
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
