"""Search of a gallery by a usearch index, with the scores of what it finds computed exactly."""

from __future__ import annotations

import numpy as np
from usearch.index import BatchMatches, Index, Matches

from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.exact_search import NO_CANDIDATE, Candidates, Floats, Ints

# As the matching service builds its index.
CONNECTIVITY, EXPANSION_ADD = 16, 128
CANDIDATES_AT_ONCE = 2**15


def search_index(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    *,
    image_weight: float,
    k: int,
    excluded: Ints,
    expansion: int,
    thread_count: int = 1,
) -> Candidates:
    """Finds candidates by an index in half precision, and orders them by their exact scores.

    It takes what `retrieve` does; further `expansion`, the nodes that a search looks at, at least
    (it is never below k), and `thread_count`, the threads of usearch.
    """
    vectors = _unit_rows(gallery, image_weight)
    usable = np.flatnonzero(vectors.any(axis=1))
    index = Index(
        ndim=vectors.shape[1],
        metric="ip",
        dtype="f16",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=max(expansion, k),
    )
    index.add(usable.astype(np.uint64), vectors[usable], threads=thread_count)
    asked = _unit_rows(queries, image_weight)
    items = np.full((len(queries), k), NO_CANDIDATE, dtype=np.int64)
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    for rows in np.array_split(
        np.arange(len(queries)), -(-len(queries) * k // CANDIDATES_AT_ONCE) or 1
    ):
        # One more, for the query itself may be among them.
        found = _read(index.search(asked[rows], min(k + 1, len(usable)), threads=thread_count))
        found[found == excluded[rows, None]] = NO_CANDIDATE
        exact = _score(queries.rows(rows), gallery, found, image_weight)
        order = np.lexsort((found, -exact), axis=1)[:, :k]
        best = np.take_along_axis(exact, order, axis=1)
        near = np.take_along_axis(found, order, axis=1)
        items[rows, : best.shape[1]] = np.where(np.isneginf(best), NO_CANDIDATE, near)
        scores[rows, : best.shape[1]] = best
    return Candidates(items=items, scores=scores)


def _unit_rows(embeddings: ProductEmbeddings, image_weight: float) -> Floats:
    """Returns fused rows of unit length, also where a modality is missing; zeros stay."""
    fused = embeddings.fused(image_weight)
    lengths = np.linalg.norm(fused, axis=1, keepdims=True)
    return (fused / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)


def _read(found: Matches | BatchMatches) -> Ints:
    """Returns the items, `NO_CANDIDATE` for what only pads a row; one query has another type."""
    if isinstance(found, Matches):
        return found.keys.astype(np.int64)[None]
    items = found.keys.astype(np.int64)
    items[np.arange(items.shape[1]) >= found.counts[:, None].astype(np.int64)] = NO_CANDIDATE
    return items


def _score(
    queries: ProductEmbeddings, gallery: ProductEmbeddings, items: Ints, image_weight: float
) -> Floats:
    """Returns the scores of candidates (B, K), over the modalities that both sides have."""
    total, shared = np.zeros((2, *items.shape), dtype=np.float32)
    both = queries.presence[:, None] & gallery.presence[items]  # (B, K, 2)
    image = (image_weight, queries.image, gallery.image)
    text = (1 - image_weight, queries.text, gallery.text)
    for modality, (weight, ours, theirs) in enumerate((image, text)):
        if weight:
            total += weight * np.einsum("bd,bkd->bk", ours, theirs[items])
            shared += weight * both[:, :, modality]
    is_scored = (shared > 0) & (items != NO_CANDIDATE)
    return np.where(is_scored, total / np.where(shared > 0, shared, 1), -np.inf).astype(np.float32)
