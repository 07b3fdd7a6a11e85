"""The pair scorer: gradient boosting over pair features, its threshold and its explanations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import joblib
import numpy as np
import numpy.typing as npt
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.metrics import precision_recall_curve

from twinshelf.training.files import reading, write_json
from twinshelf.training.pairs.features import NO_COSINES, Cosines, feature_matrix
from twinshelf.training.pairs.records import PairRecord
from twinshelf.training.pairs.statistics import TokenStatistics

Floats = npt.NDArray[np.float64]
# Of fewer pairs a process is started for nothing.
_PAIRS_OF_A_PROCESS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one feature does to one score.

    Attributes:
        feature: Its name.
        value: Its value; NaN when a side says nothing.
        log_odds: Change of the log-odds when the feature is known instead of missing; above zero
            speaks for a match.
    """

    feature: str
    value: float
    log_odds: float


def best_threshold(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[float, float]:
    """Returns the threshold of the highest F1 and that F1.

    The threshold lies half-way to the next lower probability, so that it does not hang on one row.
    The labels must be of both classes.
    """
    precision, recall, thresholds = precision_recall_curve(labels, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1[:-1].argmax())
    below = thresholds[best - 1] if best else 0.0
    return float((thresholds[best] + below) / 2), float(f1[best])


def describe_pairs(
    pairs: Sequence[tuple[PairRecord, PairRecord]],
    statistics: TokenStatistics,
    cosines: Sequence[Cosines] | None = None,
) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Does what `feature_matrix` does, of many pairs by all cores."""
    process_count = min(joblib.cpu_count(), len(pairs) // _PAIRS_OF_A_PROCESS)
    if process_count < 2:
        return feature_matrix(pairs, statistics, cosines)
    bounds = np.linspace(0, len(pairs), process_count + 1).astype(int).tolist()
    described = joblib.Parallel(n_jobs=process_count)(
        joblib.delayed(feature_matrix)(
            pairs[first:end], statistics, None if cosines is None else cosines[first:end]
        )
        for first, end in pairwise(bounds)
    )
    return described[0][0], np.concatenate([features for _, features in described])


def untrained_model(
    *,
    member_count: int = 5,
    tree_count: int = 500,
    learning_rate: float = 0.03,
    feature_share: float = 0.25,
    seed: int = 42,
) -> VotingClassifier:
    """Returns the gradient boosting that a scorer is fitted with.

    Args:
        member_count: Boosted models whose probabilities are averaged, each with its own seed.
        tree_count: Trees of one model.
        learning_rate: Shrinkage of each tree, above 0 and at most 1.
        feature_share: Share of the features that a split looks at, above 0 and at most 1.
        seed: Seed of the first model.
    """
    members = [
        (
            f"boosting{i}",
            HistGradientBoostingClassifier(
                max_iter=tree_count,
                learning_rate=learning_rate,
                max_leaf_nodes=12,
                max_features=feature_share,
                l2_regularization=5.0,
                min_samples_leaf=15,
                early_stopping=False,
                random_state=seed + i,
            ),
        )
        for i in range(member_count)
    ]
    # The flat form of `transform`, which nobody calls, cannot be converted to ONNX.
    return VotingClassifier(members, voting="soft", flatten_transform=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairScorer:
    """Probability that two records are the same product.

    Attributes:
        model: Fitted classifier with `predict_proba`.
        statistics: Token statistics that its features were computed with.
        feature_names: Columns that the model reads, in order.
        threshold: Probability from which on a pair counts as a match, 0 to 1.
    """

    model: VotingClassifier
    statistics: TokenStatistics
    feature_names: tuple[str, ...]
    threshold: float = 0.5

    @classmethod
    def fit(
        cls,
        features: npt.NDArray[np.float32],
        labels: npt.NDArray[np.bool_],
        feature_names: Sequence[str],
        statistics: TokenStatistics,
        model: VotingClassifier | None = None,
    ) -> Self:
        """Fits the model; the threshold stays at one half until validation sets it.

        Args:
            features: (pairs, features) matrix, NaN where unknown.
            labels: (pairs,) whether each is a match; both classes must be there.
            feature_names: Names of the columns.
            statistics: What the features were computed with.
            model: What is fitted; default: `untrained_model()`.
        """
        # A column that is never known cannot be binned.
        known = np.flatnonzero(~np.isnan(features).all(axis=0)).tolist()
        model = (model or untrained_model()).fit(features[:, known], labels)
        names = tuple(feature_names[column] for column in known)
        return cls(model=model, statistics=statistics, feature_names=names)

    def score_features(self, features: npt.NDArray[np.float32]) -> Floats:
        """Returns probabilities, 0 to 1, of (pairs, features) rows in the order of the names."""
        return np.asarray(self.model.predict_proba(features)[:, 1])

    def score(
        self,
        pairs: Sequence[tuple[PairRecord, PairRecord]],
        cosines: Sequence[Cosines] | None = None,
    ) -> Floats:
        """Returns the probability, 0 to 1, that each pair is the same product."""
        return self.score_features(self.select(*describe_pairs(pairs, self.statistics, cosines)))

    def select(
        self, names: Sequence[str], features: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Returns the columns that the model reads."""
        return features[:, [list(names).index(name) for name in self.feature_names]]

    def explain(
        self, left: PairRecord, right: PairRecord, cosines: Cosines = NO_COSINES
    ) -> list[Contribution]:
        """Returns what each feature did to the score of a pair, the strongest first.

        Each feature is taken away (made missing, which the trees know) while the others stay.
        """
        row = self.select(*feature_matrix([(left, right)], self.statistics, [cosines]))  # (1, F)
        without = np.repeat(row, len(self.feature_names), axis=0)  # (F, F)
        np.fill_diagonal(without, np.nan)
        probabilities = self.score_features(np.vstack([row, without]))
        log_odds = logit(np.clip(probabilities, 1e-7, 1 - 1e-7))  # (1 + F,)
        contributions = [
            Contribution(feature=name, value=float(value), log_odds=float(log_odds[0] - rest))
            for name, value, rest in zip(self.feature_names, row[0], log_odds[1:], strict=True)
        ]
        return sorted(contributions, key=lambda c: -abs(c.log_odds))

    def save(self, folder: Path) -> None:
        """Writes the scorer to a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        joblib.dump(self.model, folder / "boosting.joblib", compress=3)
        self.statistics.save(folder / "statistics.npz")
        settings = {"feature_names": self.feature_names, "threshold": self.threshold}
        write_json(folder / "pair_scorer.json", settings)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote; only from folders you trust, as joblib files can run code.

        Raises:
            FileNotFoundError: If the folder holds no pair scorer.
            ValueError: If one of its files is damaged.
        """
        with reading(folder / "pair_scorer.json") as path:
            settings = json.loads(path.read_text())
            names, threshold = tuple(settings["feature_names"]), float(settings["threshold"])
        with reading(folder / "boosting.joblib") as path:
            model = joblib.load(path)
        with reading(folder / "statistics.npz") as path:
            statistics = TokenStatistics.load(path)
        return cls(model=model, statistics=statistics, feature_names=names, threshold=threshold)
