"""Document frequencies of tokens, hashed into a table of fixed size that travels with a scorer."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

_BUCKETS = 1 << 18


def _bucket(token: str) -> int:
    return zlib.crc32(token.encode()) & (_BUCKETS - 1)


class TokenStatistics:
    """How rare each token is in a body of texts.

    Args:
        document_frequency: (262144,) counts of documents by hashed token.
        document_count: Documents counted, 1 or more.

    Raises:
        ValueError: If the table has another shape or there is no document.
    """

    def __init__(self, document_frequency: npt.NDArray[np.uint32], document_count: int) -> None:
        if document_frequency.shape != (_BUCKETS,):
            raise ValueError(
                f"document_frequency must be ({_BUCKETS},), got {document_frequency.shape}"
            )
        if document_count < 1:
            raise ValueError("token statistics need at least one document")
        self._document_frequency = document_frequency
        self._document_count = document_count

    @classmethod
    def count(cls, documents: Iterable[Iterable[str]]) -> Self:
        """Counts the documents, each given by its tokens.

        Raises:
            ValueError: If there is no document.
        """
        frequency = np.zeros(_BUCKETS, np.uint32)
        document_count = 0
        for tokens in documents:
            document_count += 1
            frequency[list({_bucket(token) for token in tokens})] += 1
        return cls(frequency, document_count)

    def inverse_frequency(self, token: str) -> float:
        """Returns ln((1 + N) / (1 + df)) + 1, so 1 for a token of every document.

        Source: smoothed inverse document frequency as in Manning et al., Introduction to
        Information Retrieval, section 6.2.1.
        """
        df = int(self._document_frequency[_bucket(token)])
        return math.log((1 + self._document_count) / (1 + df)) + 1.0

    def weights(self, counts: Mapping[str, int]) -> dict[str, float]:
        """Returns TF-IDF weights of unit length, term frequency damped as 1 + ln(tf)."""
        raw = {
            token: (1.0 + math.log(count)) * self.inverse_frequency(token)
            for token, count in counts.items()
        }
        norm = math.sqrt(sum(weight * weight for weight in raw.values()))
        return {token: weight / norm for token, weight in raw.items()} if norm else {}

    def cosine(self, left: Counter[str], right: Counter[str]) -> float:
        """Returns the cosine, 0 to 1, of two token counts under TF-IDF weights."""
        a, b = self.weights(left), self.weights(right)
        if len(b) < len(a):
            a, b = b, a
        return sum(weight * b[token] for token, weight in a.items() if token in b)

    def save(self, path: Path) -> None:
        """Writes the table to an .npz file."""
        filled = np.flatnonzero(self._document_frequency).astype(np.uint32)
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                buckets=filled,
                counts=self._document_frequency[filled],
                document_count=np.int64(self._document_count),
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            frequency = np.zeros(_BUCKETS, np.uint32)
            frequency[stored["buckets"]] = stored["counts"]
            return cls(frequency, int(stored["document_count"]))
