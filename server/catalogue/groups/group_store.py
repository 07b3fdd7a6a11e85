"""What keeps groups: the seam between their rules and the SQLite file or Milvus."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from twinshelf.server.catalogue.groups.group_record import Group, GroupEvent, Member, Move
from twinshelf.server.catalogue.groups.neighbour_lists import Lists
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A product that is to be grouped.

    Attributes:
        product: Number of the product.
        is_changed: Whether its vector is new; otherwise only its neighbours are looked for anew.
        pattern: Its modalities; None if it was deleted.
    """

    product: int
    is_changed: bool
    pattern: Pattern | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingBatch:
    """Products that are grouped together.

    Attributes:
        products: The products; none where what was written means nothing for groups.
        marks: What the store knows the batch by.
    """

    products: tuple[Pending, ...]
    marks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """What a person does.

    Attributes:
        pins: Identifiers of the products that the event pins, those too that others pinned before.
        unpins: Identifiers of those that an event pinned which no longer holds; a product is left
            to the machine again when no other event pins it.
        undoes: The event that it undoes, or None.
    """

    pins: frozenset[str] = frozenset()
    unpins: frozenset[str] = frozenset()
    undoes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """A change of groups, which is made whole or not at all.

    Attributes:
        moves: Products that change their group.
        by_hand: What a person did; None for the machine.
        lists: Neighbour lists that take the place of those of their products.
        unsettled: Products that are to be grouped anew, though their vectors have not changed.
        grouped: What is grouped by it; None by hand.
    """

    moves: Sequence[Move] = ()
    by_hand: ByHand | None = None
    lists: Mapping[int, Lists] = field(default_factory=dict)
    unsettled: frozenset[int] = frozenset()
    grouped: PendingBatch | None = None


class GroupReading(Protocol):
    """Reads groups and their journal; safe to use from any thread."""

    def group(self, number: int) -> Group | None:
        """Returns a group, one that ended as well; None if there never was one of the number."""

    def number_of(self, product_id: str) -> int | None:
        """Returns the number of a product's group; None if it is alone or not there."""

    def groups_after(self, number: int, count: int) -> list[Group]:
        """Returns up to `count` groups of two products or more, from after a number."""

    def event(self, number: int) -> GroupEvent | None:
        """Returns one event of the journal, or None."""

    def events_after(self, group: int | None, number: int, count: int) -> list[GroupEvent]:
        """Returns up to `count` events from after a number; those of one group, or of all."""

    def members(self, group: int) -> list[Member]:
        """Returns the members of a group, by rising number, deleted ones that it still has too."""

    def present_members(self, group: int) -> list[Member]:
        """Returns the members of a group that are in the catalogue, by rising number."""

    def pinned_by(self, event: int) -> frozenset[str]:
        """Returns the identifiers of the products that an event pinned."""

    def pending_count(self) -> int:
        """Counts the products that were written or removed, and are not grouped yet."""


class GroupStore(Protocol):
    """Keeps groups; what is not the reader's may be asked for only while they are held."""

    @property
    def reader(self) -> GroupReading:
        """Reads for everyone."""

    def held(self) -> AbstractContextManager[None]:
        """Keeps the groups as they stand while the body reads and changes them.

        Raises:
            CatalogueUnavailableError: If another server holds them for too long.
        """

    def is_free(self) -> bool:
        """Tells whether no other server holds the groups, or waits for them; lets it come first."""

    def check_basis(self, basis: str) -> None:
        """Has all products grouped anew when what ties are made by is no longer `basis`."""

    def pending(self, digest: str, count: int) -> PendingBatch | None:
        """Returns what is to be grouped next of what an encoder embedded; None for nothing."""

    def neighbours(
        self, pending: Sequence[Pending], contract: EncoderContract, count: int
    ) -> dict[int, Lists]:
        """Searches products; returns their neighbours, none of one whose vector is not there."""

    def lists(self, product: int) -> Lists:
        """Returns the neighbour lists of a product as they are stored."""

    def titles(self, products: Collection[int]) -> Mapping[int, str]:
        """Returns the titles of those of some products that there are."""

    def member(self, product: int) -> Member | None:
        """Returns where a product stands; None if it is alone."""

    def members(self, group: int) -> Sequence[Member]:
        """Returns the members of a group, by rising number, deleted ones that it still has too."""

    def product_id(self, product: int) -> str | None:
        """Returns the identifier of a product; None if it is no longer there."""

    def write(self, change: GroupChange) -> list[int]:
        """Makes a change; returns the number of the event of each move."""

    def close(self) -> None:
        """Lets go of the groups and of what is held. A repeat is safe."""
