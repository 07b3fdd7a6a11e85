"""Groups as rows of one collection: grouped products, the journal, notes, claims, the state.

The first letter of a key says which of them it is; in the keys of products and events the number
follows, so that Milvus returns them by rising number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from twinshelf.server.catalogue.groups.group_record import EventKind, GroupEvent, Member
from twinshelf.server.catalogue.groups.neighbour_lists import Lists
from twinshelf.server.catalogue.milvus.collections import ANCHOR, NO_ANCHOR
from twinshelf.server.catalogue.milvus.connection import Row
from twinshelf.server.catalogue.milvus.product_rows import chunks_of, product_key
from twinshelf.server.encoders.modalities import Pattern

PRODUCT, EVENT, NOTE, CLAIM, STATE = range(1, 6)
GROUP_FIELDS: Final = ("key", "product_key", "target", "body")
STATE_KEY, REDO_KEY = "s", "r"
NO_GROUP: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedProduct:
    """What groups know of a product.

    Attributes:
        number: Its internal number.
        product_id: Its identifier, known also after it was deleted.
        group: Number of its group; `NO_GROUP` for none.
        pin_count: How many events by hand pin it; 0 leaves it to the machine.
        mark: Hash of the vectors that its lists are of; empty before it was searched.
        basis: Hash of what its lists were chosen by.
        lists: Its neighbour lists.
    """

    number: int
    product_id: str
    group: int = NO_GROUP
    pin_count: int = 0
    mark: str = ""
    basis: str = ""
    lists: Lists = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Key of the row."""
        return grouped_key(self.number)

    @property
    def member(self) -> Member | None:
        """The product in its group; None without one."""
        if self.group == NO_GROUP:
            return None
        return Member(
            product_number=self.number,
            product_id=self.product_id,
            group=self.group,
            is_pinned=self.pin_count > 0,
        )

    def to_row(self) -> Row:
        """Returns it as Milvus keeps it."""
        lists = {int(kind): list(each.items()) for kind, each in self.lists.items()}
        body = [self.number, self.product_id, self.pin_count, self.mark, self.basis, lists]
        return _row(
            self.key, PRODUCT, body, product_key=product_key(self.product_id), target=self.group
        )

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> GroupedProduct:
        """Reads the `GROUP_FIELDS` of a row."""
        number, product_id, pin_count, mark, basis, lists = read_body(row)
        return cls(
            number=number,
            product_id=product_id,
            group=row["target"],
            pin_count=pin_count,
            mark=mark,
            basis=basis,
            lists={Pattern(int(k)): dict(each) for k, each in lists.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event, and the identifiers of the products that it pinned."""

    event: GroupEvent
    pinned_ids: tuple[str, ...]

    def to_row(self) -> Row:
        """Returns it as Milvus keeps it."""
        event = self.event
        return _row(
            event_key(event.number),
            EVENT,
            {**asdict(event), "pinned_ids": self.pinned_ids},
            source=event.source or NO_GROUP,
            target=event.target or NO_GROUP,
        )

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> StoredEvent:
        """Reads the `GROUP_FIELDS` of a row."""
        values = read_body(row)
        pinned_ids = tuple(values.pop("pinned_ids"))
        values |= {"kind": EventKind(values["kind"]), "product_ids": tuple(values["product_ids"])}
        return cls(event=GroupEvent(**values), pinned_ids=pinned_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """How far the groups have come.

    Attributes:
        basis: What ties are made by.
        cursor: Changes of products up to this one are grouped.
        event: Number of the last event.
        commit: Number of the last change of groups.
    """

    basis: str = ""
    cursor: int = 0
    event: int = 0
    commit: int = 0

    def to_row(self) -> Row:
        """Returns it as Milvus keeps it."""
        return _row(STATE_KEY, STATE, asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Redo:
    """A change of groups before it is made, so that whoever comes next can finish it.

    Attributes:
        rows: Rows that are written.
        ended: Keys of the rows that are removed.
        state: The state after it.
    """

    rows: list[Row]
    ended: list[str]
    state: GroupState

    def to_row(self) -> Row:
        """Returns it as Milvus keeps it."""
        return _row(REDO_KEY, STATE, [self.rows, self.ended, asdict(self.state)])

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Redo:
        """Reads the `GROUP_FIELDS` of a row."""
        rows, ended, state = read_body(row)
        return cls(rows=rows, ended=ended, state=GroupState(**state))


def note_row(product: GroupedProduct) -> Row:
    """Returns the note that a product is to be grouped anew."""
    key = product_key(product.product_id)
    return _row(note_key(product.number), NOTE, product.number, product_key=key)


def claim_row(key: str, claimed: int, renewed: int) -> Row:
    """Returns a server's claim to hold the groups: since when, and when it said so last."""
    return _row(key, CLAIM, [claimed, renewed])


def read_body(row: Mapping[str, Any]) -> Any:
    """Returns what a row holds beside the fields that are searched."""
    return json.loads("".join(row["body"]))


def grouped_key(number: int) -> str:
    """Returns the key of a grouped product."""
    return f"p{number:016x}"


def event_key(number: int) -> str:
    """Returns the key of an event."""
    return f"e{number:016x}"


def note_key(product: int) -> str:
    """Returns the key of a note."""
    return f"n{product:016x}"


def _row(
    key: str,
    kind: int,
    body: object,
    *,
    product_key: str = "",
    source: int = NO_GROUP,
    target: int = NO_GROUP,
) -> Row:
    return {
        "key": key,
        "kind": kind,
        "product_key": product_key,
        "source": source,
        "target": target,
        "body": chunks_of(json.dumps(body)),
        ANCHOR: NO_ANCHOR,
    }
