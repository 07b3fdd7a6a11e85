"""A record read once: the tokens of its title and of all its text that pair features ask for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from .records import PairRecord
from .tokens import canonical_word, character_ngrams, compact, model_codes, pieces, words

# Comparing two titles takes time by the product of their lengths.
TITLE_CHARACTERS = 512
TEXT_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class RecordReading:
    """Everything that features need of one record.

    Attributes:
        title: The title, or all text of a record without one.
        text: Title, description, brand and values of attributes.
        compact_title: Letters and digits of the title.
        compact_text: Letters and digits of the text.
        title_words: Words of the title in order.
        title_forms: Canonical forms of the title's words, in order.
        text_forms: Canonical forms of the text's words.
        title_ngrams: Character n-grams of the title.
        title_pieces: Runs of letters and of digits of the title.
        text_words: Words of the text.
        title_codes: Model codes of the title.
        text_codes: Model codes of the text.
        brand_words: Words of the brand.
        price: Price; NaN when unknown.
        attributes: Compact values by lower-case name.
    """

    title: str
    text: str
    compact_title: str
    compact_text: str
    title_words: list[str]
    title_forms: list[str]
    text_forms: frozenset[str]
    title_ngrams: Counter[str]
    title_pieces: Counter[str]
    text_words: Counter[str]
    title_codes: frozenset[str]
    text_codes: frozenset[str]
    brand_words: frozenset[str]
    price: float
    attributes: Mapping[str, str]

    @classmethod
    def of(cls, record: PairRecord) -> Self:
        """Reads a record; of very long texts only the beginning counts."""
        parts = (record.title, record.description, record.brand, *record.attributes.values())
        text = " ".join(part for part in parts if part)[:TEXT_CHARACTERS]
        title = (record.title or text)[:TITLE_CHARACTERS]
        title_words, text_words = words(title), Counter(words(text))
        return cls(
            title=title,
            text=text,
            compact_title=compact(title),
            compact_text=compact(text),
            title_words=title_words,
            title_forms=[canonical_word(word) for word in title_words],
            text_forms=frozenset(canonical_word(word) for word in text_words),
            title_ngrams=character_ngrams(title),
            title_pieces=Counter(pieces(title)),
            text_words=text_words,
            title_codes=frozenset(model_codes(title)),
            text_codes=frozenset(model_codes(text)),
            brand_words=frozenset(words(record.brand)),
            price=math.nan if record.price is None else float(record.price),
            attributes={key.lower(): compact(v) for key, v in record.attributes.items()},
        )

    def tokens(self) -> set[str]:
        """Returns every token that features weigh by its rarity."""
        return {*self.title_ngrams, *self.title_pieces, *self.text_words, *self.title_forms}
