"""What two titles have in common and where they clash, word by word and number by number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

# A number with its unit is one thing: 500ml and 500 ml agree, 500 ml and 250 ml clash.
_UNITS: Final = frozenset(
    "mm cm m km in inch ft ml cl dl l oz floz mg g kg lb lbs kb mb gb tb hz khz mhz ghz v w kw wh "
    "kwh ah mah pcs pc pack packs bags x ct count mp k px dpi rpm".split()
)
_PIECE: Final = re.compile(r"\d+(?:[.,]\d+)*(?:\s?[^\W\d_]+\b)?|[^\W_]+", re.UNICODE)
_NUMBER: Final = re.compile(r"(\d+(?:[.,]\d+)*)\s?(\D*)")
_THOUSANDS: Final = (r"[1-9]\d{0,2}(?:,\d{3})+", r"[1-9]\d{0,2}(?:\.\d{3})+")
_WHOLE: Final = re.compile(rf"\d+|{_THOUSANDS[0]}|{_THOUSANDS[1]}")
_FRACTION: Final = re.compile(rf"\d+[.,]\d+|{_THOUSANDS[0]}\.\d+|{_THOUSANDS[1]},\d+")
Kind = Literal["gap", "same", "other", "clash"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a text.

    Attributes:
        text: As it stands there.
        kind: "gap" between words; "same" when the other text has it too; "other" when not;
            "clash" for a number that the other text has a different value for.
    """

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two texts side by side.

    Attributes:
        left: The first text in pieces.
        right: The second.
    """

    left: tuple[Piece, ...]
    right: tuple[Piece, ...]

    @property
    def agreeing(self) -> tuple[str, ...]:
        """Words and numbers of the first text that the second has too."""
        return _texts(self.left, "same")

    @property
    def clashing(self) -> tuple[str, ...]:
        """Numbers that differ, first those of the first text, each once."""
        return tuple(dict.fromkeys(_texts(self.left, "clash") + _texts(self.right, "clash")))


def compare_words(left: str, right: str) -> Comparison:
    """Compares two texts, whatever their case.

    Args:
        left: One text.
        right: The other.
    """
    left_words, right_words = _words(left), _words(right)
    return Comparison(
        left=_pieces(left, left_words, right_words), right=_pieces(right, right_words, left_words)
    )


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    values: Set[str | Decimal]  # two for a number that can be read in two ways
    unit: str | None  # None for a word that is no number


def _words(text: str) -> list[_Word]:
    return [word for found in _PIECE.finditer(text) for word in _read(found[0], found.start())]


def _read(text: str, start: int) -> list[_Word]:
    """Reads a word, a number, a number with its unit, or a number with a word behind it."""
    end = start + len(text)
    number = _NUMBER.fullmatch(text)
    if number is None:
        return [_Word(start, end, {_plain(text)}, None)]
    values, name = _numbers(number[1]), _plain(number[2])
    if not name or name in _UNITS:
        return [_Word(start, end, values, name)]
    if not text[len(number[1])].isspace():  # such as 8gen2 or 10th: no amount, a name
        return [_Word(start, end, {_plain(text)}, None)]
    return [
        _Word(start, start + len(number[1]), values, ""),
        _Word(start + number.start(2), end, {name}, None),
    ]


def _numbers(text: str) -> Set[str | Decimal]:
    """Reads a number in each way that shops write it: 1,500 g are 1500 or 1.5; 1.2.3 is a name."""
    digits, last = re.sub("[.,]", "", text), re.split("[.,]", text)[-1]
    values: set[str | Decimal] = set()
    if _WHOLE.fullmatch(text):
        values.add(Decimal(digits))
    if _FRACTION.fullmatch(text):
        values.add(Decimal(f"{digits[: -len(last)]}.{last}"))
    return values or {text.replace(",", ".")}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _pieces(text: str, words: list[_Word], others: list[_Word]) -> tuple[Piece, ...]:
    known = {(value, word.unit) for word in others for value in word.values}
    units = {word.unit for word in others if word.unit is not None}
    pieces: list[Piece] = []
    end = 0
    for word in words:
        if word.start > end:
            pieces.append(Piece(text=text[end : word.start], kind="gap"))
        is_known = any((value, word.unit) in known for value in word.values)
        kind: Kind = "same" if is_known else "other"
        if kind == "other" and word.unit is not None and word.unit in units:
            kind = "clash"
        pieces.append(Piece(text=text[word.start : word.end], kind=kind))
        end = word.end
    if text[end:]:
        pieces.append(Piece(text=text[end:], kind="gap"))
    return tuple(pieces)


def _texts(pieces: tuple[Piece, ...], kind: Kind) -> tuple[str, ...]:
    return tuple(dict.fromkeys(piece.text for piece in pieces if piece.kind == kind))
