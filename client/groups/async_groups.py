"""The groups of a service for asyncio: `AsyncClient.groups`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from twinshelf.client.conversions import identifiers
from twinshelf.client.groups import conversions
from twinshelf.client.groups.records import Group, GroupEvent, GroupEventPage, GroupPage
from twinshelf.v1 import group_service_pb2 as pb
from twinshelf.v1 import group_service_pb2_grpc


class AsyncGroups:
    """Reads and changes groups.

    Its methods, their arguments and their errors are those of `Groups`, where they are told.
    """

    def __init__(
        self,
        stub: group_service_pb2_grpc.GroupServiceStub,
        call: Callable[..., Awaitable[Any]],
    ) -> None:
        """Takes the service, and how `AsyncClient` calls a method of it."""
        self._stub = stub
        self._call = call
        self._change = partial(call, is_safe_to_repeat=False)

    async def get(self, group_id: str, *, timeout_s: float | None = None) -> Group:
        """Does what `Groups.get` does, awaited."""
        request = pb.GetGroupRequest(group_id=group_id)
        answer = await self._call(self._stub.GetGroup, request, timeout_s)
        return conversions.group_from_message(answer.group)

    async def of_product(self, product_id: str, *, timeout_s: float | None = None) -> Group | None:
        """Does what `Groups.of_product` does, awaited."""
        request = pb.GetGroupRequest(product_id=product_id)
        answer = await self._call(self._stub.GetGroup, request, timeout_s)
        return conversions.group_of_product(answer)

    async def list_page(
        self, *, page_size: int = 0, page_token: str = "", timeout_s: float | None = None
    ) -> GroupPage:
        """Does what `Groups.list_page` does, awaited."""
        request = pb.ListGroupsRequest(page_size=page_size, page_token=page_token)
        return conversions.group_page(await self._call(self._stub.ListGroups, request, timeout_s))

    async def list_all(
        self, *, page_size: int = 1000, timeout_s: float | None = None
    ) -> AsyncIterator[Group]:
        """Does what `Groups.list_all` does, iterated with `async for`."""
        page_token = ""
        while True:
            page = await self.list_page(
                page_size=page_size, page_token=page_token, timeout_s=timeout_s
            )
            for group in page.groups:
                yield group
            if not (page_token := page.next_page_token):
                return

    async def history_page(
        self,
        group_id: str = "",
        *,
        page_size: int = 0,
        page_token: str = "",
        timeout_s: float | None = None,
    ) -> GroupEventPage:
        """Does what `Groups.history_page` does, awaited."""
        request = pb.GroupHistoryRequest(
            group_id=group_id, page_size=page_size, page_token=page_token
        )
        return conversions.event_page(await self._call(self._stub.GroupHistory, request, timeout_s))

    async def history(
        self, group_id: str = "", *, page_size: int = 1000, timeout_s: float | None = None
    ) -> AsyncIterator[GroupEvent]:
        """Does what `Groups.history` does, iterated with `async for`."""
        page_token = ""
        while True:
            page = await self.history_page(
                group_id, page_size=page_size, page_token=page_token, timeout_s=timeout_s
            )
            for event in page.events:
                yield event
            if not (page_token := page.next_page_token):
                return

    async def merge(
        self, source_group_id: str, target_group_id: str, *, timeout_s: float | None = None
    ) -> GroupEvent:
        """Does what `Groups.merge` does, awaited."""
        request = pb.MergeGroupsRequest(
            source_group_id=source_group_id, target_group_id=target_group_id
        )
        answer = await self._change(self._stub.MergeGroups, request, timeout_s)
        return conversions.event_from_message(answer.event)

    async def split(
        self, group_id: str, product_ids: Sequence[str], *, timeout_s: float | None = None
    ) -> GroupEvent:
        """Does what `Groups.split` does, awaited."""
        request = pb.SplitGroupRequest(group_id=group_id, product_ids=identifiers(product_ids))
        answer = await self._change(self._stub.SplitGroup, request, timeout_s)
        return conversions.event_from_message(answer.event)

    async def undo(self, event_number: int, *, timeout_s: float | None = None) -> GroupEvent:
        """Does what `Groups.undo` does, awaited."""
        request = pb.UndoGroupEventRequest(event_number=event_number)
        answer = await self._change(self._stub.UndoGroupEvent, request, timeout_s)
        return conversions.event_from_message(answer.event)
