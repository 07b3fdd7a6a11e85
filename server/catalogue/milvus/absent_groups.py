"""Groups of the same product, which a catalogue on Milvus does not keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from twinshelf.server.catalogue.groups.group_record import Group, GroupEvent
from twinshelf.server.errors import GroupConflictError


class AbsentGroups:
    """Says so to whoever asks; see `Groups`."""

    async def group(self, number: int) -> Group:
        """Refuses."""
        _refuse()

    async def group_of(self, product_id: str) -> Group | None:
        """Refuses."""
        _refuse()

    async def groups_after(self, number: int, count: int) -> list[Group]:
        """Refuses."""
        _refuse()

    async def events_after(self, group: int | None, number: int, count: int) -> list[GroupEvent]:
        """Refuses."""
        _refuse()

    async def pending_count(self) -> int:
        """Nothing waits."""
        return 0

    async def merge(self, source: int, target: int) -> GroupEvent:
        """Refuses."""
        _refuse()

    async def split(self, group: int, product_ids: Sequence[str]) -> GroupEvent:
        """Refuses."""
        _refuse()

    async def undo(self, event: int) -> GroupEvent:
        """Refuses."""
        _refuse()


def _refuse() -> NoReturn:
    raise GroupConflictError(
        "a catalogue on Milvus keeps no groups; form them with `make group` instead"
    )
