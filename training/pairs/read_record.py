"""A record read once: all that pair features ask for of its title and of all its text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Self

from .alignment import WordLookup
from .pair_tokens import (
    canonical_word,
    character_ngrams,
    compact,
    model_codes,
    numbers,
    pieces,
    quantities,
    words,
)
from .product_variants import colours, editions, plain_numbers, versions, years
from .records import PairRecord, attribute_values
from .statistics import TokenStatistics, WeighedTokens

# Comparing two titles takes time by the product of their lengths.
TITLE_CHARACTERS = 512
TEXT_CHARACTERS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReading:
    """What is read of a title, and of all text alike.

    Attributes:
        compact: The letters and digits alone.
        words: Weighed words.
        codes: Model codes.
        numbers: Numbers.
        lookup: Finds words of another text in this one.
    """

    compact: str
    words: WeighedTokens
    codes: Set[str]
    numbers: Set[str]
    lookup: WordLookup

    @classmethod
    def of(cls, text: str, statistics: TokenStatistics) -> Self:
        """Reads a text."""
        counted, signs = Counter(words(text)), compact(text)
        return cls(
            compact=signs,
            words=statistics.weigh(counted),
            codes=model_codes(text),
            numbers=numbers(text),
            lookup=WordLookup(set(map(canonical_word, counted)), signs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordReading:
    """Everything that features need of one record, so that each of its pairs only compares.

    Attributes:
        title: The title, or all text of a record whose title has no word.
        text: Title, description, brand and values of attributes.
        first_words: First word of the title; none of a record without a word.
        word_count: Words of the title, repeated ones too; 0 where the record has no word.
        ngrams: Character n-grams of the title.
        pieces: Runs of letters and of digits of the title.
        trigrams: Runs of three letters and digits of the title.
        form_rarity: Canonical form of each word of the title to its inverse document frequency.
        editions: Editions that the title speaks of.
        years: Years of the title.
        versions: Versions of the title.
        plain_numbers: Words of the title that are a number alone.
        quantities: Units with amounts of the text.
        colours: Colours of the text.
        brand_words: Words of the brand.
        price: Price; NaN when unknown.
        attributes: Compact values by lower-case name; none that would be empty.
    """

    title: TextReading
    text: TextReading
    first_words: list[str]
    word_count: int
    ngrams: WeighedTokens
    pieces: WeighedTokens
    trigrams: Set[str]
    form_rarity: Mapping[str, float]
    editions: Set[str]
    years: Set[str]
    versions: Set[str]
    plain_numbers: Set[str]
    quantities: Set[tuple[str, float]]
    colours: Set[str]
    brand_words: Set[str]
    price: float
    attributes: Mapping[str, str]

    @classmethod
    def of(cls, record: PairRecord, statistics: TokenStatistics) -> Self:
        """Reads a record and weighs its tokens."""
        title, text = _texts(record)
        in_title = TextReading.of(title, statistics)
        in_text = in_title if text == title else TextReading.of(text, statistics)
        title_words = words(title)
        forms = dict.fromkeys(map(canonical_word, title_words))
        signs = in_title.compact
        return cls(
            title=in_title,
            text=in_text,
            first_words=title_words[:1],
            word_count=len(title_words),
            ngrams=statistics.weigh(character_ngrams(title)),
            pieces=statistics.weigh(Counter(pieces(title))),
            trigrams={signs[i : i + 3] for i in range(len(signs) - 2)},
            form_rarity={form: statistics.inverse_frequency(form) for form in forms},
            editions=editions(forms),
            years=years(forms),
            versions=versions(forms),
            plain_numbers=plain_numbers(forms),
            quantities=quantities(text),
            colours=colours(in_text.words.rarity),
            brand_words=set(words(record.brand)),
            price=math.nan if record.price is None else float(record.price),
            attributes={
                key.lower(): signs
                for key, value in record.attributes.items()
                if (signs := compact(value))  # two values without a sign do not agree
            },
        )


def pair_tokens(record: PairRecord) -> set[str]:
    """Returns every token of a record that features ask the statistics about."""
    title, text = _texts(record)
    forms = map(canonical_word, words(title))
    return {*character_ngrams(title), *pieces(title), *words(text), *words(title), *forms}


def _texts(record: PairRecord) -> tuple[str, str]:
    """Returns title and all text; of very long ones only the beginning."""
    parts = (record.title, record.description, record.brand, *attribute_values(record))
    text = " ".join(part for part in parts if part)[:TEXT_CHARACTERS]
    title = record.title[:TITLE_CHARACTERS]
    return title if words(title) else text[:TITLE_CHARACTERS], text
