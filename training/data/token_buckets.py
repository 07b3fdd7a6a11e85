"""Token buckets that fit the texts: a title of 33 tokens need not be padded to 64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

from twinshelf.training.catalogues.product import Product
from twinshelf.training.data.training_data import text_fields
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.texts import join_fields
from twinshelf.training.preprocessing.tokens import TextTokenizer

_LENGTHS: Final = (16, 24, 32, 40, 48, 64, 96, 128)
# Each more is a warm-up more, and texts of different buckets share no batch in Triton.
MOST_BUCKETS: Final = 6
# Enough to know how long texts are.
_MOST_TEXTS: Final = 5000


def fit_buckets(
    settings: PreprocessingSettings, tokenizer_json: Path, products: Sequence[Product]
) -> PreprocessingSettings:
    """Returns settings whose buckets pad the texts of products least.

    Args:
        settings: The last of their buckets stays: texts are cut there as before.
        tokenizer_json: The tokenizer's file.
        products: Rows with texts.
    """
    longest = settings.token_buckets[-1]
    tokenizer = TextTokenizer(tokenizer_json, replace(settings, token_buckets=(longest,)))
    step = max(1, len(products) // _MOST_TEXTS)
    places = range(0, len(products), step)
    prefix = max(settings.query_prefix, settings.passage_prefix, key=len)
    joined = (join_fields(text_fields(products[each]), settings, prefix=prefix) for each in places)
    tokens = (tokenizer.encode([text]) for text in joined)
    lengths = [int(each.attention_mask.sum()) for each in tokens if each.has_text[0]]
    candidates = sorted({*settings.token_buckets, *(each for each in _LENGTHS if each < longest)})
    return replace(settings, token_buckets=choose_buckets(lengths, candidates))


def choose_buckets(lengths: Sequence[int], candidates: Sequence[int]) -> tuple[int, ...]:
    """Returns the buckets that texts are padded least by; the last candidate is one of them.

    Args:
        lengths: Tokens of each text, at most the last candidate.
        candidates: Buckets to choose from, rising.
    """
    *others, last = candidates
    tokens = np.array(lengths, dtype=int)

    def padded(buckets: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """Returns the tokens that texts take in buckets; of equal ones the smaller come first."""
        return int(np.take(buckets, np.searchsorted(buckets, tokens)).sum()), buckets

    chosen = (some for count in range(MOST_BUCKETS) for some in combinations(others, count))
    return min(((*some, last) for some in chosen), key=padded)
