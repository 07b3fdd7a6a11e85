"""Finding the neighbours of products in the index: the pairs that `make group` would look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.groups.neighbour_lists import Lists, Neighbours
from twinshelf.server.catalogue.index.catalogue_index import PatternFound
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import DIGITS, widen
from twinshelf.server.encoders.modalities import Pattern, Weights

# Writes of new vectors wait for so many searches at most.
_QUERY_BLOCK = 8
_ALONE = {Pattern.IMAGE: Weights(image=1, text=0), Pattern.TEXT: Weights(image=0, text=1)}


class Nearest(Protocol):
    """What finds the vectors near others."""

    def search(
        self, vectors: npt.NDArray[np.float32], wanted: Pattern, count: int
    ) -> list[list[PatternFound]]:
        """Returns for each vector (N, D) `count` near ones of each pattern that shares `wanted`."""


def find_neighbours(
    index: Nearest,
    numbers: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float16],
    pattern: Pattern,
    contract: EncoderContract,
    count: int,
) -> list[Lists]:
    """Searches products in the catalogue by each modality that they have, and by both together.

    First photos alone are compared: by a further one a product may be near another that does not
    find it by its first, and the tie would hang on which of the two was searched last.

    Args:
        index: What finds vectors of the encoder.
        numbers: (N,) numbers of the products.
        vectors: (N, D) their vectors.
        pattern: The modalities that all of them have.
        contract: That of the encoder; patterns without a curve of pairs are left out.
        count: Most neighbours.

    Returns:
        For each product, the others of each pattern whose score reaches its threshold.
    """
    found: list[Lists] = [{} for _ in range(len(vectors))]
    for kind, curve in contract.pair_curves.items():
        if kind & pattern != kind:
            continue
        queries = _queries(vectors, kind, contract)
        for row, parts in enumerate(_search(index, queries, kind, count + 1)):
            # One more than wanted was asked for: each product finds itself.
            near = [part for part in parts if part.pattern & kind == kind]
            scores = _scores_from(curve.threshold, queries[row], near)
            scores.pop(int(numbers[row]), None)
            best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
            found[row][kind] = dict(best[:count])
    return found


def _search(
    index: Nearest, queries: npt.NDArray[np.float32], kind: Pattern, count: int
) -> Iterator[list[PatternFound]]:
    for start in range(0, len(queries), _QUERY_BLOCK):
        yield from index.search(queries[start : start + _QUERY_BLOCK], kind, count)


def _queries(
    vectors: npt.NDArray[np.float16], kind: Pattern, contract: EncoderContract
) -> npt.NDArray[np.float32]:
    weights = _ALONE.get(kind, contract.weights)
    queries = vectors.astype(np.float32)  # (N, I+T)
    queries[:, : contract.image_dimension] *= np.float32(weights.image)
    queries[:, contract.image_dimension :] *= np.float32(weights.text)
    return queries


def _scores_from(
    threshold: float, query: npt.NDArray[np.float32], parts: Sequence[PatternFound]
) -> Neighbours:
    scores: Neighbours = {}
    for part in parts:
        totals = (widen(part.found.vectors) @ query).round(DIGITS)
        is_near = totals >= threshold
        if part.found.is_further is not None:
            is_near &= ~part.found.is_further
        rows = np.flatnonzero(is_near)
        numbers = part.found.product_numbers[rows]
        for number, score in zip(numbers.tolist(), totals[rows].tolist(), strict=True):
            # One that is being replaced may come twice.
            scores[number] = max(score, scores.get(number, score))
    return scores
