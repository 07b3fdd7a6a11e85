"""Features of a pair of records: what agrees, what clashes, what only one side says.

Runs on numpy and the standard library alone, because export copies it next to the scorer, where
Triton runs it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence, Set
from dataclasses import dataclass
from os.path import commonprefix
from typing import Self

import numpy as np
import numpy.typing as npt

from .alignment import align_words, longest_run
from .product_variants import EDITIONS
from .read_record import RecordReading
from .records import PairRecord
from .statistics import TokenStatistics, WeighedTokens

NAN = float("nan")
# Far above what two machines round differently, far below what tells pairs apart: the last digit
# of a sum must not carry a pair across the threshold of a tree.
DECIMALS = 5
# Known only where precomputed vectors tell main pictures from others.
MAIN_IMAGE_COSINE = "main_image_cosine"
_MOST_CODES = 64
# A record stands in several pairs, often near each other; a reading takes some 50 kB.
_KEPT_READINGS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosines:
    """Cosines of two records' embeddings, -1 to 1; NaN where a side lacks the modality.

    Attributes:
        image: Of the pictures: the main ones by an encoder, the best of all by precomputed vectors.
        text: Of the texts.
        fused: Of both, in an encoder's weighting.
        main_image: Of the main pictures alone, by precomputed vectors; NaN by an encoder, which
            sees no others, so that `image` says it already.
    """

    image: float = NAN
    text: float = NAN
    fused: float = NAN
    main_image: float = NAN

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Returns cosines given in the order of the attributes; the main pictures' may be left out.

        Raises:
            ValueError: If there are not three or four.
        """
        if len(values) not in (3, 4):
            raise ValueError(f"expected three or four cosines, got {len(values)}")
        image, text, fused, main_image = (*values, NAN)[:4]
        return cls(image=image, text=text, fused=fused, main_image=main_image)


NO_COSINES = Cosines()


def _jaccard(a: Set[object], b: Set[object]) -> float:
    return len(a & b) / len(a | b) if a or b else NAN


def _containment(a: Set[object], b: Set[object]) -> float:
    return len(a & b) / min(len(a), len(b)) if a and b else NAN


def _jaccard_where_both(a: Set[object], b: Set[object]) -> float:
    return len(a & b) / len(a | b) if a and b else NAN


def _word_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    a_words, b_words = a.title.words.rarity.keys(), b.title.words.rarity.keys()
    return {
        "title_ngram_cosine": a.ngrams.cosine(b.ngrams),
        "title_piece_cosine": a.pieces.cosine(b.pieces),
        "text_word_cosine": a.text.words.cosine(b.text.words),
        "title_word_jaccard": _jaccard(a_words, b_words),
        "title_word_containment": _containment(a_words, b_words),
        "first_word_agrees": float(a.first_words == b.first_words),
        "left_first_word_on_right": float(any(word in b_words for word in a.first_words)),
        "right_first_word_on_left": float(any(word in a_words for word in b.first_words)),
        "left_word_count": float(a.word_count),
        "right_word_count": float(b.word_count),
        "left_title_to_text_cosine": a.title.words.cosine(b.text.words),
        "right_title_to_text_cosine": b.title.words.cosine(a.text.words),
    }


def _rarity_features(prefix: str, left: WeighedTokens, right: WeighedTokens) -> dict[str, float]:
    """How rare the shared tokens are, and the rarest that only one side has."""
    a, b = left.rarity, right.rarity
    both = [weight for token, weight in a.items() if token in b]
    shared, total_a, total_b = sum(both), sum(a.values()), sum(b.values())
    return {
        f"left_{prefix}_shared": shared / total_a if a else NAN,
        f"right_{prefix}_shared": shared / total_b if b else NAN,
        f"{prefix}_shared_of_all": shared / (total_a + total_b - shared) if a or b else NAN,
        f"{prefix}_rarest_shared": max(both, default=0.0),
        f"left_{prefix}_rarest_only": max((a[token] for token in a.keys() - b), default=0.0),
        f"right_{prefix}_rarest_only": max((b[token] for token in b.keys() - a), default=0.0),
    }


