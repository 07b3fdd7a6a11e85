"""Tunes and judges both methods, per modality pattern, on different queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.categories.abstention import fit_margin
from training.categories.knn import (
    MOST_NEIGHBOURS,
    find_neighbours,
    known_rows,
    tune_neighbour_count,
    vote,
)
from training.categories.labels import (
    LabelField,
    Labels,
    Predictions,
    labels_of,
    score_predictions,
)
from training.categories.mlp import LabelHead, LabelledRows, fused_inputs, predict, train_head
from training.categories.quality import judge_labels, right_rows
from training.categories.results import Choice, MethodResult
from training.categories.settings import CategorySettings
from training.embeddings import ModalityWeights
from training.evaluation.embedded import EmbeddedProducts
from training.evaluation.search import rows_with_pattern
from training.evaluation.tuning import split_halves
from training.relevance import rows_of_same_product
from training.retrieval import Candidates


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedPattern:
    """What one modality pattern came to.

    Attributes:
        results: Method to result.
        head: The network, to be saved.
    """

    results: Mapping[str, MethodResult]
    head: LabelHead


def pattern_weights(pattern: str, fusion_weight: float) -> ModalityWeights:
    """Returns the weights of a pattern's modalities."""
    if pattern == "image":
        return ModalityWeights(image=1, text=0)
    if pattern == "text":
        return ModalityWeights(image=0, text=1)
    return ModalityWeights(image=fusion_weight, text=1 - fusion_weight)


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


def judge_pattern(
    pattern: str,
    tuning: EmbeddedProducts | None,
    reported: EmbeddedProducts,
    gallery: EmbeddedProducts,
    *,
    labels: Labels,
    settings: CategorySettings,
    chosen: Mapping[str, Choice] | None = None,
    head: LabelHead | None = None,
) -> JudgedPattern:
    """Tunes both methods on some queries and judges them on others.

    Args:
        pattern: Modality pattern; only queries that have its modalities are used.
        tuning: Queries of known label that tune; None takes what was chosen before.
        reported: Queries of known label that are judged.
        gallery: Products of known label.
        labels: The labels.
        settings: How it is done.
        chosen: Method to what was chosen before; needed without `tuning`.
        head: The network trained before; needed without `tuning`.

    Raises:
        ValueError: If no query has the pattern, or nothing tunes and nothing was chosen.
    """
    weights = pattern_weights(pattern, settings.fusion_weight)
    reported = _with_pattern("reported", reported, pattern)
    usable = rows_of_any(gallery, weights)
    gallery = gallery.rows(usable)
    numbers = labels.numbers(labels_of(gallery, settings.label))
    rows = _Judging(gallery=gallery, numbers=numbers, weights=weights, labels=labels,
                    settings=settings)  # fmt: skip
    if tuning is not None:
        tuning = _with_pattern("tuning", tuning, pattern)
        return _tuned(rows, tuning, reported)
    if chosen is None or head is None or "knn" not in chosen or "mlp" not in chosen:
        raise ValueError(f"nothing was chosen for {pattern} before: tune it first")
    count = chosen["knn"].neighbour_count or 1
    results = {
        "knn": rows.result(rows.voted(reported, count), reported, chosen["knn"]),
        "mlp": rows.result(rows.computed(head, reported), reported, chosen["mlp"]),
    }
    return JudgedPattern(results=results, head=head)


def rows_of_any(products: EmbeddedProducts, weights: ModalityWeights) -> npt.NDArray[np.bool_]:
    """Returns which products have a modality that has a weight, bool (N,)."""
    wanted = np.array([weights.image > 0, weights.text > 0])
    return np.asarray((products.embeddings.presence & wanted).any(axis=1))


