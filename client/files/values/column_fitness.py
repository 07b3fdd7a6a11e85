"""What the cells of a column look like: titles, prices, identifiers, photos."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from twinshelf.client.files.values.cell_values import (
    attributes_of,
    nested_within,
    present_text_of,
)
from twinshelf.client.files.values.photos import (
    PhotoError,
    ends_like_photo,
    looks_like_photo,
    photos_of,
)
from twinshelf.client.files.values.prices import price_of

_MOSTLY = 0.6
_WORD = re.compile(r"[^\W\d_]{4}|[a-z]{2}")
_PAIRS_NO_PROSE_HAS = 2
_LONGEST_IDENTIFIER = 64
_LONGEST_TITLE = 200
_LONGEST_BESIDE_PRICE, _LONGEST_BESIDE_CURRENCY = 4, 24
# Fewer words in the mean are labels of classes as well.
WORDS_OF_TITLE = 2
_CURRENCY = re.compile(
    r"[$€£¥₽₹₩₺₴₫₪฿]|zł|تومان|ریال|ريال|درهم|دينار|جنيه|\b(?:USD|EUR|GBP|RUB|PLN|IDR|INR|CHF)\b|^[0-9]+[.,][0-9]{1,2}$"
)
_AMOUNT = re.compile(r"(?:0|[1-9]\d*)(?:[.,]\d+)?")
_FEW_NUMBERS, _SHORTEST_NUMBER, _YEARS = 2, 5, (1900, 2100)
# Without "km", which are marks in Bosnia.
_MEASURE = re.compile(
    r"\d\s?(?:[mc]?m|[mk]?g|[mcd]?l|oz|lbs?|[kmgt]b|k?wh?|v|[mgk]?hz|mah|inch|zoll)\W*$",
    re.IGNORECASE,
)
# What the records of shops and of JSON:API call themselves.
_KINDS = frozenset(
    "simple variable variation configurable grouped bundle bundled external virtual downloadable"
    " physical digital feature"
    " giftcard product products item items entry inventory noninventory non-inventory".split()
)
Values = list[object]


def texts_in(values: Values) -> list[str]:
    """Returns the texts that are there."""
    return [text for value in values if (text := present_text_of(value))]


def present(values: Values) -> Values:
    """What is there: nested prices as they are, all else as texts."""
    present = ((value, present_text_of(value)) for value in values)
    return [v if isinstance(v, (Mapping, list)) else text for v, text in present if text]


def photo_fitness(values: Values) -> float:
    """Share of photos among what is there, 0 below .6; more where they are no pages by their names.

    Their addresses are alike.
    """
    present = [value for value in values if value is not None and value != ""]
    named = share_of(present, lambda value: is_photo(value, ends_like_photo))
    return share_of(present, is_photo) + named


def is_photo(value: object, is_such: Callable[[str], bool] = looks_like_photo) -> bool:
    """Whether a cell holds photos alone, by their bytes or by names such as `is_such` takes."""
    try:
        photos = photos_of(value)
    except PhotoError:
        return False
    return bool(photos) and all(each.data or is_such(each.name) for each in photos)


def _identifier_fitness(values: Values) -> float:
    """Unique in each row, short, and one word; the first such column is the best."""
    texts = texts_in(values)
    is_unique = len(texts) == len(values) and len(set(texts)) == len(texts)
    if not texts or not is_unique or any(not is_identifier(text) for text in texts):
        return 0.0
    return 1.0


def is_identifier(text: str) -> bool:
    """Whether a text may be an identifier: short, one word, with a digit, no price."""
    if len(text) > _LONGEST_IDENTIFIER or any(letter.isspace() for letter in text):
        return False
    return _CURRENCY.search(text) is None and any(letter.isdigit() for letter in text)


def is_code(text: str) -> bool:
    """Whether a text is an identifier, or one in parts of few letters: "AB 100 X"."""
    return is_identifier(text if _WORD.search(text) else "".join(text.split()))


def are_amounts(values: Values) -> bool:
    """Whether numbers may count or measure, though each is another: 12, 7, 135; or are years.

    Those of products are as long as one another, have letters or zeros in front, or go up.
    """
    texts = texts_in(values)
    if all(text.endswith("%") or _MEASURE.search(text) for text in texts):
        return True
    if not all(map(_AMOUNT.fullmatch, texts)):
        return False
    numbers = [float(text.replace(",", ".")) for text in texts]
    goes_up = len(numbers) > _FEW_NUMBERS and numbers == sorted(numbers)
    if all(_YEARS[0] <= number < _YEARS[1] for number in numbers):
        return len(numbers) <= _FEW_NUMBERS or not goes_up
    is_long = len({*map(len, texts)}) == 1 and len(texts[0]) >= _SHORTEST_NUMBER
    return not (goes_up or is_long)


def _price_fitness(values: Values) -> float:
    texts = texts_in(values)
    if share_of(texts, is_price) == 0:
        return 0.0
    return 0.5 + share_of(texts, lambda text: _CURRENCY.search(str(text)) is not None)


def is_price(cell: object) -> bool:
    """Whether a cell holds a price, and hardly a word besides: "250 ml" is none.

    Beside a currency there may be a few: "12,99 € inkl. MwSt."
    """
    try:
        price = price_of(cell)
    except ValueError:
        return False
    if isinstance(cell, (Mapping, list)):
        return price is not None
    text = str(cell)
    longest = _LONGEST_BESIDE_CURRENCY if _CURRENCY.search(text) else _LONGEST_BESIDE_PRICE
    is_short = len(re.sub(r"[\d\s.,]", "", text)) <= longest
    return price is not None and is_short and not _MEASURE.search(text)


def _has_letters(cell: object) -> bool:
    return re.search(r"[^\W\d_]{2}", _without_marks(present_text_of(cell))) is not None


def _without_marks(text: str) -> str:
    """A text without marks, such as the vowels of India, which would part letters."""
    if text.isascii():
        return text
    return "".join(sign for sign in text if not unicodedata.category(sign).startswith("M"))


def is_title(cell: object) -> bool:
    """Whether a cell holds words, and not a code."""
    return _has_letters(cell) and not is_identifier(present_text_of(cell))


def are_kinds(cells: Values) -> bool:
    """Whether cells say what kind of record each is in its shop, as "simple" does."""
    return all(isinstance(cell, str) and cell.casefold() in _KINDS for cell in cells)


def is_name(cell: object) -> bool:
    """Whether a cell holds words, and not an address."""
    return _has_letters(cell) and not looks_like_photo(present_text_of(cell))


def begins_with(longer: Values, shorter: Values) -> bool:
    """Tells whether texts begin with other texts of several words, and go on."""
    pairs = [*zip(map(present_text_of, longer), map(present_text_of, shorter), strict=True)]
    begun = [long.startswith(short) and len(long) > len(short) for long, short in pairs]
    return title_fitness(shorter) >= WORDS_OF_TITLE and sum(begun) * 2 > len(begun)


def title_fitness(values: Values) -> float:
    """Different in most rows, of several words, not too long."""
    texts = texts_in(values)
    if any(isinstance(value, list) and isinstance([*value, ""][0], Mapping) for value in values):
        return 0.0
    if share_of([*texts], lambda text: looks_like_photo(str(text))):
        return 0.0
    if not texts or 2 * len(set(texts)) < len(values) or mean_length(texts) > _LONGEST_TITLE:
        return 0.0
    words = sum(len(re.findall(r"[^\W\d_]{2,}", _without_marks(text))) for text in texts) / len(
        texts
    )
    return words * len(set(texts)) / len(values) if words >= 1 else 0.0


def _description_fitness(values: Values) -> float:
    texts = texts_in(values)
    return mean_length(texts) if texts and mean_length(texts) > _LONGEST_TITLE / 4 else 0.0


def share_of(values: Sequence[object], is_such: Callable[[object], bool]) -> float:
    """Returns the share of values that are such; 0 where it is below .6."""
    share = sum(map(is_such, values)) / len(values) if values else 0.0
    return share if share >= _MOSTLY else 0.0


def mean_length(texts: list[str]) -> float:
    """Returns the mean number of characters."""
    return sum(map(len, texts)) / len(texts)


def counts_rows(values: Values) -> bool:
    """Whether a column counts its rows, perhaps anew in each section."""
    return texts_in(values)[:1] in ([], ["0"], ["1"], ["1."], ["01"], ["001"])


def holds_objects(cell: object) -> bool:
    """Whether a cell is an object that holds another."""
    return isinstance(cell, Mapping) and any(isinstance(v, Mapping) for v in cell.values())


def are_attributes(cell: object) -> bool:
    """Whether a cell is an object, or spells one, that holds any attribute; or several pairs."""
    try:
        attributes, _ = attributes_of(cell)
    except ValueError:
        return False
    is_object = isinstance(nested_within(cell) if isinstance(cell, str) else cell, Mapping)
    return len(attributes) >= (1 if is_object else _PAIRS_NO_PROSE_HAS)


def can_hold_attributes(cells: Values) -> bool:
    """Whether attributes can be read from any cell, or none is there."""
    for cell in cells:
        with suppress(ValueError):
            attributes_of(cell)
            return True
    return not cells


FITNESS: dict[str, Callable[[Values], float]] = {
    "images": photo_fitness,
    "product_id": _identifier_fitness,
    "title": title_fitness,
    "description": _description_fitness,
    "price": _price_fitness,
}
LOOKS: dict[str, Callable[[object], bool]] = {
    "title": _has_letters,
    "description": _has_letters,
    "category": is_name,
    "brand": is_name,
    "seller": is_name,
    "price": is_price,
    "images": is_photo,
}
