"""Labels by vote of the nearest gallery products, the more alike ones with more weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.categories.labels import UNKNOWN, Ints, Labels, Predictions, score_predictions
from training.embeddings import ModalityWeights, ProductEmbeddings
from training.evaluation.categories import vote_weights
from training.relevance import RelevantPairs
from training.retrieval import Candidates, retrieve

MOST_NEIGHBOURS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourChoice:
    """How many neighbours vote, and how that was found.

    Attributes:
        neighbour_count: K, 1 or more.
        f1_by_k: K to the weighted F1 on the tuning queries, 0 to 1.
    """

    neighbour_count: int
    f1_by_k: dict[int, float]


def find_neighbours(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    *,
    weights: ModalityWeights,
    k: int = MOST_NEIGHBOURS,
    excluded: Ints | None = None,
    device: str = "cpu",
) -> Candidates:
    """Returns the nearest gallery products of each query, best first (Q, k).

    Args:
        queries: Embeddings of the queries (Q).
        gallery: Embeddings of the gallery (G).
        weights: Weights of the modalities.
        k: How many, 1 or more.
        excluded: Gallery row that is the query itself, int64 (Q,); -1 for none.
        device: "cpu" or "cuda".

    Raises:
        ValueError: If the embeddings do not fit, or the gallery is empty.
    """
    nothing = np.zeros(0, dtype=np.int64)
    found = retrieve(
        queries,
        gallery,
        weights=weights,
        relevant=RelevantPairs(query_count=len(queries), queries=nothing, items=nothing),
        k=k,
        excluded=excluded,
        device=device,
    )
    return found.candidates


def vote(candidates: Candidates, numbers: Ints, neighbour_count: int) -> Predictions:
    """Gives each query the label with the greatest sum of weights among its first neighbours.

    Weights are those of `vote_weights`; of equal sums the label that came first wins; a query
    without neighbours has no label. The margin is of a vote of the first `MOST_NEIGHBOURS`, however
    few of them choose the label: the label's share less the best other one's, 0 where it is behind.
    So one neighbour has a margin too, and margins of different K can be compared.

    Args:
        candidates: Nearest gallery products of each query, best first (Q, K).
        numbers: Label number of each gallery product, int64 (G,); `UNKNOWN` has no vote.
        neighbour_count: Neighbours that vote, 1 or more.

    Raises:
        ValueError: If no neighbour votes.
    """
    if neighbour_count < 1:
        raise ValueError(f"neighbour_count must be 1 or more, got {neighbour_count}")
    reach = max(neighbour_count, MOST_NEIGHBOURS)
    items = candidates.items[:, :reach]
    labels = np.where(items >= 0, numbers[items], UNKNOWN)  # (Q, k)
    votes = vote_weights(np.where(labels >= 0, candidates.scores[:, :reach], -np.inf))
    rows = np.arange(len(labels))
    chosen = _label_sums(labels[:, :neighbour_count], votes[:, :neighbour_count])
    winner = np.argmax(np.round(chosen, 9), axis=1)  # rounded: the order of sums decides no tie
    answers = labels[rows, winner]
    sums = _label_sums(labels[:, :MOST_NEIGHBOURS], votes[:, :MOST_NEIGHBOURS])
    is_own = labels[:, :MOST_NEIGHBOURS] == answers[:, None]
    own = np.where(is_own, sums, 0).max(axis=1)
    others = np.where(is_own, 0, np.maximum(sums, 0)).max(axis=1)
    total = votes[:, :MOST_NEIGHBOURS].sum(axis=1, dtype=np.float64)
    margins = np.where(total > 0, (own - others) / np.maximum(total, 1e-12), 0.0)
    return Predictions(numbers=answers, margins=np.clip(margins, 0.0, 1.0))


def tune_neighbour_count(
    candidates: Candidates,
    numbers: Ints,
    actual: Sequence[str],
    labels: Labels,
    *,
    most: int = MOST_NEIGHBOURS,
) -> NeighbourChoice:
    """Finds the K from 1 to `most` with the highest weighted F1; of equals the smallest.

    Args:
        candidates: Nearest gallery products of each tuning query (Q, K).
        numbers: Label number of each gallery product (G,).
        actual: Right label of each tuning query.
        labels: The labels.
        most: Largest K to try, 1 or more.

    Raises:
        ValueError: If there are no queries to tune on.
    """
    if not len(actual):
        raise ValueError("K needs queries of known label to be tuned on, got none")
    f1_by_k = {
        k: score_predictions(actual, vote(candidates, numbers, k), labels)
        for k in range(1, most + 1)
    }
    best = max(f1_by_k, key=lambda k: (round(f1_by_k[k], 9), -k))
    return NeighbourChoice(neighbour_count=best, f1_by_k=f1_by_k)


def known_rows(labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Returns which products have a label, bool (N,)."""
    return np.array([bool(label) for label in labels], dtype=np.bool_)


def _label_sums(labels: Ints, votes: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Sums the votes of each neighbour's label, (Q, k); -1 where the label is unknown.

    There is no table of all labels, of which there can be very many.
    """
    same = labels[:, :, None] == labels[:, None, :]  # (Q, k, k)
    sums = np.einsum("qij,qj->qi", same, votes.astype(np.float64))
    return np.where(labels >= 0, sums, -1.0)
