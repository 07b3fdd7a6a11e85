"""What of a table could not be used though its rows could: counted, each kind with an example."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "price",
    "attributes",
    "attribute",
    "photo",
    "photo_url",
    "unread",
    "identifier",
    "rounded",
    "repeated",
    "untitled",
    "continued",
    "total",
    "sheet",
    "table",
    "beside",
    "right",
    "picture",
    "formula",
    "error",
    "encoding",
    "cut",
    "long",
]
_SENTENCES: dict[Kind, tuple[str, str]] = {
    "price": ("price", "could not be read, such as {example}: left empty"),
    "attributes": ("cell", "of attributes could not be read, such as {example}: left empty"),
    "attribute": ("attribute", "held objects or lists, such as those of {example}: left out"),
    "photo": ("photo", "could not be read{first} {example}"),
    "photo_url": (
        "photo URL",
        "kept, not fetched, such as {example}; --fetch-images embeds such photos",
    ),
    "unread": ("photo", "left out, as only JPEG, PNG and WebP are read{first} {example}"),
    "rounded": (
        "identifier",
        "that a table program rounded, such as {example}: called by the row's number; export "
        "its column as text",
    ),
    "repeated": ("number", "that stood before, such as {example}: that of the row is taken"),
    "identifier": ("row", "without an identifier called by the row's number, such as {example}"),
    "untitled": ("product", "without a title{first} {example}"),
    "encoding": ("file", "of doubtful encoding: {example}; --encoding names another"),
    "sheet": ("sheet", "not read, as hidden or of another header{first} {example}"),
    "table": ("table", "not read, as of another header{first} {example}"),
    "beside": ("table", "beside the photos not read{first} {example}; give it by its name"),
    "right": (
        "table",
        "to the right of another not read{first} {example}; put its rows below the others",
    ),
    "picture": (
        "picture",
        "on the sheets not read{first} {example}; a column has to name the photos",
    ),
    "formula": (
        "column",
        "of formulas without their values{first} {example}: open the file in a table program, and "
        "save it",
    ),
    "error": ("cell", "with an error of a table program, such as {example}: left empty"),
    "total": ("row", "left out as a heading, a total or a note, no product{first} {example}"),
    "cut": (
        "offer",
        "with fewer matches than asked for, as more do not fit into an answer, such as {example}",
    ),
    "long": ("row", "with more text or attributes than the service takes, such as {example}: cut"),
    "continued": ("row", "joined to the row before, of the same product, such as {example}"),
}
_LONGEST_EXAMPLE = 160


def count_of(count: int, noun: str) -> str:
    """Returns a count with its noun, such as "1 product" or "1,200 products".

    Args:
        count: How many.
        noun: One of them.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


@dataclass(slots=True)
class Findings:
    """Counts of what was left empty, left out or taken otherwise.

    Attributes:
        counts: How often each kind was found.
        examples: The first of each kind.
    """

    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, str] = field(default_factory=dict)

    def add(self, kind: Kind, example: str, count: int = 1) -> None:
        """Counts one more; the first example of a kind is kept."""
        self.counts[kind] += count
        self.examples.setdefault(kind, example[:_LONGEST_EXAMPLE])

    def clear(self) -> None:
        """Forgets what was found."""
        self.counts.clear()
        self.examples.clear()

    def sentences(self) -> list[str]:
        """One sentence for each kind that was found: "8,624 prices could not be read, ..."."""
        return [
            f"{count_of(count, noun)} "
            + rest.format(example=self.examples[kind], first=":" if count == 1 else "; the first:")
            for kind, (noun, rest) in _SENTENCES.items()
            if (count := self.counts[kind])
        ]