def _closest_codes(a: Set[str], b: Set[str]) -> float:
    """Length of the longest common start of two codes over the longer's length, best pair."""
    best = 0.0
    # Of a text of nothing but codes the longest count: all with all would take seconds.
    a_codes, b_codes = (
        sorted(codes, key=lambda code: (-len(code), code))[:_MOST_CODES] for codes in (a, b)
    )
    for left in a_codes:
        for right in b_codes:
            shorter, longer = sorted((left, right), key=len)
            same = len(shorter if shorter in longer else commonprefix([left, right]))
            best = max(best, same / len(longer))
    return best


def _longest_code_inside(codes: Set[str], text: str) -> float:
    return float(max((len(code) for code in codes if code in text), default=0))


def _share_inside(codes: Set[str], text: str) -> float:
    return sum(code in text for code in codes) / len(codes) if codes else NAN


def _code_features(
    prefix: str, a: Set[str], b: Set[str], a_compact: str, b_compact: str
) -> dict[str, float]:
    return {
        f"{prefix}_code_jaccard": _jaccard(a, b),
        f"{prefix}_codes_shared": float(len(a & b)),
        f"{prefix}_codes_clash": float(bool(a) and bool(b) and not a & b),
        f"left_{prefix}_code_count": float(len(a)),
        f"right_{prefix}_code_count": float(len(b)),
        f"{prefix}_closest_codes": _closest_codes(a, b),
        f"left_{prefix}_code_inside_right": _longest_code_inside(a, b_compact),
        f"right_{prefix}_code_inside_left": _longest_code_inside(b, a_compact),
    }


def _title_code_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    """Codes of one title in all text of the other record."""
    left, right = a.title.codes, b.title.codes
    return {
        "left_title_code_in_right_text": _longest_code_inside(left, b.text.compact),
        "right_title_code_in_left_text": _longest_code_inside(right, a.text.compact),
        "left_title_codes_in_right_text": _share_inside(left, b.text.compact),
        "right_title_codes_in_left_text": _share_inside(right, a.text.compact),
    }


def _alignment_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    left = align_words(a.form_rarity, b.title.lookup)
    right = align_words(b.form_rarity, a.title.lookup)
    left_in_text = align_words(a.form_rarity, b.text.lookup)
    right_in_text = align_words(b.form_rarity, a.text.lookup)
    run = longest_run(a.title.compact, b.title.compact)
    shorter = min(len(a.title.compact), len(b.title.compact))
    return {
        "left_title_found": left.found_share,
        "right_title_found": right.found_share,
        "least_title_found": float(np.minimum(left.found_share, right.found_share)),
        "left_title_rarest_missing": left.rarest_missing,
        "right_title_rarest_missing": right.rarest_missing,
        "left_title_missing_count": float(left.missing_count),
        "right_title_missing_count": float(right.missing_count),
        "left_title_found_in_text": left_in_text.found_share,
        "right_title_found_in_text": right_in_text.found_share,
        "left_title_rarest_missing_in_text": left_in_text.rarest_missing,
        "right_title_rarest_missing_in_text": right_in_text.rarest_missing,
        "title_trigram_jaccard": _jaccard(a.trigrams, b.trigrams),
        "title_trigram_containment": _containment(a.trigrams, b.trigrams),
        "title_longest_run": float(run),
        "title_longest_run_share": run / shorter if shorter else NAN,
    }


def _variant_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    left, right = a.editions, b.editions
    return {
        "editions_shared": float(len(left & right)),
        "left_editions_only": float(len(left - right)),
        "right_editions_only": float(len(right - left)),
        **{
            f"{name}_edition_agrees": float((name in left) == (name in right))
            if name in left | right
            else NAN
            for name in EDITIONS
        },
        "colour_jaccard": _jaccard_where_both(a.colours, b.colours),
        "year_jaccard": _jaccard_where_both(a.years, b.years),
        "year_on_one_side": float(bool(a.years) != bool(b.years)),
        "version_jaccard": _jaccard_where_both(a.versions, b.versions),
        "version_on_one_side": float(bool(a.versions) != bool(b.versions)),
        "plain_number_jaccard": _jaccard(a.plain_numbers, b.plain_numbers),
    }


