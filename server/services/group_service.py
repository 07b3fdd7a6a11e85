"""The RPCs of `GroupService`: checks, the groups of the catalogue, messages."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import grpc

from twinshelf.server.access.audit import AuditEntry, AuditLog
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.groups.group_record import Group, GroupEvent
from twinshelf.server.catalogue.ranking import PAGE_LIMIT_BYTES
from twinshelf.server.errors import InvalidRequestError, ProductNotFoundError
from twinshelf.server.services.requests import (
    check_product_id,
    check_product_ids,
    page_token,
    read_page,
)
from twinshelf.v1 import group_service_pb2 as pb
from twinshelf.v1 import group_service_pb2_grpc

_SERVICE = pb.DESCRIPTOR.services_by_name["GroupService"].full_name
# What a number of SQLite can be.
_GROUP_ID = re.compile(r"g([1-9][0-9]{0,17})")
Message = TypeVar("Message", pb.Group, pb.GroupEvent)


class GroupServicer(group_service_pb2_grpc.GroupServiceServicer):
    """Answers `twinshelf.v1.GroupService`."""

    def __init__(self, *, catalogue: Catalogue, audit_log: AuditLog) -> None:
        """Takes the parts that it works with."""
        self._catalogue = catalogue
        self._groups = catalogue.groups
        self._audit_log = audit_log

    async def ListGroups(  # noqa: N802 - the name is the proto's
        self, request: pb.ListGroupsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListGroupsResponse:
        """Returns a page of groups."""
        size, after = read_page(request)
        found = await self._groups.groups_after(_read_place(after), size + 1)
        groups = _cut(map(_group_message, found[:size]))
        return pb.ListGroupsResponse(
            groups=groups,
            next_page_token=_next_token(found, len(groups)),
            pending_product_count=await self._groups.pending_count(),
        )

    async def GetGroup(  # noqa: N802 - the name is the proto's
        self, request: pb.GetGroupRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetGroupResponse:
        """Returns one group."""
        match request.WhichOneof("key"):
            case "group_id":
                group = await self._groups.group(_read_group_id(request.group_id, "group_id"))
                return pb.GetGroupResponse(group=_group_message(group))
            case "product_id":
                return await self._group_of(request.product_id)
            case _:
                raise InvalidRequestError(
                    "group_id or product_id must be given, both are missing", field="group_id"
                )

    async def GroupHistory(  # noqa: N802 - the name is the proto's
        self, request: pb.GroupHistoryRequest, context: grpc.aio.ServicerContext
    ) -> pb.GroupHistoryResponse:
        """Returns a page of the journal."""
        size, after = read_page(request)
        number = _read_group_id(request.group_id, "group_id") if request.group_id else None
        found = await self._groups.events_after(number, _read_place(after), size + 1)
        events = _cut(map(_event_message, found[:size]))
        return pb.GroupHistoryResponse(
            events=events,
            next_page_token=_next_token(found, len(events)),
        )

    async def MergeGroups(  # noqa: N802 - the name is the proto's
        self, request: pb.MergeGroupsRequest, context: grpc.aio.ServicerContext
    ) -> pb.MergeGroupsResponse:
        """Moves all products of a group to another."""

        async def merge() -> GroupEvent:
            """Checks the request, and does it."""
            source = _read_group_id(request.source_group_id, "source_group_id")
            target = _read_group_id(request.target_group_id, "target_group_id")
            return await self._groups.merge(source, target)

        return pb.MergeGroupsResponse(event=await self._noted("MergeGroups", merge()))

    async def SplitGroup(  # noqa: N802 - the name is the proto's
        self, request: pb.SplitGroupRequest, context: grpc.aio.ServicerContext
    ) -> pb.SplitGroupResponse:
        """Moves some products of a group to a new one."""

        async def split() -> GroupEvent:
            """Checks the request, and does it."""
            group = _read_group_id(request.group_id, "group_id")
            check_product_ids(request.product_ids)
            return await self._groups.split(group, request.product_ids)

        return pb.SplitGroupResponse(event=await self._noted("SplitGroup", split()))

    async def UndoGroupEvent(  # noqa: N802 - the name is the proto's
        self, request: pb.UndoGroupEventRequest, context: grpc.aio.ServicerContext
    ) -> pb.UndoGroupEventResponse:
        """Moves the products of an event back."""
        change = self._groups.undo(request.event_number)
        return pb.UndoGroupEventResponse(event=await self._noted("UndoGroupEvent", change))

    async def _group_of(self, product_id: str) -> pb.GetGroupResponse:
        check_product_id(product_id, "product_id")
        group = await self._groups.group_of(product_id)
        if group is not None:
            return pb.GetGroupResponse(group=_group_message(group))
        if await self._catalogue.product(product_id) is None:
            raise ProductNotFoundError(
                f"the catalogue has no product {product_id!r}", facts={"product_id": product_id}
            )
        return pb.GetGroupResponse()

    async def _noted(self, method: str, change: Awaitable[GroupEvent]) -> pb.GroupEvent:
        """Waits for a change, and notes what became of it in the audit log."""
        entry = AuditEntry(method=f"/{_SERVICE}/{method}")
        with self._audit_log.noting_failure(entry):
            event = await change
        self._audit_log.record(
            replace(entry, outcome=event.kind.name, product_ids=event.product_ids)
        )
        return _event_message(event)


def _group_id(number: int | None) -> str:
    return "" if number is None else f"g{number}"


def _read_group_id(group_id: str, path: str) -> int:
    found = _GROUP_ID.fullmatch(group_id)
    if found is None:
        raise InvalidRequestError(
            f"{path} must be an id that the service gave, such as g12, got {group_id[:40]!r}",
            field=path,
        )
    return int(found[1])


def _read_place(token: str) -> int:
    if token and not (token.isdecimal() and len(token) <= 18):
        raise InvalidRequestError(
            "page_token must be the next_page_token of an earlier answer", field="page_token"
        )
    return int(token or 0)


def _next_token(found: Sequence[Group] | Sequence[GroupEvent], shown_count: int) -> str:
    """Returns the token of the page that follows what is shown of what was found."""
    return page_token(str(found[shown_count - 1].number)) if len(found) > shown_count else ""


def _cut(messages: Iterable[Message]) -> Sequence[Message]:
    """Returns the messages that fit into a page; one always does."""
    kept: list[Message] = []
    size_bytes = 0
    for message in messages:
        size_bytes += message.ByteSize()
        if kept and size_bytes > PAGE_LIMIT_BYTES:
            break
        kept.append(message)
    return kept


def _group_message(group: Group) -> pb.Group:
    message = pb.Group(
        group_id=_group_id(group.number),
        product_ids=group.product_ids,
        has_pinned_products=group.has_pinned,
        merged_into_group_id=_group_id(group.merged_into),
    )
    if group.start_time_us is not None:
        message.start_time.FromMicroseconds(group.start_time_us)
    return message


def _event_message(event: GroupEvent) -> pb.GroupEvent:
    message = pb.GroupEvent(
        event_number=event.number,
        kind=pb.GroupEventKind.Name(event.kind),
        source_group_id=_group_id(event.source),
        target_group_id=_group_id(event.target),
        product_ids=event.product_ids,
        is_by_hand=event.is_by_hand,
        undoes_event_number=event.undoes or 0,
        undone_by_event_number=event.undone_by or 0,
    )
    message.time.FromMicroseconds(event.time_us)
    return message
