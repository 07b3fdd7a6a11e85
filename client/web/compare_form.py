"""What a visitor compares, as it stands in the address of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlencode

from twinshelf.client.web.match_setting import MatchSetting, read_setting
from twinshelf.client.web.search_form import SearchForm, read_search


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareForm:
    """A query and the two settings under which it is asked.

    Attributes:
        search: The query, and what the settings share.
        left: The first setting.
        right: The second.
    """

    search: SearchForm
    left: MatchSetting
    right: MatchSetting

    def link(self, **changes: Any) -> str:
        """Returns the address that repeats the comparison.

        Args:
            changes: Fields of the query that are to be others.
        """
        settings = {
            f"{side}_{name}": value
            for side, setting in (("left", self.left), ("right", self.right))
            for name, value in (
                ("service", setting.service),
                ("use", setting.use),
                ("weight", f"{setting.image_weight:g}"),
            )
        }
        return f"/compare?{urlencode(settings)}&{self.search.query(**changes)}"


def read_compare(given: Mapping[str, str], addresses: tuple[str, ...]) -> CompareForm:
    """Reads a comparison from an address or a form; what is missing is as usual.

    Args:
        given: Name to text.
        addresses: Services that may be asked, the usual one first.

    Raises:
        ValueError: If a value cannot be read or is out of its range.
    """
    left = MatchSetting(service=addresses[0])
    other = MatchSetting(service=addresses[-1], use="both" if len(addresses) > 1 else "photo")
    return CompareForm(
        search=read_search({each.name: given.get(each.name, "") for each in fields(SearchForm)}),
        left=read_setting(given, "left", left, addresses),
        right=read_setting(given, "right", other, addresses),
    )
