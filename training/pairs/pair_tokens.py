"""Tokens of a product text: words, model codes, numbers with units, character n-grams."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from itertools import chain

_WORD = re.compile(r"[^\W_]+(?:[.\-/][^\W_]+)*")
_PIECE = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_IN_THOUSANDS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_QUANTITY = re.compile(r"(?<![\w.])(\d+(?:[.,]\d+)?)[\s\-]*([^\W\d_]{1,12}|['\"%])(?!\w)")
_INNER_MARKS = re.compile(r"[.\-/]")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]")

# What shops write for one unit, mapped to one name and a factor to it.
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("gb", "gig", "gigabyte", "gigabytes", "гб"), ("gb", 1.0)),
    **dict.fromkeys(("tb", "terabyte", "to", "тб"), ("gb", 1000.0)),
    **dict.fromkeys(("mb", "megabyte", "megabytes", "mo", "мб"), ("gb", 0.001)),
    **dict.fromkeys(("inch", "inches", "in", "'", '"', "дюйм", "дюймов"), ("inch", 1.0)),
    **dict.fromkeys(("ghz", "ггц"), ("ghz", 1.0)),
    **dict.fromkeys(("mhz", "мгц"), ("ghz", 0.001)),
    **dict.fromkeys(("w", "watt", "watts", "вт"), ("w", 1.0)),
    **dict.fromkeys(("kw", "квт"), ("w", 1000.0)),
    **dict.fromkeys(("ml", "мл"), ("ml", 1.0)),
    **dict.fromkeys(("l", "liter", "litre", "liters", "litres", "л"), ("ml", 1000.0)),
    **dict.fromkeys(("g", "gr", "г", "гр"), ("g", 1.0)),
    **dict.fromkeys(("kg", "кг"), ("g", 1000.0)),
    **dict.fromkeys(("mm", "мм"), ("mm", 1.0)),
    **dict.fromkeys(("cm", "см"), ("mm", 10.0)),
    **dict.fromkeys(("ft", "foot", "feet"), ("ft", 1.0)),
    **dict.fromkeys(("mp", "megapixel", "megapixels", "мп"), ("mp", 1.0)),
    **dict.fromkeys(("pack", "pk", "pcs", "шт", "user", "users", "pc"), ("count", 1.0)),
}

_ROMAN = ("ii", "iii", "iv", "vi", "vii", "viii", "ix", "xi", "xii", "xiii", "xiv", "xv")
_ARABIC = ("2", "3", "4", "6", "7", "8", "9", "11", "12", "13", "14", "15")
_NUMERALS = dict(zip(_ROMAN, _ARABIC, strict=True))
_VERSION = re.compile(r"(?:v|ver|version)?([0-9]{1,6}(?:\.[0-9]{1,6})?)")


def words(text: str) -> list[str]:
    """Returns lower-case words; marks inside a word, as in "dsc-w170", stay."""
    return _WORD.findall(text.lower())


@lru_cache(maxsize=65536)
def has_digit(word: str) -> bool:
    """Says whether a digit is among the signs of a word."""
    return any(map(str.isdigit, word))


@lru_cache(maxsize=65536)
def canonical_word(word: str) -> str:
    """Returns a lower-case word in the one form of its spellings: "ii", "v2" and "2.0" are "2"."""
    if word in _NUMERALS:
        return _NUMERALS[word]
    version = _VERSION.fullmatch(word)
    return _plain_number(version[1]) if version else word


def pieces(text: str) -> list[str]:
    """Returns runs of letters and numbers: "dscw170" gives "dscw" and "170"."""
    return _PIECE.findall(text.lower())


def compact(text: str) -> str:
    """Returns the text in lower case with nothing but letters and digits."""
    return _NOT_ALPHANUMERIC.sub("", text.lower())


def numbers(text: str) -> set[str]:
    """Returns the numbers of a text, "2.70" and "2.7" being one; "1,000" is 1 as well as 1000."""
    return {_plain_number(each) for number in _NUMBER.findall(text) for each in _readings(number)}


def _readings(number: str) -> list[str]:
    """Returns what a number may mean, with a decimal point: 1.500 kg are 1.5, 1,500 g are 1500."""
    readings = [number.replace(",", ".")]
    if _IN_THOUSANDS.fullmatch(number):
        readings.append(_INNER_MARKS.sub("", readings[0]))
    return readings


@lru_cache(maxsize=65536)
def _plain_number(number: str) -> str:
    return f"{Decimal(number).normalize():f}"


def quantities(text: str) -> set[tuple[str, float]]:
    """Returns (unit, amount) pairs in base units: "1 TB" and "1000gb" are one.

    Of an amount that may have a thousands separator both readings are there.
    """
    found: set[tuple[str, float]] = set()
    for amount, unit in _QUANTITY.findall(text.lower()):
        if unit in _UNITS:
            name, factor = _UNITS[unit]
            found |= {(name, round(float(each) * factor, 6)) for each in _readings(amount)}
    return found


def model_codes(text: str) -> set[str]:
    """Returns words that read like a maker's code: four or more signs, digits among them.

    Marks inside are dropped, so "DSC-W170" and "dscw170" are one code; a word without letters
    counts from five digits on.
    """
    return {code for code in map(_code, words(text)) if code}


@lru_cache(maxsize=65536)
def _code(word: str) -> str:
    """Returns a word as a code; none where it reads like no code."""
    code = _INNER_MARKS.sub("", word)
    is_code = len(code) >= 4 and has_digit(code) and (len(code) >= 5 or not code.isdigit())
    return code if is_code else ""


def character_ngrams(text: str) -> Counter[str]:
    """Counts character n-grams of 2 to 5 signs inside each word, word ends marked by a space."""
    return Counter(chain.from_iterable(map(_word_ngrams, text.lower().split())))


@lru_cache(maxsize=8192)
def _word_ngrams(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    starts = {n: range(max(1, len(padded) - n + 1)) for n in range(2, 6)}
    return tuple(padded[i : i + n] for n, each in starts.items() for i in each)
