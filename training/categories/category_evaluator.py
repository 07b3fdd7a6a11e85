"""Tunes and evaluates both methods, per modality pattern, on different queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinshelf.training.catalogues.splits import split_halves
from twinshelf.training.categories.abstention import evaluate_margin, fit_margin, fit_probability
from twinshelf.training.categories.category_config import (
    MOST_NEIGHBOURS,
    CategoryConfig,
    LabelField,
)
from twinshelf.training.categories.category_labels import (
    Labels,
    Predictions,
    labels_of,
    right_rows,
    score_predictions,
)
from twinshelf.training.categories.category_results import Choice, LabelQuality, MethodResult
from twinshelf.training.categories.knn import tune_neighbour_count, vote
from twinshelf.training.categories.mlp import LabelHead, LabelledRows, predict, train_head
from twinshelf.training.evaluation.category_vote import Ints
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts
from twinshelf.training.evaluation.intervals import estimate_means
from twinshelf.training.evaluation.reliability import measure_reliability
from twinshelf.training.retrieval.embeddings import ModalityWeights
from twinshelf.training.retrieval.exact_search import Candidates, find_candidates
from twinshelf.training.retrieval.fusion_weight import pattern_weights
from twinshelf.training.retrieval.metrics import rows_of_same_product


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledGallery:
    """Products of known label, which both methods predict from by one modality pattern.

    Attributes:
        products: Those that have a modality of the pattern (G).
        numbers: Their label numbers, int64 (G,).
        weights: Weights of the modalities.
        labels: The labels.
        config: How it is done.
    """

    products: EmbeddedProducts
    numbers: Ints
    weights: ModalityWeights
    labels: Labels
    config: CategoryConfig

    @classmethod
    def of(
        cls,
        products: EmbeddedProducts,
        weights: ModalityWeights,
        labels: Labels,
        config: CategoryConfig,
    ) -> LabelledGallery:
        """Leaves out the products that have no modality with a weight."""
        wanted = np.array([weights.image > 0, weights.text > 0])
        usable = products.rows((products.embeddings.presence & wanted).any(axis=1))
        numbers = labels.numbers(labels_of(usable, config.label))
        return cls(products=usable, numbers=numbers, weights=weights, labels=labels, config=config)

    def neighbours(self, queries: EmbeddedProducts, k: int) -> Candidates:
        """Returns the k nearest products of each query, never the query itself."""
        return find_candidates(
            queries.embeddings,
            self.products.embeddings,
            weights=self.weights,
            k=k,
            excluded=rows_of_same_product(queries.product_ids, self.products.product_ids),
            device=self.config.device,
        )

    def voted(self, queries: EmbeddedProducts, k: int) -> Predictions:
        """Lets k neighbours vote; more are looked up, as margins need `MOST_NEIGHBOURS`."""
        return vote(self.neighbours(queries, max(k, MOST_NEIGHBOURS)), self.numbers, k)

    def computed(self, head: LabelHead, queries: EmbeddedProducts) -> Predictions:
        """Asks the network; ValueError when its inputs are of another size."""
        inputs = queries.embeddings.fused(self.weights)
        if inputs.shape[1] != head.hidden.in_features:
            raise ValueError(
                f"the network takes {head.hidden.in_features} numbers, not {inputs.shape[1]}: "
                "it was trained for another encoder"
            )
        return predict(head, inputs)

    def learn(self, tuning: EmbeddedProducts) -> LabelHead:
        """Trains the network; the tuning queries choose its epoch."""
        gallery, queries = (
            LabelledRows(inputs=products.embeddings.fused(self.weights), numbers=numbers)
            for products, numbers in (
                (self.products, self.numbers),
                (tuning, self.labels.numbers(labels_of(tuning, self.config.label))),
            )
        )
        return train_head(
            gallery,
            queries,
            label_count=len(self.labels.names),
            config=self.config.mlp,
            seed=self.config.seed,
        )

    def quality(
        self, queries: EmbeddedProducts, predictions: Predictions, choice: Choice
    ) -> LabelQuality:
        """Compares predictions with the labels of the queries."""
        actual = labels_of(queries, self.config.label)
        is_right = right_rows(actual, predictions, self.labels)
        each, seed = [str(row) for row in range(len(actual))], self.config.seed
        accuracy = estimate_means({"accuracy": is_right.astype(np.float64)}, each, seed=seed)
        probabilities = choice.curve.probability(predictions.margins)
        return LabelQuality(
            query_count=len(actual),
            unseen_count=int((self.labels.numbers(actual) < 0).sum()),
            weighted_f1=score_predictions(actual, predictions, self.labels),
            accuracy=accuracy["accuracy"],
            abstention=evaluate_margin(predictions, is_right, choice.margin),
            calibration_error=measure_reliability(probabilities, is_right, each, seed=seed).error,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluatedPattern:
    """What one modality pattern came to.

    Attributes:
        results: Method to result.
        head: The network, to be saved.
        gallery: What was predicted from.
    """

    results: Mapping[str, MethodResult]
    head: LabelHead
    gallery: LabelledGallery

    def predict(self, queries: EmbeddedProducts) -> Predictions:
        """Predicts by the method of the higher weighted F1 on the reported queries."""
        voted, computed = self.results["knn"], self.results["mlp"]
        if computed.reported.weighted_f1 > voted.reported.weighted_f1:
            return self.gallery.computed(self.head, queries)
        return self.gallery.voted(queries, voted.neighbour_count or 1)


def split_queries(queries: EmbeddedProducts, label: LabelField, seed: int) -> npt.NDArray[np.bool_]:
    """Draws the queries that tune, bool (Q,); the others are reported.

    Offers of one group stay together, unless the group is what is predicted, by itself or as the
    category that it is named after: then both halves must show the same labels.
    """
    clusters = [
        f"product {product_id}" if group in ("", predicted) else f"group {group}"
        for group, predicted, product_id in zip(
            queries.groups, labels_of(queries, label), queries.product_ids, strict=True
        )
    ]
    return split_halves(clusters, seed)


def evaluate_pattern(
    pattern: str,
    tuning: EmbeddedProducts | None,
    reported: EmbeddedProducts,
    gallery: EmbeddedProducts,
    *,
    labels: Labels,
    config: CategoryConfig,
    fusion_weight: float,
    chosen: Mapping[str, Choice] | None = None,
    head: LabelHead | None = None,
) -> EvaluatedPattern:
    """Tunes both methods on some queries and evaluates them on others.

    Args:
        pattern: Modality pattern; only queries that have its modalities are used.
        tuning: Queries of known label that tune; None takes what was chosen before.
        reported: Queries of known label that are evaluated.
        gallery: Products of known label.
        labels: The labels.
        config: How it is done.
        fusion_weight: w, the share of the image in "both", 0 to 1.
        chosen: Method to what was chosen before; needed without `tuning`.
        head: The network trained before; needed without `tuning`.

    Raises:
        ValueError: If no query has the pattern, or nothing tunes and nothing was chosen.
    """
    reported = _with_pattern("reported", reported, pattern)
    rows = LabelledGallery.of(gallery, pattern_weights(fusion_weight)[pattern], labels, config)
    tuned = None
    if tuning is not None:
        tuned = _tune(rows, _with_pattern("tuning", tuning, pattern))
        chosen, head = tuned.choices, tuned.head
    if chosen is None or head is None or "knn" not in chosen or "mlp" not in chosen:
        raise ValueError(f"nothing was chosen for {pattern} before: tune it first")
    predicted = {
        "knn": rows.voted(reported, chosen["knn"].neighbour_count or 1),
        "mlp": rows.computed(head, reported),
    }
    results = {
        name: MethodResult(
            neighbour_count=chosen[name].neighbour_count,
            margin=chosen[name].margin,
            curve=chosen[name].curve,
            tuned_f1=tuned.f1[name] if tuned else float("nan"),
            f1_by_k=tuned.f1_by_k if tuned and name == "knn" else {},
            reported=rows.quality(reported, predictions, chosen[name]),
        )
        for name, predictions in predicted.items()
    }
    return EvaluatedPattern(results=results, head=head, gallery=rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tuned:
    """What tuning chose: both methods' choices with their weighted F1, and the network."""

    choices: Mapping[str, Choice]
    f1: Mapping[str, float]
    f1_by_k: Mapping[int, float]
    head: LabelHead


