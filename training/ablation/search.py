"""The two searches that are compared: exact over the whole gallery, and usearch with rescoring."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from usearch.index import BatchMatches, Index, Matches

from training.embeddings import ModalityWeights, ProductEmbeddings
from training.metrics import RelevantRanks
from training.relevance import RelevantPairs
from training.retrieval import retrieve

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

LEAST_CANDIDATES = 100
# As the matching service sets its index.
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 64
_CANDIDATES_AT_ONCE = 2**15
# A relevant item that was no candidate: too far down to count, and still an item.
_NOT_FOUND = 2**40


def exact_ranks(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    *,
    weights: ModalityWeights,
    relevant: RelevantPairs,
    excluded: Ints,
    device: str = "cpu",
) -> RelevantRanks:
    """Ranks the relevant items among the whole gallery.

    Args:
        queries: Embeddings of the queries (Q).
        gallery: Embeddings of the gallery (G).
        weights: Weights of the modalities.
        relevant: Relevant pairs.
        excluded: Gallery row that is the query itself, int64 (Q,); -1 for none.
        device: "cpu" or "cuda".
    """
    return retrieve(
        queries,
        gallery,
        weights=weights,
        relevant=relevant,
        k=1,
        excluded=excluded,
        device=device,
    ).ranks


def indexed_ranks(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    *,
    weights: ModalityWeights,
    relevant: RelevantPairs,
    excluded: Ints,
) -> RelevantRanks:
    """Ranks the relevant items among the candidates of a usearch index, rescored exactly.

    The index gives four times as many candidates as a query has relevant items, and at least
    `LEAST_CANDIDATES`. Items that are no candidates come after everything, so that they add
    nothing to a metric.

    Args:
        queries: Embeddings of the queries (Q).
        gallery: Embeddings of the gallery (G).
        weights: Weights of the modalities.
        relevant: Relevant pairs.
        excluded: Gallery row that is the query itself, int64 (Q,); -1 for none.
    """
    wanted = max(LEAST_CANDIDATES, 4 * int(np.bincount(relevant.queries, minlength=1).max()))
    vectors = _join(gallery, weights)
    usable = np.flatnonzero(vectors.any(axis=1))
    index = Index(
        ndim=vectors.shape[1],
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=max(EXPANSION_SEARCH, wanted),
    )
    index.add(usable, vectors[usable], threads=1)
    asked = _join(queries, weights)
    ranks = np.full(len(relevant.queries), _NOT_FOUND, dtype=np.int64)
    block = max(1, _CANDIDATES_AT_ONCE // wanted)
    for start in range(0, len(queries), block):
        rows = np.arange(start, min(start + block, len(queries)))
        # One more, for the query itself may be among them.
        found = index.search(asked[rows], min(wanted + 1, len(usable)), threads=1)
        items = _real_items(found)
        items[items == excluded[rows, None]] = -1
        scores = _rescore(queries.rows(rows), gallery, items, weights)
        order = np.lexsort((items, -scores), axis=1)
        ranked = np.take_along_axis(np.where(np.isneginf(scores), -1, items), order, axis=1)
        _place(ranks, ranked, relevant, start)
    return _as_ranks(len(queries), relevant, ranks)


def _join(rows: ProductEmbeddings, weights: ModalityWeights) -> Floats:
    """Returns unit rows [√a·image ; √b·text] of what is there; zeros where nothing is."""
    halves = [math.sqrt(weights.image) * rows.image, math.sqrt(weights.text) * rows.text]
    joined = np.concatenate(halves, axis=1, dtype=np.float32)
    lengths = np.linalg.norm(joined, axis=1, keepdims=True)
    return (joined / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def _real_items(found: Matches | BatchMatches) -> Ints:
    """Returns candidates with -1 for what only pads a row; one query gives another type."""
    if isinstance(found, Matches):
        return found.keys.astype(np.int64)[None]
    items = found.keys.astype(np.int64)
    items[np.arange(items.shape[1]) >= found.counts[:, None].astype(np.int64)] = -1
    return items


def _rescore(
    queries: ProductEmbeddings, gallery: ProductEmbeddings, items: Ints, weights: ModalityWeights
) -> Floats:
    """Returns the scores of candidates (B, K), over the modalities that both sides have."""
    total = np.zeros(items.shape, dtype=np.float32)
    shared = np.zeros(items.shape, dtype=np.float32)
    parts = ((queries.image, gallery.image, weights.image),
             (queries.text, gallery.text, weights.text))  # fmt: skip
    presence = (queries.presence, gallery.presence)
    for modality, (ours, theirs, weight) in enumerate(parts):
        both = presence[0][:, modality, None] & presence[1][items, modality]
        total += weight * np.einsum("bd,bkd->bk", ours, theirs[items])
        shared += weight * both
    scores = np.where(shared > 0, total / np.where(shared > 0, shared, 1), -np.inf)
    return np.where(items >= 0, scores, -np.inf).astype(np.float32)


def _place(ranks: Ints, ranked: Ints, relevant: RelevantPairs, start: int) -> None:
    """Writes the places of relevant items among ranked candidates of a block of queries."""
    first, last = np.searchsorted(relevant.queries, [start, start + len(ranked)])
    for pair in range(int(first), int(last)):
        row = ranked[relevant.queries[pair] - start]
        places = np.flatnonzero(row == relevant.items[pair])
        if len(places):
            ranks[pair] = places[0] + 1


def _as_ranks(query_count: int, relevant: RelevantPairs, ranks: Ints) -> RelevantRanks:
    order = np.lexsort((ranks, relevant.queries))
    ranks, queries = ranks[order], relevant.queries[order]
    # Those not found need ranks of their own: no two items share one.
    missed = ranks == _NOT_FOUND
    ranks = np.where(missed, _NOT_FOUND + np.arange(len(ranks)), ranks)
    return RelevantRanks(query_count=query_count, queries=queries, ranks=ranks)
