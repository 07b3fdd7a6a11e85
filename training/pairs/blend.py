"""The kept scorer: boosting, cross-encoder or a blend of both, whichever validation prefers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.model_selection import RepeatedStratifiedKFold

from twinshelf.training.catalogues.product import Product
from twinshelf.training.checkpoint import RUN_FILES, TrainedEncoder, load_encoder
from twinshelf.training.evaluation.intervals import CONFIDENCE, SEED, Estimate
from twinshelf.training.files import write_json
from twinshelf.training.pairs.cosines import pair_cosines
from twinshelf.training.pairs.cross_encoder import CrossEncoder
from twinshelf.training.pairs.features import MAIN_IMAGE_COSINE, NO_COSINES, Cosines
from twinshelf.training.pairs.scorer import Floats, PairScorer, best_threshold
from twinshelf.training.retrieval.scored_pairs import (
    Bools,
    ScoredPairs,
    average_precision_of_pairs,
    quality_at,
)

ENCODER = "encoder"
COSINE_FEATURES = frozenset({"image_cosine", "text_cosine", "fused_cosine", MAIN_IMAGE_COSINE})
NEURAL_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)
HALVING_COUNT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMetrics:
    """How well pairs are told apart.

    Attributes:
        precision: Share of the pairs called matches that are matches.
        recall: Share of the matches that were called so.
        f1: Harmonic mean of both.
        pr_auc: Average precision over all thresholds.
        threshold: Probability from which on a pair was called a match.
        pair_count: Pairs measured.
        match_count: Matches among them.
    """

    precision: float
    recall: float
    f1: float
    pr_auc: float
    threshold: float
    pair_count: int
    match_count: int


def measure_pairs(labels: npt.ArrayLike, probabilities: Floats, threshold: float) -> PairMetrics:
    """Returns the metrics of scored pairs, of both classes, at a threshold."""
    pairs = ScoredPairs(scores=probabilities, is_match=np.asarray(labels, bool))
    return PairMetrics(
        **asdict(quality_at(pairs, threshold)),
        pr_auc=average_precision_of_pairs(pairs),
        pair_count=len(probabilities),
        match_count=pairs.match_count,
    )


def try_on_halves(
    labels: Bools, scores: Floats, choose: Callable[[Bools, Floats], float]
) -> dict[str, Estimate]:
    """Chooses a threshold on each half of the pairs and tries it on the other, for random halves.

    A half varies about the whole as the whole does about all pairs that there could be.

    Args:
        labels: Whether a pair is a match, bool (P,).
        scores: Probability of a match, 0 to 1 (P,).
        choose: Returns the threshold of some pairs.

    Returns:
        "threshold" and "F1", mean and interval of 95 %; 0 without two pairs of each class.
    """
    found = []
    halves = RepeatedStratifiedKFold(n_splits=2, n_repeats=HALVING_COUNT, random_state=SEED)
    if min(labels.sum(), (~labels).sum()) > 1:
        for half, other in halves.split(scores, labels):
            threshold = choose(labels[half], scores[half])
            tried = ScoredPairs(scores=scores[other], is_match=labels[other])
            found.append((threshold, quality_at(tried, threshold).f1))
    values = np.array(found or [(0.0, 0.0)])  # (H, 2)
    ends = np.percentile(values, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)], axis=0)
    columns = np.stack([values.mean(axis=0), *ends]).T.tolist()
    return {
        name: Estimate(value=value, low=low, high=high)
        for name, (value, low, high) in zip(("threshold", "F1"), columns, strict=True)
    }


def blend_probabilities(boosted: Floats, neural: Floats, neural_share: float) -> Floats:
    """Returns the probability whose log-odds are the weighted mean of both log-odds."""
    odds = logit(np.clip([boosted, neural], 1e-6, 1 - 1e-6))
    return np.asarray(expit((1 - neural_share) * odds[0] + neural_share * odds[1]))


def choose_neural_share(labels: Bools, boosted: Floats, neural: Floats) -> float:
    """Returns the share of the cross-encoder, 0 (boosting alone) to 1 (cross-encoder alone).

    Each share is evaluated by the F1 on one half of the pairs at the threshold of the other half,
    averaged over random halves; a lower share wins a tie.
    """

    def held_out_f1(share: float) -> float:
        """At the best threshold of each half."""
        probabilities = blend_probabilities(boosted, neural, share)
        tried = try_on_halves(labels, probabilities, lambda *half: best_threshold(*half)[0])
        return tried["F1"].value

    return max(NEURAL_SHARES, key=lambda share: (round(held_out_f1(share), 4), -share))


def keep_encoder(run: Path, folder: Path) -> None:
    """Copies an encoder's run into a scorer's folder; a later training there changes nothing here.

    Raises:
        FileNotFoundError: If the run lacks a file.
    """
    target = folder / ENCODER
    if run.resolve() == target.resolve():
        return
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in RUN_FILES:
        shutil.copyfile(run / name, target / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlendedScorer:
    """Probability of a match by trees over features, by the cross-encoder, or by both.

    Attributes:
        boosting: The scorer over features.
        cross_encoder: The neural one; may be absent when its share is 0.
        neural_share: Weight of the cross-encoder in the log-odds, 0 to 1.
        threshold: Probability from which on a pair counts as a match.
        encoder: Gives the cosines among the features; without one they are what comes with the
            pairs, or unknown.
    """

    boosting: PairScorer
    cross_encoder: CrossEncoder | None
    neural_share: float
    threshold: float
    encoder: TrainedEncoder | None = None

    @property
    def needs_vectors(self) -> bool:
        """Whether it was trained with the cosines of precomputed vectors."""
        return self.encoder is None and not COSINE_FEATURES.isdisjoint(self.boosting.feature_names)

    def cosines(
        self,
        pairs: Sequence[tuple[Product, Product]],
        precomputed: Sequence[Cosines] | None = None,
    ) -> list[Cosines]:
        """Returns the cosines of each pair: the encoder's, else the precomputed ones, else NaN."""
        if self.encoder is not None:
            return pair_cosines(self.encoder, pairs)
        return [NO_COSINES] * len(pairs) if precomputed is None else list(precomputed)

    def score(
        self,
        pairs: Sequence[tuple[Product, Product]],
        precomputed: Sequence[Cosines] | None = None,
    ) -> Floats:
        """Returns the probability, 0 to 1, that each pair is the same product."""
        boosted = self.boosting.score(pairs, self.cosines(pairs, precomputed))
        if self.cross_encoder is None or self.neural_share == 0:
            return boosted
        return blend_probabilities(boosted, self.cross_encoder.score(pairs), self.neural_share)

    def save(
        self, folder: Path, metrics: dict[str, PairMetrics], carried: Mapping[str, Estimate]
    ) -> None:
        """Writes the scorer and what was measured of its variants to a folder.

        A cross-encoder that has no share is left out; the encoder is kept by `keep_encoder`.
        Evaluations of an older scorer, which no longer hold, are removed.
        """
        for evaluation in folder.glob("evaluation-*.json"):
            evaluation.unlink()
        self.boosting.save(folder)
        if self.cross_encoder is not None and self.neural_share > 0:
            self.cross_encoder.save(folder)
        document = {
            "neural_share": self.neural_share,
            "has_encoder": self.encoder is not None,
            "threshold": self.threshold,
            "validation": {name: asdict(m) for name, m in metrics.items()},
            "carried": {name: asdict(each) for name, each in carried.items()},
        }
        write_json(folder / "pairs.json", document)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: If the folder holds no scorer.
        """
        settings = json.loads((folder / "pairs.json").read_text())
        share = settings["neural_share"]
        return cls(
            boosting=PairScorer.load(folder),
            cross_encoder=CrossEncoder.load(folder) if share > 0 else None,
            neural_share=share,
            threshold=settings["threshold"],
            encoder=load_encoder(folder / ENCODER) if settings["has_encoder"] else None,
        )