def _tune(rows: LabelledGallery, tuning: EmbeddedProducts) -> _Tuned:
    labels, config = rows.labels, rows.config
    actual = labels_of(tuning, config.label)
    near = rows.neighbours(tuning, max(config.most_neighbours, MOST_NEIGHBOURS))
    found = tune_neighbour_count(near, rows.numbers, actual, labels, most=config.most_neighbours)
    head = rows.learn(tuning)
    made = {
        "knn": vote(near, rows.numbers, found.neighbour_count),
        "mlp": rows.computed(head, tuning),
    }
    is_right = {name: right_rows(actual, made[name], labels) for name in made}
    choices = {
        name: Choice(
            neighbour_count=found.neighbour_count if name == "knn" else None,
            margin=fit_margin(predictions, is_right[name], target_accuracy=config.target_accuracy),
            curve=fit_probability(predictions, is_right[name]),
        )
        for name, predictions in made.items()
    }
    return _Tuned(
        choices=choices,
        f1={name: score_predictions(actual, made[name], labels) for name in made},
        f1_by_k=found.f1_by_k,
        head=head,
    )


def _with_pattern(name: str, queries: EmbeddedProducts, pattern: str) -> EmbeddedProducts:
    found = queries.rows(queries.with_pattern(pattern))
    if not len(found):
        raise ValueError(f"no {name} query of known label has what {pattern!r} needs")
    return found
