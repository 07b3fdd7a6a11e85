"""What the catalogue keeps of groups: their members, and the journal of what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class EventKind(IntEnum):
    """What happened to the products of an event. The numbers are stored and equal the protos'."""

    STARTED = 1
    JOINED = 2
    LEFT = 3
    MERGED = 4
    SPLIT = 5
    MOVED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Products that are the same.

    Attributes:
        number: Never given to another group.
        product_ids: Its members, by the order in which they were stored; none in a group that
            ended.
        start_time_us: When it was started, microseconds since 1970, UTC; None where the event that
            started it is damaged.
        has_pinned: Whether a person has placed some of the members, which then stay.
        merged_into: The group that the last members went to; None while it has members, or where
            they went nowhere.
    """

    number: int
    product_ids: tuple[str, ...]
    start_time_us: int | None
    has_pinned: bool
    merged_into: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvent:
    """Products went from one group to another.

    Attributes:
        number: Position in the journal; a group bears the number of the event that started it.
        time_us: Microseconds since 1970, UTC.
        kind: What happened.
        source: The group that they left; None if they had none.
        target: The group that they came to; None if they have none now.
        product_ids: Which products.
        is_by_hand: Whether a person did it.
        undoes: The event that it undid; None for any other.
        undone_by: The event that undid it; None while it holds.
    """

    number: int
    time_us: int
    kind: EventKind
    source: int | None
    target: int | None
    product_ids: tuple[str, ...]
    is_by_hand: bool
    undoes: int | None
    undone_by: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A product in its group.

    Attributes:
        product_number: Internal number of the product.
        product_id: Its identifier, known also after it was deleted.
        group: Number of the group.
        is_pinned: Whether a person placed it there, so that it stays.
    """

    product_number: int
    product_id: str
    group: int
    is_pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Products that are to change their group, in one event.

    Attributes:
        products: Internal number to identifier of each.
        source: The group that they leave; None if they have none.
        target: The group that they come to; None for none.
        kind: What that means for the groups.
    """

    products: dict[int, str]
    source: int | None
    target: int | NewGroup | None
    kind: EventKind


@dataclass(frozen=True, slots=True, eq=False)
class NewGroup:
    """A group that has no number yet; each object is another group."""


def kind_of_move(
    source: int | None,
    target: int | NewGroup | None,
    *,
    empties_source: bool,
    fills_target: bool,
) -> EventKind:
    """Names what a move does.

    Args:
        source: The group that is left.
        target: The group that is come to.
        empties_source: Whether the source ends by it.
        fills_target: Whether the target has no members before it.
    """
    if target is None:
        return EventKind.LEFT
    if source is None:
        return EventKind.STARTED if fills_target else EventKind.JOINED
    if fills_target:
        return EventKind.SPLIT
    return EventKind.MERGED if empties_source else EventKind.MOVED


def identifiers(members: Iterable[Member]) -> dict[int, str]:
    """Returns internal number to identifier of members."""
    return {member.product_number: member.product_id for member in members}
