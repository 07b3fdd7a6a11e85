"""What a visitor searches with, as it stands in the address of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final
from urllib.parse import urlencode

from twinshelf.client.records import MatchOptions, ModalityWeights

CARDS_ON_A_PAGE: Final = 24
GREATEST_MATCH_COUNT: Final = 200
USUAL_MATCH_COUNT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchForm:
    """A search; its link says all of it but the bytes of the photo.

    Attributes:
        title: Text to search with; empty searches by photo alone.
        photo: Name of a kept photo; empty searches by text alone.
        match_count: Matches at most, 1 to 200.
        min_probability: Least probability, 0 to 1.
        match_prior: Share of such offers that the catalogue holds, above 0 to 1; None as
            calibrated.
        has_own_weights: Whether `photo_weight` counts, and not the weights fitted in training.
        photo_weight: Share of the photo in the score, 0 to 1; the text has the rest.
        page: From 1.

    Raises:
        ValueError: If a value is outside its range.
    """

    title: str = ""
    photo: str = ""
    match_count: int = USUAL_MATCH_COUNT
    min_probability: float = 0.0
    match_prior: float | None = None
    has_own_weights: bool = False
    photo_weight: float = 0.5
    page: int = 1

    def __post_init__(self) -> None:
        _require("The number of results", self.match_count, 1, GREATEST_MATCH_COUNT)
        _require("The least probability", self.min_probability, 0, 1)
        _require("The weight of the photo", self.photo_weight, 0, 1)
        _require("The page", self.page, 1, GREATEST_MATCH_COUNT)
        if self.match_prior is not None and not 0 < self.match_prior <= 1:
            raise ValueError("The share that the catalogue holds must be above 0, to 1.")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to search with."""
        return not (self.title or self.photo)

    def options(self) -> MatchOptions:
        """Returns how to match."""
        weights = ModalityWeights(image=self.photo_weight, text=1 - self.photo_weight)
        return MatchOptions(
            match_count=self.match_count,
            min_probability=self.min_probability,
            match_prior=self.match_prior,
            weights=weights if self.has_own_weights and self.title and self.photo else None,
        )

    def link(self, **changes: Any) -> str:
        """Returns the address that repeats the search, what is usual left out.

        Args:
            changes: Fields that are to be others.
        """
        wanted = replace(self, **changes)
        values = {
            each.name: getattr(wanted, each.name)
            for each in fields(wanted)
            if getattr(wanted, each.name) != each.default
        }
        return "/?" + urlencode(
            {name: "1" if value is True else value for name, value in values.items()}
        )


def read_search(values: Mapping[str, Any]) -> SearchForm:
    """Reads a search from the address or from a form; what is missing is as usual.

    Args:
        values: Name to text.

    Raises:
        ValueError: If a value cannot be read or is outside its range.
    """
    given = {name: str(value).strip() for name, value in values.items() if str(value).strip()}
    return SearchForm(
        title=given.get("title", ""),
        photo=given.get("photo", ""),
        match_count=_whole(given, "match_count", USUAL_MATCH_COUNT),
        min_probability=_number(given, "min_probability", 0.0),
        match_prior=_number(given, "match_prior", 0.0) if "match_prior" in given else None,
        has_own_weights="has_own_weights" in given,
        photo_weight=_number(given, "photo_weight", 0.5),
        page=_whole(given, "page", 1),
    )


def _number(given: Mapping[str, str], name: str, usual: float) -> float:
    try:
        return float(given.get(name, usual))
    except ValueError:
        raise ValueError(f"{name} must be a number, got {given[name][:40]!r}.") from None


def _whole(given: Mapping[str, str], name: str, usual: int) -> int:
    value = _number(given, name, usual)
    if not value.is_integer():
        raise ValueError(f"{name} must be a whole number, got {given[name][:40]!r}.")
    return int(value)


def _require(name: str, value: float, least: float, greatest: float) -> None:
    if not least <= value <= greatest:
        raise ValueError(f"{name} must be {least} to {greatest}, got {value}.")
