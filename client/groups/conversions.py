"""From the messages of `GroupService` to records, and the requests that are not plain fields."""

from __future__ import annotations

from datetime import UTC

from twinshelf.client.groups.records import EventKind, Group, GroupEvent, GroupEventPage, GroupPage
from twinshelf.v1 import group_service_pb2 as pb

_KINDS: dict[int, EventKind] = {
    pb.GROUP_EVENT_KIND_STARTED: "started",
    pb.GROUP_EVENT_KIND_JOINED: "joined",
    pb.GROUP_EVENT_KIND_LEFT: "left",
    pb.GROUP_EVENT_KIND_MERGED: "merged",
    pb.GROUP_EVENT_KIND_SPLIT: "split",
    pb.GROUP_EVENT_KIND_MOVED: "moved",
}


def group_from_message(message: pb.Group) -> Group:
    """Reads a group."""
    return Group(
        group_id=message.group_id,
        product_ids=tuple(message.product_ids),
        start_time=message.start_time.ToDatetime(tzinfo=UTC),
        has_pinned_products=message.has_pinned_products,
        merged_into_group_id=message.merged_into_group_id,
    )


def group_page(message: pb.ListGroupsResponse) -> GroupPage:
    """Reads a page of groups."""
    return GroupPage(
        groups=tuple(map(group_from_message, message.groups)),
        next_page_token=message.next_page_token,
        pending_product_count=message.pending_product_count,
    )


def group_of_product(message: pb.GetGroupResponse) -> Group | None:
    """Reads the group of a product; None if it stands in none."""
    return group_from_message(message.group) if message.HasField("group") else None


def event_from_message(message: pb.GroupEvent) -> GroupEvent:
    """Reads an event; a kind that this client does not know is "unknown"."""
    return GroupEvent(
        event_number=message.event_number,
        time=message.time.ToDatetime(tzinfo=UTC),
        kind=_KINDS.get(message.kind, "unknown"),
        source_group_id=message.source_group_id,
        target_group_id=message.target_group_id,
        product_ids=tuple(message.product_ids),
        is_by_hand=message.is_by_hand,
        undoes_event_number=message.undoes_event_number,
        undone_by_event_number=message.undone_by_event_number,
    )


def event_page(message: pb.GroupHistoryResponse) -> GroupEventPage:
    """Reads a page of the journal."""
    return GroupEventPage(
        events=tuple(map(event_from_message, message.events)),
        next_page_token=message.next_page_token,
    )
