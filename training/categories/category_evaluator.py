"""Tunes and evaluates both methods, per modality pattern, on different queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from twinshelf.training.catalogues.splits import split_halves
from twinshelf.training.categories.category_config import CategoryConfig, LabelField
from twinshelf.training.categories.category_labels import UNSEEN, Labels, Predictions, labels_of
from twinshelf.training.categories.category_results import Choice, LabelQuality, MethodResult
from twinshelf.training.categories.knn import MOST_NEIGHBOURS, score_neighbour_counts, vote
from twinshelf.training.categories.mlp import Floats, predict, train_head
from twinshelf.training.evaluation.category_vote import Floats as Doubles
from twinshelf.training.evaluation.category_vote import Ints, weighted_f1
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.intervals import estimate_means
from twinshelf.training.evaluation.reliability import measure_coverage, measure_reliability
from twinshelf.training.retrieval.calibration import Curve
from twinshelf.training.retrieval.calibration_fit import fit_curve
from twinshelf.training.retrieval.exact_search import Candidates, retrieve
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.match_probability import NEVER
from twinshelf.training.retrieval.match_probability_fit import least_probabilities
from twinshelf.training.retrieval.metrics import rows_of_same_product
from twinshelf.training.retrieval.scored_pairs import Bools, ScoredPairs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TunedMethods:
    """What was chosen for one modality pattern, to be used again.

    Attributes:
        choices: Method, "knn" or "mlp", to what was chosen for it.
        head: The network; None where every product is one of the queries.
    """

    choices: Mapping[str, Choice]
    head: nn.Sequential | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledGallery:
    """Products of known label, which both methods predict from by one modality pattern.

    Attributes:
        products: Those that have a modality of the pattern (G).
        numbers: Their label numbers, int64 (G,).
        pattern: The pattern; only queries that have its modalities are predicted.
        image_weight: Weight of the image in the score, 0 to 1.
        labels: The labels.
        config: How it is done.
    """

    products: EmbeddedProducts
    numbers: Ints
    pattern: str
    image_weight: float
    labels: Labels
    config: CategoryConfig

    @classmethod
    def of(
        cls,
        products: EmbeddedProducts,
        pattern: str,
        *,
        labels: Labels,
        config: CategoryConfig,
        fusion_weight: float,
    ) -> LabelledGallery:
        """Leaves out the products that have no modality with a weight.

        The image weighs as much as `pattern_weights` says.
        """
        image_weight = pattern_weights(fusion_weight)[pattern]
        wanted = np.array([image_weight > 0, image_weight < 1])
        usable = products.rows((products.embeddings.presence & wanted).any(axis=1))
        return cls(
            products=usable,
            numbers=labels.numbers(labels_of(usable, config.label)),
            pattern=pattern,
            image_weight=image_weight,
            labels=labels,
            config=config,
        )

    def tune(self, queries: EmbeddedProducts, reported: EmbeddedProducts) -> TunedMethods:
        """Tunes both methods; the queries choose K, the network's epoch and the margins.

        The network learns from no product that is a query, as none is its own neighbour.

        Args:
            queries: Those that tune.
            reported: Those that will be reported.

        Raises:
            ValueError: If no query has the pattern.
        """
        queries = self._with_pattern("tuning", queries)
        actual, near = self._truth(queries), self._neighbours(queries)
        f1_by_k = score_neighbour_counts(near, self.numbers, actual)
        best = max(f1_by_k, key=lambda k: (round(f1_by_k[k], 9), -k))
        voted = vote(near, self.numbers, best)
        choices = {"knn": self._choose(actual, voted, neighbour_count=best, f1_by_k=f1_by_k)}
        asked = {*queries.product_ids, *reported.product_ids}
        is_learnt = np.array([each not in asked for each in self.products.product_ids])
        if not is_learnt.any():
            return TunedMethods(choices=choices, head=None)
        head = train_head(
            self._inputs(self.products)[is_learnt],
            self.numbers[is_learnt],
            self._inputs(queries),
            actual,
            label_count=len(self.labels.names),
        )
        computed = predict(head, self._inputs(queries))
        choices["mlp"] = self._choose(actual, computed, neighbour_count=None, f1_by_k={})
        return TunedMethods(choices=choices, head=head)

    def predict(self, method: str, queries: EmbeddedProducts, tuned: TunedMethods) -> Predictions:
        """Predicts by one method, "knn" or "mlp".

        Raises:
            ValueError: If the network takes inputs of another size.
        """
        if method == "mlp" and tuned.head is not None:
            return predict(tuned.head, self._inputs(queries))
        neighbour_count = tuned.choices[method].neighbour_count or 1
        return vote(self._neighbours(queries), self.numbers, neighbour_count)

    def evaluate(self, queries: EmbeddedProducts, tuned: TunedMethods) -> dict[str, MethodResult]:
        """Evaluates each method on queries that tuned nothing.

        Raises:
            ValueError: If no query has the pattern.
        """
        queries = self._with_pattern("reported", queries)
        actual, clusters = self._truth(queries), clusters_of(queries, self.config.label)
        results = {}
        for method, choice in tuned.choices.items():
            made = self.predict(method, queries, tuned)
            reported = _quality(actual, made, choice, clusters, self.config.target_accuracy)
            results[method] = MethodResult(choice=choice, reported=reported)
        return results

    def _neighbours(self, queries: EmbeddedProducts) -> Candidates:
        """Returns the nearest products of each query, as many as margins need; never itself."""
        return retrieve(
            queries.embeddings,
            self.products.embeddings,
            image_weight=self.image_weight,
            k=MOST_NEIGHBOURS,
            excluded=rows_of_same_product(queries.product_ids, self.products.product_ids),
            device=self.config.device,
        ).candidates

    def _inputs(self, products: EmbeddedProducts) -> Floats:
        return products.embeddings.fused(self.image_weight)

    def _truth(self, queries: EmbeddedProducts) -> Ints:
        return self.labels.numbers(labels_of(queries, self.config.label), missing=UNSEEN)

    def _with_pattern(self, name: str, queries: EmbeddedProducts) -> EmbeddedProducts:
        found = queries.rows(queries.with_pattern(self.pattern))
        if not len(found):
            raise ValueError(f"no {name} query of known label has what {self.pattern!r} needs")
        return found

    def _choose(
        self,
        actual: Ints,
        made: Predictions,
        *,
        neighbour_count: int | None,
        f1_by_k: Mapping[int, float],
    ) -> Choice:
        is_right = made.numbers == actual
        curve = fit_probability(made, is_right)
        return Choice(
            neighbour_count=neighbour_count,
            curve=curve,
            thresholds=(*least_probabilities(label_probabilities(made, curve), is_right), NEVER),
            tuned_f1=weighted_f1(actual, made.numbers),
            f1_by_k=f1_by_k,
        )


def fit_probability(predictions: Predictions, is_right: Bools) -> Curve:
    """Fits the probability that a label is right, bool (Q,), to its margin."""
    if is_right.all() or not is_right.any():  # Laplace's rule: certainty is not shown by examples
        share = (int(is_right.sum()) + 1) / (len(is_right) + 2)
        return Curve(scores=(0.0,), probabilities=(share,))
    return fit_curve(ScoredPairs(scores=predictions.margins, is_match=is_right))


def label_probabilities(predictions: Predictions, curve: Curve) -> Doubles:
    """Returns the probability that each label is right, 0 without a label (Q,)."""
    return np.where(predictions.numbers >= 0, curve.probability(predictions.margins), 0.0)


def split_queries(queries: EmbeddedProducts, label: LabelField, seed: int) -> npt.NDArray[np.bool_]:
    """Draws the queries that tune, bool (Q,); the others, of other clusters, are reported."""
    return split_halves(clusters_of(queries, label), seed)


def clusters_of(queries: EmbeddedProducts, label: LabelField) -> Sequence[str]:
    """Returns what each offer belongs to: offers of one group are right and wrong together.

    Each is by itself where the group is what is predicted, or as the category that it stands for:
    then both halves must show the same labels.
    """
    labels = labels_of(queries, label)
    grouped = {pair for pair in zip(queries.groups, labels, strict=True) if pair[0]}
    groups, predicted = (set(each) for each in zip(*grouped, strict=True)) if grouped else ((), ())
    if len(grouped) == len(groups) == len(predicted):
        return queries.product_ids
    return queries.clusters


def _quality(
    actual: Ints, made: Predictions, choice: Choice, clusters: Sequence[str], target: float
) -> LabelQuality:
    is_right = made.numbers == actual
    probabilities = label_probabilities(made, choice.curve)
    return LabelQuality(
        query_count=len(actual),
        unseen_count=int((actual == UNSEEN).sum()),
        weighted_f1=weighted_f1(actual, made.numbers),
        accuracy=estimate_means({"": is_right.astype(np.float64)}, clusters)[""],
        answered=measure_coverage(
            probabilities, is_right, probabilities >= choice.threshold(target), target
        ),
        calibration_error=measure_reliability(probabilities, is_right, clusters).error,
    )