def with_label(products: EmbeddedProducts, label: LabelField) -> EmbeddedProducts:
    """Returns the products whose label is known."""
    return products.rows(known_rows(labels_of(products, label)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judging:
    """A gallery and its labels, which every method predicts from."""

    gallery: EmbeddedProducts
    numbers: npt.NDArray[np.int64]
    weights: ModalityWeights
    labels: Labels
    settings: CategorySettings

    def neighbours(self, queries: EmbeddedProducts, k: int) -> Candidates:
        """Returns the k nearest gallery products of each, never the query itself."""
        return find_neighbours(
            queries.embeddings,
            self.gallery.embeddings,
            weights=self.weights,
            k=k,
            excluded=rows_of_same_product(queries.product_ids, self.gallery.product_ids),
            device=self.settings.device,
        )

    def voted(self, queries: EmbeddedProducts, k: int) -> Predictions:
        """Lets k neighbours vote; more are looked up, as margins need `MOST_NEIGHBOURS`."""
        return vote(self.neighbours(queries, max(k, MOST_NEIGHBOURS)), self.numbers, k)

    def computed(self, head: LabelHead, queries: EmbeddedProducts) -> Predictions:
        """Asks the network; ValueError when its inputs are of another size."""
        inputs = fused_inputs(queries.embeddings, self.weights)
        if inputs.shape[1] != head.hidden.in_features:
            raise ValueError(
                f"the network takes {head.hidden.in_features} numbers, not {inputs.shape[1]}: "
                "it was trained for another encoder"
            )
        return predict(head, inputs)

    def result(
        self,
        predictions: Predictions,
        queries: EmbeddedProducts,
        choice: Choice,
        *,
        tuned_f1: float = float("nan"),
        f1_by_k: Mapping[int, float] | None = None,
    ) -> MethodResult:
        """Judges predictions on labelled queries and says beside it how the method was chosen."""
        return MethodResult(
            neighbour_count=choice.neighbour_count,
            margin=choice.margin,
            tuned_f1=tuned_f1,
            f1_by_k=f1_by_k or {},
            reported=judge_labels(
                labels_of(queries, self.settings.label),
                predictions,
                self.labels,
                margin=choice.margin,
                seed=self.settings.seed,
            ),
        )


def _tuned(rows: _Judging, tuning: EmbeddedProducts, reported: EmbeddedProducts) -> JudgedPattern:
    settings, labels = rows.settings, rows.labels
    actual = labels_of(tuning, settings.label)
    target = settings.target_accuracy
    near = rows.neighbours(tuning, max(settings.most_neighbours, MOST_NEIGHBOURS))
    found = tune_neighbour_count(near, rows.numbers, actual, labels, most=settings.most_neighbours)
    count = found.neighbour_count
    voted = vote(near, rows.numbers, count)
    head = train_head(
        LabelledRows(
            inputs=fused_inputs(rows.gallery.embeddings, rows.weights), numbers=rows.numbers
        ),
        LabelledRows(
            inputs=fused_inputs(tuning.embeddings, rows.weights), numbers=labels.numbers(actual)
        ),
        label_count=len(labels.names),
        config=settings.mlp,
    )
    computed = rows.computed(head, tuning)
    margins = [
        fit_margin(made, right_rows(actual, made, labels), target_accuracy=target)
        for made in (voted, computed)
    ]
    results = {
        "knn": rows.result(
            rows.voted(reported, count),
            reported,
            Choice(neighbour_count=count, margin=margins[0]),
            tuned_f1=found.f1_by_k[count],
            f1_by_k=found.f1_by_k,
        ),
        "mlp": rows.result(
            rows.computed(head, reported),
            reported,
            Choice(neighbour_count=None, margin=margins[1]),
            tuned_f1=score_predictions(actual, computed, labels),
        ),
    }
    return JudgedPattern(results=results, head=head)


def _with_pattern(name: str, queries: EmbeddedProducts, pattern: str) -> EmbeddedProducts:
    found = queries.rows(rows_with_pattern(queries, pattern))
    if not len(found):
        raise ValueError(f"no {name} query of known label has what {pattern!r} needs")
    return found
