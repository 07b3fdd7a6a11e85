"""Document frequencies of tokens, hashed into a table of fixed size that travels with a scorer."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

_BUCKETS = 1 << 18
_MOST_KEPT = 1 << 18


def _bucket(token: str) -> int:
    return zlib.crc32(token.encode()) & (_BUCKETS - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedTokens:
    """The tokens of a text, each once, weighed by their rarity.

    Attributes:
        rarity: Inverse document frequency of each token.
        unit: TF-IDF weight of each token, term frequency damped as 1 + ln(tf); of unit length.
    """

    rarity: Mapping[str, float]
    unit: Mapping[str, float]

    def cosine(self, other: WeighedTokens) -> float:
        """Returns the cosine, 0 to 1, of two texts."""
        a, b = sorted((self.unit, other.unit), key=len)
        return sum([weight * b[token] for token, weight in a.items() if token in b])


class _Rarities(dict[str, float]):
    """Token to its inverse document frequency: kept once asked for, as most are asked again."""

    def __init__(self, by_bucket: Sequence[float]) -> None:
        super().__init__()
        self._by_bucket = by_bucket

    def __missing__(self, token: str) -> float:
        if len(self) == _MOST_KEPT:
            self.clear()
        rarity = self[token] = self._by_bucket[_bucket(token)]
        return rarity


class TokenStatistics:
    """How rare each token is in a body of texts.

    Args:
        document_frequency: (262144,) counts of documents by hashed token.
        document_count: Documents counted.
    """

    def __init__(self, document_frequency: npt.NDArray[np.uint32], document_count: int) -> None:
        self._document_frequency = document_frequency
        self._document_count = document_count
        frequencies, row_of = np.unique(document_frequency, return_inverse=True)
        rarities = [math.log((1 + document_count) / (1 + df)) + 1.0 for df in frequencies.tolist()]
        self._rarities = _Rarities([rarities[row] for row in row_of.tolist()])

    def __reduce__(self) -> tuple[type[TokenStatistics], tuple[npt.NDArray[np.uint32], int]]:
        """Travels to other processes without what it has looked up."""
        return type(self), (self._document_frequency, self._document_count)

    @classmethod
    def count(cls, documents: Iterable[Iterable[str]]) -> Self:
        """Counts the documents, each given by its tokens."""
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
        return self._rarities[token]

    def weigh(self, counts: Mapping[str, int]) -> WeighedTokens:
        """Weighs the counted tokens of a text."""
        rarities = [*map(self._rarities.__getitem__, counts)]
        raw = [
            rarity if n == 1 else (1.0 + math.log(n)) * rarity
            for n, rarity in zip(counts.values(), rarities, strict=True)
        ]
        norm = math.sqrt(sum(map(mul, raw, raw)))  # 0 only without tokens: nothing is divided
        return WeighedTokens(
            rarity=dict(zip(counts, rarities, strict=True)),
            unit=dict(zip(counts, [weight / norm for weight in raw], strict=True)),
        )

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
