"""What a visitor searches with, as it stands in the address of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode

from twinshelf.client.filters import (
    AllOf,
    FieldIn,
    PriceBetween,
    ProductFilter,
    ValueLimit,
    read_condition,
)
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
        has_own_weights: Whether `image_weight` counts, and not the weights fitted in training.
        image_weight: Weight of the image in the score, 0 to 1; the text has the rest.
        category: Categories to search in, "|" between; a path takes all that lies below it.
        brand: Brands to search among, "|" between.
        seller: Sellers to search among, "|" between.
        price_from: Least price; None for no bound.
        price_to: Greatest price; None for no bound.
        conditions: Further ones as on the command line, ";" between.
        per_seller: Most results of one seller; 0 for any number.
        popularity: Share of the popularity in the order of the results, 0 to 1.
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
    image_weight: float = 0.5
    category: str = ""
    brand: str = ""
    seller: str = ""
    price_from: float | None = None
    price_to: float | None = None
    conditions: str = ""
    per_seller: int = 0
    popularity: float = 0.0
    page: int = 1

    def __post_init__(self) -> None:
        _require("The number of results", self.match_count, 1, GREATEST_MATCH_COUNT)
        _require("The least probability", self.min_probability, 0, 1)
        _require("The weight of the photo", self.image_weight, 0, 1)
        _require("The number of results of one seller", self.per_seller, 0, GREATEST_MATCH_COUNT)
        _require("The share of the popularity", self.popularity, 0, 1)
        _require("The page", self.page, 1, GREATEST_MATCH_COUNT)
        self.filter()  # says what of it cannot be read
        if self.match_prior is not None and not 0 < self.match_prior <= 1:
            raise ValueError("The share that the catalogue holds must be above 0, to 1.")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to search with."""
        return not (self.title or self.photo)

    @property
    def has_filters(self) -> bool:
        """Whether some products may not be found."""
        return self.filter() is not None or self.per_seller > 0

    def filter(self) -> ProductFilter | None:
        """Returns which products may match; None for all.

        Raises:
            ValueError: If a condition cannot be read.
        """
        parts = filter(None, map(str.strip, self.conditions.split(";")))
        return _all_of(
            [
                *_values("category", self.category),
                *_values("brand", self.brand),
                *_values("seller", self.seller),
                *_prices(self.price_from, self.price_to),
                *map(read_condition, parts),
            ]
        )

    def options(self) -> MatchOptions:
        """Returns how to match."""
        weights = ModalityWeights(image=self.image_weight, text=1 - self.image_weight)
        return MatchOptions(
            match_count=self.match_count,
            min_probability=self.min_probability,
            match_prior=self.match_prior,
            weights=weights if self.has_own_weights and self.title and self.photo else None,
            filter=self.filter(),
            value_limit=ValueLimit(field="seller", match_count=self.per_seller)
            if self.per_seller
            else None,
        )

    def query(self, **changes: Any) -> str:
        """Returns the search as it stands in an address, what is usual left out.

        Args:
            changes: Fields that are to be others.
        """
        wanted = replace(self, **changes)
        values = {
            each.name: getattr(wanted, each.name)
            for each in fields(wanted)
            if getattr(wanted, each.name) != each.default
        }
        return urlencode({name: "1" if value is True else value for name, value in values.items()})

    def link(self, **changes: Any) -> str:
        """Returns the address that repeats the search.

        Args:
            changes: Fields that are to be others.
        """
        return "/?" + self.query(**changes)


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
        match_prior=_bound(given, "match_prior"),
        has_own_weights="has_own_weights" in given,
        image_weight=_number(given, "image_weight", 0.5),
        category=given.get("category", ""),
        brand=given.get("brand", ""),
        seller=given.get("seller", ""),
        price_from=_bound(given, "price_from"),
        price_to=_bound(given, "price_to"),
        conditions=given.get("conditions", ""),
        per_seller=_whole(given, "per_seller", 0),
        popularity=_number(given, "popularity", 0.0),
        page=_whole(given, "page", 1),
    )


def _number(given: Mapping[str, str], name: str, usual: float) -> float:
    try:
        return float(given.get(name, usual))
    except ValueError:
        raise ValueError(f"{name} must be a number, got {given[name][:40]!r}.") from None


def _bound(given: Mapping[str, str], name: str) -> float | None:
    return _number(given, name, 0.0) if name in given else None


def _whole(given: Mapping[str, str], name: str, usual: int) -> int:
    value = _number(given, name, usual)
    if not value.is_integer():
        raise ValueError(f"{name} must be a whole number, got {given[name][:40]!r}.")
    return int(value)


def _require(name: str, value: float, least: float, greatest: float) -> None:
    if not least <= value <= greatest:
        raise ValueError(f"{name} must be {least} to {greatest}, got {value}.")


def _values(field: Literal["category", "brand", "seller"], text: str) -> list[ProductFilter]:
    values = tuple(each.strip() for each in text.split("|"))
    return [FieldIn(field=field, values=values)] if text else []


def _prices(least: float | None, greatest: float | None) -> list[ProductFilter]:
    if least is None and greatest is None:
        return []
    for price in (least, greatest):
        if price is not None and not 0 <= price < math.inf:
            raise ValueError(f"A price must be zero or more, got {price}.")
    if least is not None and greatest is not None and least > greatest:
        raise ValueError(f"The least price must not be above the greatest, {least} > {greatest}.")
    return [PriceBetween(least=least, greatest=greatest)]


def _all_of(conditions: list[ProductFilter]) -> ProductFilter | None:
    return AllOf(filters=tuple(conditions)) if conditions else None
