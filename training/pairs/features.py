"""Features of a pair of records: what agrees, what clashes, what only one side says.

Runs on numpy and the standard library alone, because export copies it next to the scorer, where
Triton runs it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .statistics import TokenStatistics
from .tokens import (
    character_ngrams,
    compact,
    model_codes,
    numbers,
    pieces,
    quantities,
    words,
)

NAN = float("nan")


class PairRecord(Protocol):
    """What features read of a record; `training.product.Product` is one."""

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def description(self) -> str: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def brand(self) -> str: ...  # noqa: D102
    @property
    def price(self) -> float | None: ...  # noqa: D102
    @property
    def attributes(self) -> Mapping[str, str]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosines:
    """Cosines of two records' embeddings, -1 to 1; NaN where a side lacks the modality."""

    image: float = NAN
    text: float = NAN
    fused: float = NAN


NO_COSINES = Cosines()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Everything that features need of one record, computed once."""

    title: str
    text: str
    title_words: list[str]
    title_ngrams: Counter[str]
    title_pieces: Counter[str]
    text_words: Counter[str]
    brand_words: set[str]
    price: float
    attributes: Mapping[str, str]

    @classmethod
    def of(cls, record: PairRecord) -> _Reading:
        parts = (record.title, record.description, record.brand, *record.attributes.values())
        text = " ".join(part for part in parts if part)
        title = record.title or text
        return cls(
            title=title,
            text=text,
            title_words=words(title),
            title_ngrams=character_ngrams(title),
            title_pieces=Counter(pieces(title)),
            text_words=Counter(words(text)),
            brand_words=set(words(record.brand)),
            price=NAN if record.price is None else record.price,
            attributes={key.lower(): compact(v) for key, v in record.attributes.items()},
        )


def _jaccard(a: Set[object], b: Set[object]) -> float:
    return len(a & b) / len(a | b) if a or b else NAN


def _containment(a: Set[object], b: Set[object]) -> float:
    return len(a & b) / min(len(a), len(b)) if a and b else NAN


def _word_features(a: _Reading, b: _Reading, statistics: TokenStatistics) -> dict[str, float]:
    a_words, b_words = set(a.title_words), set(b.title_words)
    return {
        "title_ngram_cosine": statistics.cosine(a.title_ngrams, b.title_ngrams),
        "title_piece_cosine": statistics.cosine(a.title_pieces, b.title_pieces),
        "text_word_cosine": statistics.cosine(a.text_words, b.text_words),
        "title_word_jaccard": _jaccard(a_words, b_words),
        "title_word_containment": _containment(a_words, b_words),
        "first_word_agrees": float(a.title_words[:1] == b.title_words[:1]),
        "left_first_word_on_right": float(bool(a_words) and a.title_words[0] in b_words),
        "right_first_word_on_left": float(bool(b_words) and b.title_words[0] in a_words),
        "left_word_count": float(len(a.title_words)),
        "right_word_count": float(len(b.title_words)),
    }


def _rarity_features(
    prefix: str, a: Set[str], b: Set[str], statistics: TokenStatistics
) -> dict[str, float]:
    """How rare the shared tokens are, and the rarest that only one side has."""
    weight = {token: statistics.inverse_frequency(token) for token in a | b}
    shared = sum(weight[token] for token in a & b)
    left, right = sum(weight[t] for t in a), sum(weight[t] for t in b)
    return {
        f"{prefix}_shared_of_left": shared / left if left else NAN,
        f"{prefix}_shared_of_right": shared / right if right else NAN,
        f"{prefix}_shared_of_all": shared / (left + right - shared) if a or b else NAN,
        f"{prefix}_rarest_shared": max((weight[t] for t in a & b), default=0.0),
        f"{prefix}_rarest_left_only": max((weight[t] for t in a - b), default=0.0),
        f"{prefix}_rarest_right_only": max((weight[t] for t in b - a), default=0.0),
    }


def _closest_codes(a: Set[str], b: Set[str]) -> float:
    """Length of the longest common start of two codes over the longer's length, best pair."""
    best = 0.0
    for left in a:
        for right in b:
            longer = max(len(left), len(right))
            same = next(
                (i for i, (x, y) in enumerate(zip(left, right, strict=False)) if x != y),
                min(len(left), len(right)),
            )
            if left in right or right in left:
                same = min(len(left), len(right))
            best = max(best, same / longer)
    return best


def _longest_code_inside(codes: Set[str], text: str) -> float:
    return float(max((len(code) for code in codes if code in text), default=0))


