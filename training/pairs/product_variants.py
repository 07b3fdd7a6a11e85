"""What tells variants of one product apart: edition, platform, colour, year and version."""

from __future__ import annotations

import re
from collections.abc import Iterable

_EDITION_WORDS = {
    "upgrade": "upgrade upg upgr upsell обновление",
    "academic": "academic student students education educational edu teacher school",
    "mac": "mac macintosh osx",
    "windows": "win windows pc xp vista",
    "license": "license licence licenses lic user users volume seat лицензия",
    "bundle": "bundle suite collection set kit комплект набор",
    "standard": "standard std",
    "professional": "pro professional",
    "premium": "premium deluxe ultimate dlx",
    "home": "home basic personal",
    "business": "business enterprise server",
    "oem": "oem",
    "disc": "dvd cd",
}
_COLOUR_WORDS = {
    "black": "black чёрный черный",
    "white": "white белый",
    "silver": "silver серебристый",
    "red": "red красный",
    "blue": "blue синий",
    "green": "green зелёный зеленый",
    "pink": "pink розовый",
    "grey": "grey gray серый",
    "gold": "gold золотой",
    "brown": "brown коричневый",
    "purple": "purple фиолетовый",
    "orange": "orange оранжевый",
    "yellow": "yellow жёлтый желтый",
    "titanium": "titanium титан",
    "stainless": "stainless",
    "bronze": "bronze бронза",
    "beige": "beige бежевый",
}
EDITIONS = tuple(_EDITION_WORDS)
_EDITION_OF = {word: name for name, line in _EDITION_WORDS.items() for word in line.split()}
_COLOUR_OF = {word: name for name, line in _COLOUR_WORDS.items() for word in line.split()}
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_HIGHEST_VERSION = 30.0


def editions(title_words: Iterable[str]) -> set[str]:
    """Returns the names of `EDITIONS` that lower-case words speak of."""
    return {_EDITION_OF[word] for word in title_words if word in _EDITION_OF}


def colours(text_words: Iterable[str]) -> set[str]:
    """Returns the colours that lower-case words name, "gray" and "grey" being one."""
    return {_COLOUR_OF[word] for word in text_words if word in _COLOUR_OF}


def plain_numbers(title_words: Iterable[str]) -> set[str]:
    """Returns the canonical words that are a number and nothing else."""
    return {word for word in title_words if _NUMBER.fullmatch(word)}


def years(title_words: Iterable[str]) -> set[str]:
    """Returns the canonical words that read like a year from 1900 to 2099."""
    return {word for word in title_words if _YEAR.fullmatch(word)}


def versions(title_words: Iterable[str]) -> set[str]:
    """Returns the canonical words that are a number small enough for a version."""
    return {word for word in plain_numbers(title_words) if float(word) <= _HIGHEST_VERSION}
