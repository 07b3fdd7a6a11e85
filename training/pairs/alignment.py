"""Alignment of one record's words to another's, forgiving in spelling but not in digits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from .statistics import TokenStatistics

# Less than half of the letter pairs in common is another word.
_LEAST_SIMILARITY = 0.5
# A word that the other text holds as part of a longer one, or broken in two.
_INSIDE_SIMILARITY = 0.95
_LEAST_INSIDE_LENGTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How well words were found again.

    Attributes:
        found_share: Share, 0 to 1, of the words' rarity that was found; NaN without words.
        rarest_missing: Highest rarity of a word times what its best counterpart lacks, 0 or more.
        missing_count: Words without any counterpart.
    """

    found_share: float
    rarest_missing: float
    missing_count: int


def align_words(
    own: Iterable[str], others: Set[str], compact_other: str, statistics: TokenStatistics
) -> Alignment:
    """Looks each word up in another record.

    Args:
        own: Canonical words of a title.
        others: Canonical words of the other record.
        compact_other: Letters and digits of the other record, where joined words are found.
        statistics: Says how rare a word is.
    """
    total = found = rarest_missing = 0.0
    missing_count = 0
    lettered = [word for word in others if not _has_digit(word)]
    for word in dict.fromkeys(own):
        weight = statistics.inverse_frequency(word)
        similarity = 1.0 if word in others else _closest(word, lettered)
        is_inside = len(word) >= _LEAST_INSIDE_LENGTH and _letters(word) in compact_other
        if is_inside:
            similarity = max(similarity, _INSIDE_SIMILARITY)
        total += weight
        found += weight * similarity
        rarest_missing = max(rarest_missing, weight * (1.0 - similarity))
        missing_count += similarity < _LEAST_SIMILARITY
    return Alignment(
        found_share=found / total if total else math.nan,
        rarest_missing=rarest_missing,
        missing_count=missing_count,
    )


def word_similarity(left: str, right: str) -> float:
    """Returns the Dice coefficient, 0 to 1, of two words' letter pairs, word ends included."""
    a, b = _letter_pairs(left), _letter_pairs(right)
    return 2 * len(a & b) / (len(a) + len(b))


def longest_run(left: str, right: str) -> int:
    """Returns the length of the longest text that both hold."""
    return SequenceMatcher(None, left, right, autojunk=False).find_longest_match().size


def _closest(word: str, lettered: Iterable[str]) -> float:
    if _has_digit(word):  # "w170" and "w270" are two cameras
        return 0.0
    best = max((word_similarity(word, other) for other in lettered), default=0.0)
    return best if best >= _LEAST_SIMILARITY else 0.0


@lru_cache(maxsize=65536)
def _letter_pairs(word: str) -> frozenset[str]:
    padded = f" {word} "
    return frozenset(padded[i : i + 2] for i in range(len(padded) - 1))


def _has_digit(word: str) -> bool:
    return any(sign.isdigit() for sign in word)


def _letters(word: str) -> str:
    return "".join(sign for sign in word if sign.isalnum())
