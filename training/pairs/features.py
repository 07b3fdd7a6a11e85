"""Features of a pair of records: what agrees, what clashes, what only one side says.

Runs on numpy and the standard library alone, because export copies it next to the scorer, where
Triton runs it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from .alignment import align_words, longest_run
from .reading import RecordReading
from .records import PairRecord
from .statistics import TokenStatistics
from .tokens import numbers, quantities
from .variants import EDITIONS, colours, editions, plain_numbers, versions, years

NAN = float("nan")
# Far above what two machines round differently, far below what tells pairs apart: the last digit
# of a sum must not carry a pair across the threshold of a tree.
DECIMALS = 5
# Known only where precomputed vectors tell main pictures from others.
MAIN_IMAGE_COSINE = "main_image_cosine"


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


def _trigrams(text: str) -> set[str]:
    return {text[i : i + 3] for i in range(len(text) - 2)}


def _word_features(
    a: RecordReading, b: RecordReading, statistics: TokenStatistics
) -> dict[str, float]:
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
        f"left_{prefix}_shared": shared / left if left else NAN,
        f"right_{prefix}_shared": shared / right if right else NAN,
        f"{prefix}_shared_of_all": shared / (left + right - shared) if a or b else NAN,
        f"{prefix}_rarest_shared": max((weight[t] for t in a & b), default=0.0),
        f"left_{prefix}_rarest_only": max((weight[t] for t in a - b), default=0.0),
        f"right_{prefix}_rarest_only": max((weight[t] for t in b - a), default=0.0),
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
    left, right = a.title_codes, b.title_codes
    return {
        "left_title_code_in_right_text": _longest_code_inside(left, b.compact_text),
        "right_title_code_in_left_text": _longest_code_inside(right, a.compact_text),
        "left_title_codes_in_right_text": _share_inside(left, b.compact_text),
        "right_title_codes_in_left_text": _share_inside(right, a.compact_text),
    }


def _alignment_features(
    a: RecordReading, b: RecordReading, statistics: TokenStatistics
) -> dict[str, float]:
    left = align_words(a.title_forms, set(b.title_forms), b.compact_title, statistics)
    right = align_words(b.title_forms, set(a.title_forms), a.compact_title, statistics)
    left_in_text = align_words(a.title_forms, b.text_forms, b.compact_text, statistics)
    right_in_text = align_words(b.title_forms, a.text_forms, a.compact_text, statistics)
    run = longest_run(*sorted((a.compact_title, b.compact_title)))
    a_trigrams, b_trigrams = _trigrams(a.compact_title), _trigrams(b.compact_title)
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
        "title_trigram_jaccard": _jaccard(a_trigrams, b_trigrams),
        "title_trigram_containment": _containment(a_trigrams, b_trigrams),
        "title_longest_run": float(run),
        "title_longest_run_share": run / shorter
        if (shorter := min(len(a.compact_title), len(b.compact_title)))
        else NAN,
    }


def _variant_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    left, right = editions(a.title_forms), editions(b.title_forms)
    a_years, b_years = years(a.title_forms), years(b.title_forms)
    a_versions, b_versions = versions(a.title_forms), versions(b.title_forms)
    a_numbers, b_numbers = plain_numbers(a.title_forms), plain_numbers(b.title_forms)
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
        "colour_jaccard": _jaccard_where_both(colours(a.text_words), colours(b.text_words)),
        "year_jaccard": _jaccard_where_both(a_years, b_years),
        "year_on_one_side": float(bool(a_years) != bool(b_years)),
        "version_jaccard": _jaccard_where_both(a_versions, b_versions),
        "version_on_one_side": float(bool(a_versions) != bool(b_versions)),
        "plain_number_jaccard": _jaccard(a_numbers, b_numbers),
    }


def _number_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    a_numbers, b_numbers = numbers(a.title), numbers(b.title)
    a_all, b_all = numbers(a.text), numbers(b.text)
    a_amounts, b_amounts = quantities(a.text), quantities(b.text)
    clash = {unit for unit, _ in a_amounts} & {unit for unit, _ in b_amounts}
    clash -= {unit for unit, _ in a_amounts & b_amounts}
    return {
        "title_number_jaccard": _jaccard(a_numbers, b_numbers),
        "title_numbers_shared": float(len(a_numbers & b_numbers)),
        "left_title_numbers_only": float(len(a_numbers - b_numbers)),
        "right_title_numbers_only": float(len(b_numbers - a_numbers)),
        "text_number_jaccard": _jaccard(a_all, b_all),
        "quantities_agree": float(len(a_amounts & b_amounts)),
        "quantities_clash": float(len(clash)),
    }


def _field_features(a: RecordReading, b: RecordReading) -> dict[str, float]:
    shared = set(a.attributes) & set(b.attributes)
    agree = sum(a.attributes[key] == b.attributes[key] for key in shared)
    ratio = math.log((a.price + 1.0) / (b.price + 1.0))  # NaN when a price is unknown
    return {
        "brand_jaccard": _jaccard_where_both(a.brand_words, b.brand_words),
        "left_brand_on_right": _containment(a.brand_words, set(b.text_words)),
        "right_brand_on_left": _containment(b.brand_words, set(a.text_words)),
        "price_log_ratio": abs(ratio),
        "price_log_left_over_right": ratio,
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

    Agreement is 0 to 1, counts are zero or more, NaN means that a side says nothing. Swapping the
    records swaps what is named after a side, turns the sign of `price_log_left_over_right` and
    changes nothing else.
    """
    a, b = RecordReading.of(left), RecordReading.of(right)
    title_to_text = statistics.cosine(Counter(a.title_words), b.text_words)
    text_to_title = statistics.cosine(a.text_words, Counter(b.title_words))
    return {
        "image_cosine": cosines.image,
        "text_cosine": cosines.text,
        "fused_cosine": cosines.fused,
        MAIN_IMAGE_COSINE: cosines.main_image,
        **_word_features(a, b, statistics),
        "left_title_to_text_cosine": title_to_text,
        "right_title_to_text_cosine": text_to_title,
        **_rarity_features("title", set(a.title_pieces), set(b.title_pieces), statistics),
        **_rarity_features("text", set(a.text_words), set(b.text_words), statistics),
        **_code_features("title", a.title_codes, b.title_codes, a.compact_title, b.compact_title),
        **_code_features("text", a.text_codes, b.text_codes, a.compact_text, b.compact_text),
        **_title_code_features(a, b),
        **_alignment_features(a, b, statistics),
        **_number_features(a, b),
        **_variant_features(a, b),
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
    matrix = np.array([list(row.values()) for row in rows])  # (pairs, features)
    return tuple(rows[0]), np.round(matrix, DECIMALS).astype(np.float32)


def cosine_count(feature_names: Collection[str]) -> int:
    """Returns how many cosines a scorer of these features is given: with the main pictures' four.

    Without that feature they stay three, as every other scorer is called.
    """
    return 4 if MAIN_IMAGE_COSINE in feature_names else 3


def pair_tokens(record: PairRecord) -> set[str]:
    """Returns every token of a record that `describe_pair` asks the statistics about."""
    return RecordReading.of(record).tokens()
