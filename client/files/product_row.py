"""A product as a table has it, and its photos."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from pathlib import Path

_MARKUP = re.compile(r"<[^<>]*>|&(?:[a-z]\w{1,31}|#x?[0-9a-f]{1,7});", re.IGNORECASE)
_LETTER = re.compile(r"[^\W_]")
# What the service takes of one product unless told otherwise, in UTF-8: 64 KiB of texts, of which
# some are left for its number, seller and photo; and so many attributes.
_MOST_BYTES = 60 * 1024
_MOST_ATTRIBUTES = 256
_MOST_ATTRIBUTE_BYTES = 16 * 1024
_MOST_NAME_BYTES = 4 * 1024
# Photos within the text of a page: <img src="data:image/png;base64,iVBO...">
_DATA = re.compile(r"data:[\w/+.;=-]{0,100},[\w/+=%-]{100,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo of a row: bytes from the table, a file, or a URL that nobody has fetched.

    Attributes:
        name: Path or URL as the table gives it; empty when the photo has only bytes.
        data: Its bytes, when they stand in the table.
        path: Its file, when it has one that can be read.
        is_url: Whether the name is that of a photo on a web server.
    """

    name: str = ""
    data: bytes = field(default=b"", repr=False)
    path: Path | None = None
    is_url: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether the photo's bytes are at hand."""
        return bool(self.data) or self.path is not None


def _cut(text: str, size_bytes: int) -> str:
    return text.encode()[:size_bytes].decode(errors="ignore")


def _has_letter(text: str) -> bool:
    return bool(text) and _LETTER.search(_MARKUP.sub(" ", text)) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRow:
    """A product as a table has it.

    Attributes:
        source: Name of the file.
        row_number: From 1, the header not counted.
        product_id: Identifier; the row's number where the table has none.
        title: Name as a shop would print it.
        description: Long text; may hold HTML.
        category: Category path or name.
        brand: Brand or maker.
        seller: Seller or source of the record.
        price: Zero or more; None when unknown or unreadable.
        attributes: Further properties, name to value.
        photos: The main one first, those that cannot be read as well.
        group: Which product the row shows; empty when unknown.
    """

    source: str
    row_number: int
    product_id: str
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    seller: str = ""
    price: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    photos: tuple[Photo, ...] = ()
    group: str = ""

    @property
    def has_text(self) -> bool:
        """Whether any field that is embedded holds a letter or a digit outside of markup."""
        return self.has_title or any(
            map(_has_letter, (self.description, self.category, self.brand))
        )

    @property
    def has_title(self) -> bool:
        """Whether the title holds a letter or a digit outside of markup."""
        return _has_letter(self.title)

    def fields_with_value(self, fields: Sequence[str]) -> list[str]:
        """Returns those of some fields that the row has a value for; attributes one by one.

        Args:
            fields: Such as "price", "attributes", "attributes.stock", "image".
        """
        found: list[str] = []
        for wanted in fields:
            if wanted == "attributes":
                found += [f"attributes.{name}" for name in self.attributes]
            elif wanted.startswith("attributes."):
                found += [wanted] if wanted.removeprefix("attributes.") in self.attributes else []
            elif wanted == "image":
                found += [wanted] if self.main_photo is not None else []
            elif getattr(self, wanted) not in ("", None):
                found.append(wanted)
        return found

    def without_excess(self) -> ProductRow:
        """Returns the row with as much of its texts and attributes as the service takes."""
        names = (self.title, self.category, self.brand, self.seller)
        attribute_bytes = [
            len(f"{name}{value}".encode()) for name, value in self.attributes.items()
        ]
        name_bytes = sum(len(name.encode()) for name in names)
        size_bytes = name_bytes + sum(attribute_bytes) + len(self.description.encode())
        if size_bytes <= _MOST_BYTES and len(self.attributes) <= _MOST_ATTRIBUTES:
            return self
        title, category, brand, seller = (_cut(name, _MOST_NAME_BYTES) for name in names)
        sums = accumulate(attribute_bytes)
        count = min(sum(each <= _MOST_ATTRIBUTE_BYTES for each in sums), _MOST_ATTRIBUTES)
        rest_bytes = _MOST_BYTES - _MOST_ATTRIBUTE_BYTES - len(names) * _MOST_NAME_BYTES
        return replace(
            self,
            title=title,
            category=category,
            brand=brand,
            seller=seller,
            description=_cut(_DATA.sub("", self.description), rest_bytes),
            attributes=dict(islice(self.attributes.items(), count)),
        )

    @property
    def readable_photos(self) -> tuple[Photo, ...]:
        """The photos whose bytes are at hand."""
        return tuple(photo for photo in self.photos if photo.is_readable)

    @property
    def main_photo(self) -> Photo | None:
        """The first of them; None when there is none."""
        return next(iter(self.readable_photos), None)
