"""Groups and the events of their journal, as plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventKind = Literal["unknown", "started", "joined", "left", "merged", "split", "moved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Products that are the same item.

    Attributes:
        group_id: Given by the service, never to another group.
        product_ids: Its products; none when the group has ended.
        start_time: When it was started.
        has_pinned_products: Whether a person placed some of its products, which stay.
        merged_into_group_id: Group that its last products went to; empty while it has products.
    """

    group_id: str
    product_ids: tuple[str, ...]
    start_time: datetime
    has_pinned_products: bool
    merged_into_group_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPage:
    """A page of the groups.

    Attributes:
        groups: Groups of two products or more, oldest first.
        next_page_token: Token of the next page; empty when this page is the last.
        pending_product_count: Products that were written or removed, and are not grouped yet.
    """

    groups: tuple[Group, ...]
    next_page_token: str
    pending_product_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvent:
    """Products went from one group to another.

    Attributes:
        event_number: Position in the journal, from 1.
        time: When it happened.
        kind: What it was to the groups.
        source_group_id: Group that the products left; empty if they had none.
        target_group_id: Group that they came to; empty if they have none now.
        product_ids: Which products.
        is_by_hand: Whether a person did it.
        undoes_event_number: The event that this one undid; 0 for any other.
        undone_by_event_number: The event that undid this one; 0 while it holds.
    """

    event_number: int
    time: datetime
    kind: EventKind
    source_group_id: str
    target_group_id: str
    product_ids: tuple[str, ...]
    is_by_hand: bool
    undoes_event_number: int
    undone_by_event_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEventPage:
    """A page of the journal.

    Attributes:
        events: Oldest first.
        next_page_token: Token of the next page; empty when this page is the last.
    """

    events: tuple[GroupEvent, ...]
    next_page_token: str