def _code_features(prefix: str, a_text: str, b_text: str) -> dict[str, float]:
    a, b = model_codes(a_text), model_codes(b_text)
    return {
        f"{prefix}_code_jaccard": _jaccard(a, b),
        f"{prefix}_codes_shared": float(len(a & b)),
        f"{prefix}_codes_clash": float(bool(a) and bool(b) and not a & b),
        f"{prefix}_left_code_count": float(len(a)),
        f"{prefix}_right_code_count": float(len(b)),
        f"{prefix}_closest_codes": _closest_codes(a, b),
        f"{prefix}_left_code_inside_right": _longest_code_inside(a, compact(b_text)),
        f"{prefix}_right_code_inside_left": _longest_code_inside(b, compact(a_text)),
    }


def _number_features(a: _Reading, b: _Reading) -> dict[str, float]:
    a_numbers, b_numbers = numbers(a.title), numbers(b.title)
    a_all, b_all = numbers(a.text), numbers(b.text)
    a_amounts, b_amounts = quantities(a.text), quantities(b.text)
    clash = {unit for unit, _ in a_amounts} & {unit for unit, _ in b_amounts}
    clash -= {unit for unit, _ in a_amounts & b_amounts}
    return {
        "title_number_jaccard": _jaccard(a_numbers, b_numbers),
        "title_numbers_shared": float(len(a_numbers & b_numbers)),
        "title_numbers_left_only": float(len(a_numbers - b_numbers)),
        "title_numbers_right_only": float(len(b_numbers - a_numbers)),
        "text_number_jaccard": _jaccard(a_all, b_all),
        "quantities_agree": float(len(a_amounts & b_amounts)),
        "quantities_clash": float(len(clash)),
    }


def _field_features(a: _Reading, b: _Reading) -> dict[str, float]:
    shared = set(a.attributes) & set(b.attributes)
    agree = sum(a.attributes[key] == b.attributes[key] for key in shared)
    ratio = abs(math.log((a.price + 1.0) / (b.price + 1.0)))  # NaN when a price is unknown
    return {
        "brand_jaccard": _jaccard(a.brand_words, b.brand_words)
        if a.brand_words and b.brand_words
        else NAN,
        "left_brand_on_right": _containment(a.brand_words, set(b.text_words)),
        "right_brand_on_left": _containment(b.brand_words, set(a.text_words)),
        "price_log_ratio": ratio,
        "left_price_known": float(not math.isnan(a.price)),
        "right_price_known": float(not math.isnan(b.price)),
        "attributes_agree": float(agree) if shared else NAN,
        "attributes_clash": float(len(shared) - agree) if shared else NAN,
    }


def describe_pair(
    left: PairRecord,
    right: PairRecord,
    statistics: TokenStatistics,
    cosines: Cosines = NO_COSINES,
) -> dict[str, float]:
    """Returns the features of one pair by name, always the same names in the same order.

    Agreement is 0 to 1, counts are zero or more, NaN means that a side says nothing.
    """
    a, b = _Reading.of(left), _Reading.of(right)
    title_to_text = statistics.cosine(Counter(a.title_words), b.text_words)
    text_to_title = statistics.cosine(a.text_words, Counter(b.title_words))
    return {
        "image_cosine": cosines.image,
        "text_cosine": cosines.text,
        "fused_cosine": cosines.fused,
        **_word_features(a, b, statistics),
        "title_to_text_cosine": title_to_text,
        "text_to_title_cosine": text_to_title,
        **_rarity_features("title", set(a.title_pieces), set(b.title_pieces), statistics),
        **_rarity_features("text", set(a.text_words), set(b.text_words), statistics),
        **_code_features("title", a.title, b.title),
        **_code_features("text", a.text, b.text),
        **_number_features(a, b),
        **_field_features(a, b),
    }


def feature_matrix(
    pairs: Sequence[tuple[PairRecord, PairRecord]],
    statistics: TokenStatistics,
    cosines: Sequence[Cosines] | None = None,
) -> tuple[tuple[str, ...], npt.NDArray[np.float32]]:
    """Returns feature names and a (pairs, features) matrix.

    Raises:
        ValueError: If there are no pairs, or not one `Cosines` for each.
    """
    if not pairs:
        raise ValueError("there are no pairs to describe")
    if cosines is None:
        cosines = [NO_COSINES] * len(pairs)
    if len(cosines) != len(pairs):
        raise ValueError(f"expected {len(pairs)} cosines, one a pair, got {len(cosines)}")
    rows = [
        describe_pair(left, right, statistics, cosine)
        for (left, right), cosine in zip(pairs, cosines, strict=True)
    ]
    matrix = np.array([list(row.values()) for row in rows], np.float32)  # (pairs, features)
    return tuple(rows[0]), matrix


def pair_tokens(record: PairRecord) -> set[str]:
    """Returns every token of a record that `describe_pair` asks the statistics about."""
    reading = _Reading.of(record)
    return {*reading.title_ngrams, *reading.title_pieces, *reading.text_words}
