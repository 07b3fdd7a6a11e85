"""Alignment of one record's words to another's, forgiving in spelling but not in digits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache

from .pair_tokens import has_digit

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


class WordLookup:
    """The words of a record, to be found by words that may be spelled differently.

    Args:
        forms: Canonical words.
        compact: Letters and digits of the text, where joined words are found.
    """

    def __init__(self, forms: Set[str], compact: str) -> None:
        self._forms, self._compact = forms, compact

    def similarity(self, word: str) -> float:
        """Returns how like a word its best counterpart is, 0 (there is none) to 1.

        Spellings are compared by the Dice coefficient of their letter pairs, word ends included.
        """
        if word in self._forms:
            return 1.0
        closest = 0.0 if has_digit(word) else self._closest(word)  # "w170", "w270" are two cameras
        letters = "".join(filter(str.isalnum, word))
        is_inside = len(word) >= _LEAST_INSIDE_LENGTH and letters in self._compact
        return max(closest, _INSIDE_SIMILARITY) if is_inside else closest

    def _closest(self, word: str) -> float:
        holders, sizes = self._letter_pair_index
        pairs = letter_pairs(word)
        shared = Counter("".join([holders[pair] for pair in pairs if pair in holders]))
        best = max(
            [2 * count / (len(pairs) + sizes[form]) for form, count in shared.items()], default=0.0
        )
        return best if best >= _LEAST_SIMILARITY else 0.0

    @cached_property
    def _letter_pair_index(self) -> tuple[dict[str, str], dict[str, int]]:
        """Letter pair to the forms that hold it; form to how many pairs it has.

        A form is one sign here and several are a text: lists by the thousand would be walked by
        the garbage collector again and again, which took a third of the time.
        """
        holders: dict[str, str] = {}
        sizes = {}
        for number, form in enumerate(form for form in self._forms if not has_digit(form)):
            pairs = letter_pairs(form)
            sizes[chr(number)] = len(pairs)
            for pair in pairs:
                holders[pair] = holders.get(pair, "") + chr(number)
        return holders, sizes


def align_words(rarity: Mapping[str, float], other: WordLookup) -> Alignment:
    """Looks each word of a title up in another record.

    Args:
        rarity: Canonical words of the title, each once, to how rare they are.
        other: Words of the other record.
    """
    total = found = rarest_missing = 0.0
    missing_count = 0
    for word, weight in rarity.items():
        similarity = other.similarity(word)
        total += weight
        found += weight * similarity
        rarest_missing = max(rarest_missing, weight * (1.0 - similarity))
        missing_count += similarity < _LEAST_SIMILARITY
    return Alignment(
        found_share=found / total if total else math.nan,
        rarest_missing=rarest_missing,
        missing_count=missing_count,
    )


def longest_run(left: str, right: str) -> int:
    """Returns the length of the longest text that both hold."""
    longest = 0
    for start in range(len(left)):
        while start + longest < len(left) and left[start : start + longest + 1] in right:
            longest += 1
    return longest


@lru_cache(maxsize=65536)
def letter_pairs(word: str) -> frozenset[str]:
    """Returns the pairs of neighbouring letters of a word, its ends marked by a space."""
    padded = f" {word} "
    return frozenset(padded[i : i + 2] for i in range(len(padded) - 1))