def _number_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    clash = {unit for unit, _ in a.quantities} & {unit for unit, _ in b.quantities}
    clash -= {unit for unit, _ in a.quantities & b.quantities}
    return {
        "title_number_jaccard": _jaccard(a.title.numbers, b.title.numbers),
        "title_numbers_shared": float(len(a.title.numbers & b.title.numbers)),
        "left_title_numbers_only": float(len(a.title.numbers - b.title.numbers)),
        "right_title_numbers_only": float(len(b.title.numbers - a.title.numbers)),
        "text_number_jaccard": _jaccard(a.text.numbers, b.text.numbers),
        "quantities_agree": float(len(a.quantities & b.quantities)),
        "quantities_clash": float(len(clash)),
    }


def _field_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    shared = set(a.attributes) & set(b.attributes)
    agree = sum(a.attributes[key] == b.attributes[key] for key in shared)
    ratio = math.log((a.price + 1.0) / (b.price + 1.0))  # NaN when a price is unknown
    return {
        "brand_jaccard": _jaccard_where_both(a.brand_words, b.brand_words),
        "left_brand_on_right": _containment(a.brand_words, b.text.words.rarity.keys()),
        "right_brand_on_left": _containment(b.brand_words, a.text.words.rarity.keys()),
        "price_log_ratio": abs(ratio),
        "price_log_left_over_right": ratio,
        "left_price_known": float(not math.isnan(a.price)),
        "right_price_known": float(not math.isnan(b.price)),
        "attributes_agree": float(agree) if shared else NAN,
        "attributes_clash": float(len(shared) - agree) if shared else NAN,
    }


def describe_pair(
    a: RecordReading, b: RecordReading, cosines: Cosines = NO_COSINES
) -> dict[str, float]:
    """Returns the features of a left and a right record by name, always in the same order.

    Agreement is 0 to 1, counts are zero or more, NaN means that a side says nothing: where one has
    no word at all, everything read of texts is unknown. Swapping the records swaps what is named
    after a side, turns the sign of `price_log_left_over_right` and changes nothing else.
    """
    text = {
        **_word_features(a, b),
        **_rarity_features("title", a.pieces, b.pieces),
        **_rarity_features("text", a.text.words, b.text.words),
        **_code_features("title", a.title.codes, b.title.codes, a.title.compact, b.title.compact),
        **_code_features("text", a.text.codes, b.text.codes, a.text.compact, b.text.compact),
        **_title_code_features(a, b),
        **_alignment_features(a, b),
        **_number_features(a, b),
        **_variant_features(a, b),
    }
    if not (a.word_count and b.word_count):  # two texts without a word are alike and say nothing
        text = dict.fromkeys(text, NAN)
    return {
        "image_cosine": cosines.image,
        "text_cosine": cosines.text,
        "fused_cosine": cosines.fused,
        MAIN_IMAGE_COSINE: cosines.main_image,
        **text,
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
    readings: dict[Hashable, RecordReading] = {}

    def read(record: PairRecord) -> RecordReading:
        key = (
            *(record.title, record.description, record.brand, record.price),
            *record.attributes.items(),
        )
        if key not in readings:
            if len(readings) == _KEPT_READINGS:
                readings.clear()
            readings[key] = RecordReading.of(record, statistics)
        return readings[key]

    rows = [
        describe_pair(read(left), read(right), cosine)
        for (left, right), cosine in zip(pairs, cosines, strict=True)
    ]
    matrix = np.array([list(row.values()) for row in rows])  # (pairs, features)
    return tuple(rows[0]), np.round(matrix, DECIMALS).astype(np.float32)


def cosine_count(feature_names: Collection[str]) -> int:
    """Returns how many cosines a scorer of these features is given: with the main pictures' four.

    Without that feature they stay three, as every other scorer is called.
    """
    return 4 if MAIN_IMAGE_COSINE in feature_names else 3
