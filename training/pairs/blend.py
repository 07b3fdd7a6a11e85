"""The kept scorer: boosting, cross-encoder or a blend of both, whichever validation prefers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_fscore_support,
)

from twinshelf.training.catalogues.product import Product
from twinshelf.training.checkpoint import RUN_FILES, TrainedEncoder, load_encoder
from twinshelf.training.files import atomic_write, write_json
from twinshelf.training.pairs.cosines import pair_cosines
from twinshelf.training.pairs.cross_encoder import CrossEncoder
from twinshelf.training.pairs.features import MAIN_IMAGE_COSINE, NO_COSINES, Cosines
from twinshelf.training.pairs.scorer import Floats, PairScorer, best_threshold

ENCODER = "encoder"
# Scores of the validation pairs, kept from before the trees learnt from them.
SCORES = "validation_scores.npz"
COSINE_FEATURES = frozenset({"image_cosine", "text_cosine", "fused_cosine", MAIN_IMAGE_COSINE})
NEURAL_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)


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
    y = np.asarray(labels, bool)
    found = precision_recall_fscore_support(
        y, probabilities >= threshold, average="binary", zero_division=0.0
    )
    return PairMetrics(
        precision=float(found[0]),
        recall=float(found[1]),
        f1=float(found[2]),
        pr_auc=float(average_precision_score(y, probabilities)),
        threshold=threshold,
        pair_count=len(y),
        match_count=int(y.sum()),
    )


def blend_probabilities(boosted: Floats, neural: Floats, neural_share: float) -> Floats:
    """Returns the probability whose log-odds are the weighted mean of both log-odds."""
    odds = logit(np.clip([boosted, neural], 1e-6, 1 - 1e-6))
    return np.asarray(expit((1 - neural_share) * odds[0] + neural_share * odds[1]))


def choose_neural_share(labels: npt.NDArray[np.bool_], boosted: Floats, neural: Floats) -> float:
    """Returns the share of the cross-encoder, 0 (boosting alone) to 1 (cross-encoder alone).

    Each share is evaluated by the F1 on one half of the pairs at the threshold of the other half,
    averaged over random halves; a lower share wins a tie.
    """

    def held_out_f1(probabilities: Floats) -> float:
        """Mean over seeded halves; those that lack a class do not count, 0 when none is left."""
        found = []
        for seed in range(20):
            half = np.random.default_rng(seed).random(len(labels)) < 0.5
            if len(np.unique(labels[half])) < 2 or len(np.unique(labels[~half])) < 2:
                continue
            threshold, _ = best_threshold(labels[half], probabilities[half])
            called = probabilities[~half] >= threshold
            found.append(float(f1_score(labels[~half], called, zero_division=0.0)))
        return float(np.mean(found)) if found else 0.0

    scores = {s: held_out_f1(blend_probabilities(boosted, neural, s)) for s in NEURAL_SHARES}
    return max(NEURAL_SHARES, key=lambda share: (round(scores[share], 4), -share))


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

    def save(self, folder: Path, metrics: dict[str, PairMetrics]) -> None:
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


def write_validation(folder: Path, labels: npt.NDArray[np.bool_], scores: Floats) -> None:
    """Writes labels and probabilities of the validation pairs, (P,) each, to a scorer's folder."""
    with atomic_write(folder / SCORES) as partial, partial.open("wb") as file:
        np.savez_compressed(file, labels=labels, scores=scores)


def read_validation(folder: Path) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Returns labels and probabilities, 0 to 1, of the validation pairs, (P,) each.

    Raises:
        FileNotFoundError: If the folder holds none.
    """
    path = folder / SCORES
    if not path.is_file():
        raise FileNotFoundError(f"no {SCORES} in {folder}: run training.pairs.train_pairs first")
    with np.load(path) as found:
        return found["labels"], found["scores"]
