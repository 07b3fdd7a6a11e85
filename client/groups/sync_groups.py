"""The groups of a service for ordinary code: `Client.groups`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from twinshelf.client.conversions import identifiers
from twinshelf.client.groups import conversions
from twinshelf.client.groups.records import Group, GroupEvent, GroupEventPage, GroupPage
from twinshelf.v1 import group_service_pb2 as pb
from twinshelf.v1 import group_service_pb2_grpc


class Groups:
    """Reads and changes groups.

    Every method raises what those of `Client` raise, and takes `timeout_s` as they do. A change
    whose answer was lost is not repeated, as that would be refused: it ends UNAVAILABLE, and may
    have been made.
    """

    def __init__(
        self, stub: group_service_pb2_grpc.GroupServiceStub, call: Callable[..., Any]
    ) -> None:
        """Takes the service, and how `Client` calls a method of it."""
        self._stub = stub
        self._call = call
        self._change = partial(call, is_safe_to_repeat=False)

    def get(self, group_id: str, *, timeout_s: float | None = None) -> Group:
        """Returns a group, one that has ended as well.

        Args:
            group_id: Its identifier.
            timeout_s: Time for the call, seconds.

        Raises:
            GroupNotFoundError: If there never was such a group.
        """
        request = pb.GetGroupRequest(group_id=group_id)
        answer = self._call(self._stub.GetGroup, request, timeout_s)
        return conversions.group_from_message(answer.group)

    def of_product(self, product_id: str, *, timeout_s: float | None = None) -> Group | None:
        """Returns the group of a product; None if it stands in none.

        Args:
            product_id: Its identifier.
            timeout_s: Time for the call, seconds.

        Raises:
            ProductNotFoundError: If the catalogue holds no such product.
        """
        request = pb.GetGroupRequest(product_id=product_id)
        return conversions.group_of_product(self._call(self._stub.GetGroup, request, timeout_s))

    def list_page(
        self, *, page_size: int = 0, page_token: str = "", timeout_s: float | None = None
    ) -> GroupPage:
        """Returns a page of the groups of two products or more, oldest first.

        Args:
            page_size: Groups at most, 1 to 1,000; 0 leaves it to the service (100).
            page_token: That of the page before; empty for the first.
            timeout_s: Time for the call, seconds.
        """
        request = pb.ListGroupsRequest(page_size=page_size, page_token=page_token)
        return conversions.group_page(self._call(self._stub.ListGroups, request, timeout_s))

    def list_all(self, *, page_size: int = 1000, timeout_s: float | None = None) -> Iterator[Group]:
        """Yields every group of two products or more, oldest first.

        Args:
            page_size: Groups fetched at a time, 1 to 1,000.
            timeout_s: Time for each page, seconds.
        """
        page_token = ""
        while True:
            page = self.list_page(page_size=page_size, page_token=page_token, timeout_s=timeout_s)
            yield from page.groups
            if not (page_token := page.next_page_token):
                return

    def history_page(
        self,
        group_id: str = "",
        *,
        page_size: int = 0,
        page_token: str = "",
        timeout_s: float | None = None,
    ) -> GroupEventPage:
        """Returns a page of what became of a group or of all, oldest first.

        Args:
            group_id: The group; empty for all of them.
            page_size: Events at most, 1 to 1,000; 0 leaves it to the service (100).
            page_token: That of the page before; empty for the first.
            timeout_s: Time for the call, seconds.

        Raises:
            GroupNotFoundError: If there never was such a group.
        """
        request = pb.GroupHistoryRequest(
            group_id=group_id, page_size=page_size, page_token=page_token
        )
        return conversions.event_page(self._call(self._stub.GroupHistory, request, timeout_s))

    def history(
        self, group_id: str = "", *, page_size: int = 1000, timeout_s: float | None = None
    ) -> Iterator[GroupEvent]:
        """Yields what became of a group or of all, oldest first.

        Args:
            group_id: The group; empty for all of them.
            page_size: Events fetched at a time, 1 to 1,000.
            timeout_s: Time for each page, seconds.

        Raises:
            GroupNotFoundError: If there never was such a group.
        """
        page_token = ""
        while True:
            page = self.history_page(
                group_id, page_size=page_size, page_token=page_token, timeout_s=timeout_s
            )
            yield from page.events
            if not (page_token := page.next_page_token):
                return

    def merge(
        self, source_group_id: str, target_group_id: str, *, timeout_s: float | None = None
    ) -> GroupEvent:
        """Moves all products of a group to another, which they stay in.

        Args:
            source_group_id: Group that ends.
            target_group_id: Group that its products come to.
            timeout_s: Time for the call, seconds.

        Raises:
            GroupNotFoundError: If there never was such a group.
            PreconditionError: If one has ended, or both are the same.
        """
        request = pb.MergeGroupsRequest(
            source_group_id=source_group_id, target_group_id=target_group_id
        )
        answer = self._change(self._stub.MergeGroups, request, timeout_s)
        return conversions.event_from_message(answer.event)

    def split(
        self, group_id: str, product_ids: Sequence[str], *, timeout_s: float | None = None
    ) -> GroupEvent:
        """Moves some products of a group to a new one; both stay apart.

        Args:
            group_id: Group that loses products.
            product_ids: 1 to 10,000 of them; one at least must stay.
            timeout_s: Time for the call, seconds.

        Raises:
            GroupNotFoundError: If there never was such a group.
            PreconditionError: If a product is not in it, or none would stay.
        """
        request = pb.SplitGroupRequest(group_id=group_id, product_ids=identifiers(product_ids))
        answer = self._change(self._stub.SplitGroup, request, timeout_s)
        return conversions.event_from_message(answer.event)

    def undo(self, event_number: int, *, timeout_s: float | None = None) -> GroupEvent:
        """Moves the products of an event back to the group that they came from.

        Args:
            event_number: Position of the event in the journal.
            timeout_s: Time for the call, seconds.

        Raises:
            GroupNotFoundError: If there is no such event.
            PreconditionError: If it was undone before, or cannot be undone.
        """
        request = pb.UndoGroupEventRequest(event_number=event_number)
        answer = self._change(self._stub.UndoGroupEvent, request, timeout_s)
        return conversions.event_from_message(answer.event)
