"""The seam between the services and whatever keeps the products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twinshelf.server.catalogue.groups.group_record import Group, GroupEvent
from twinshelf.server.catalogue.product_record import (
    ChangeableProduct,
    Deleted,
    EmbeddedProduct,
    NewProduct,
    NewVector,
    ProductChange,
    Stored,
    StoredProduct,
    UnembeddedProduct,
)
from twinshelf.server.catalogue.ranking import HitPage, Query
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.errors import TwinshelfError


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueStats:
    """Counts of the catalogue.

    Attributes:
        product_count: Products stored.
        image_count: Products of which the encoder has embedded a photo.
        photo_count: Photos that it has embedded; a product may have several.
        text_count: Products of which it has embedded a text.
        stale_product_count: Products that it has not embedded, but another one has.
        indexed_vector_count: Vectors that a search by the serving encoder can return.
        damaged_product_count: Products that were set aside, as their rows are damaged.
        change_sequence: Number of the last change.
        history_id: Another one after a backup was restored; empty where none is known.
    """

    product_count: int
    image_count: int
    photo_count: int
    text_count: int
    stale_product_count: int
    indexed_vector_count: int
    damaged_product_count: int
    change_sequence: int
    history_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReport:
    """What a snapshot of the index holds.

    Attributes:
        vector_count: Vectors.
        change_sequence: The last change that it knows of.
    """

    vector_count: int
    change_sequence: int


class Groups(Protocol):
    """The groups of the same product; a change waits for those that are under way."""

    async def group(self, number: int) -> Group:
        """Returns a group, one that ended as well.

        Raises:
            GroupNotFoundError: If there never was one of the number.
        """

    async def group_of(self, product_id: str) -> Group | None:
        """Returns the group of a product; None where it is alone or not in the catalogue."""

    async def groups_after(self, number: int, count: int) -> list[Group]:
        """Returns up to `count` groups of two products or more, from after a number."""

    async def events_after(self, group: int | None, number: int, count: int) -> list[GroupEvent]:
        """Returns up to `count` events from after a number: of one group, or all.

        Raises:
            GroupNotFoundError: If there never was such a group.
        """

    async def pending_count(self) -> int:
        """Counts the products that were written or removed, and are not grouped yet."""

    async def merge(self, source: int, target: int) -> GroupEvent:
        """Moves all products of a group to another, for good.

        Raises:
            GroupNotFoundError: If there never was such a group.
            GroupConflictError: If one has ended, or both are the same.
        """

    async def split(self, group: int, product_ids: Sequence[str]) -> GroupEvent:
        """Moves some products of a group to a new one, for good.

        Raises:
            GroupNotFoundError: If there never was such a group.
            GroupConflictError: If one is not in it, or none would stay.
        """

    async def undo(self, event: int) -> GroupEvent:
        """Moves the products of an event back to where they were.

        Raises:
            GroupNotFoundError: If there is no such event.
            GroupConflictError: If it was undone, is not between two groups, or nothing is left.
        """


class Encoders(Protocol):
    """Which encoder serves, and which others have embedded the products as well.

    Vectors of two encoders are never compared: each has an index of its own.
    """

    @property
    def current(self) -> str | None:
        """Digest of the encoder that serves; None before the first."""

    @property
    def kept(self) -> frozenset[str]:
        """Digests of the encoders whose vectors every write must renew; empty for one alone.

        Where a write has none of one, the product counts as not embedded by it.
        """

    def count_missing(self, digest: str) -> int:
        """Counts the products that an encoder has not embedded."""

    def count_vectors(self) -> dict[str, int]:
        """Counts the products that each encoder has embedded, by digest; none without any."""

    async def unembedded_after(
        self, number: int, digest: str, count: int
    ) -> list[UnembeddedProduct]:
        """Returns products that an encoder has not embedded, by rising internal number.

        Args:
            number: Products of higher numbers are returned; 0 for the first.
            digest: Digest of the encoder.
            count: Most products.
        """

    async def add(self, vector: NewVector) -> None:
        """Stores what a kept encoder made of a product, which else stays as it is.

        Raises:
            EncoderChangedError: If the encoder is not kept.
            ProductChangedError: If the product was changed or removed since.
        """

    async def keep(self, digest: str) -> None:
        """Keeps the vectors of an encoder up to date from now on, beside the one that serves.

        Raises:
            EncoderConflictError: If those of a third one are kept, or it is being dropped.
        """

    async def switch(self, contract: EncoderContract) -> None:
        """Lets a kept encoder serve that has embedded every product. The one before stays kept.

        Raises:
            EncoderConflictError: If it is not kept, or a product is missing.
        """

    async def drop(self, digest: str) -> int:
        """Removes all vectors of an encoder; returns how many. A repeat goes on.

        Who leaves meanwhile does not stop it.

        Raises:
            EncoderConflictError: If it serves, or none does.
        """


class Catalogue(Protocol):
    """What products there are, and which of them an offer resembles.

    A write is answered once it is stored for good and a search finds it. The methods belong to one
    event loop; what is a property may be asked for by any thread.
    """

    async def use_encoder(
        self, contract: EncoderContract, *, instead_of: str | None = None
    ) -> None:
        """Lets an encoder serve, whatever it has embedded, unless another one came first.

        Args:
            contract: That of the encoder.
            instead_of: Digest of the one that served when this was decided; None for now.
        """

    async def open_index(self, contract: EncoderContract) -> None:
        """Has what an encoder embedded searched as well; a repeat does nothing."""

    async def upsert(self, product: NewProduct) -> Stored:
        """Stores a product, in place of the one of the same id.

        Raises:
            CatalogueDamagedError: If the files can no longer be trusted.
            CatalogueFullError: If the disk is full.
            EncoderChangedError: If the vector of the encoder that serves by now is missing.
            ProductChangedError: If another change wrote it last than the one expected.
            ServerStoppingError: If the catalogue is closing.
        """

    async def delete(self, product_ids: Sequence[str]) -> Deleted:
        """Removes products; goes on while the disk is full, or when the caller leaves.

        After an error some may be gone; a repeat removes the others.

        Raises:
            CatalogueDamagedError: If the files can no longer be trusted.
            ServerStoppingError: If the catalogue is closing.
        """

    async def product(self, product_id: str) -> StoredProduct | None:
        """Returns one product, or None.

        Raises:
            CatalogueDamagedError: If its row is damaged.
        """

    async def changeable(self, product_id: str) -> ChangeableProduct | None:
        """Returns one product with its vectors, or None.

        Raises:
            CatalogueDamagedError: If it is damaged.
        """

    async def thumbnail(self, product_id: str) -> bytes | None:
        """Returns the thumbnail of a product, a JPEG; None for none, or no such product.

        Raises:
            CatalogueDamagedError: If it is damaged.
        """

    async def products_after(self, product_id: str, count: int) -> list[StoredProduct]:
        """Returns up to `count` products by rising product_id, from after the one given.

        What is damaged is set aside and left out.
        """

    async def changes_after(
        self, sequence: int, count: int, *, whole_until: int = 0
    ) -> list[ProductChange]:
        """Returns up to `count` changes after one, by rising sequence; waits until there is one.

        A product comes once, by its last change; before it may come deletions of it. Whoever goes
        on from the last one that came misses nothing.

        Args:
            sequence: The last change that is known; 0 tells every product there is.
            count: Most changes, one or more.
            whole_until: The last change when the caller began from 0, with an empty copy: it has
                not heard of what was deleted before. 0 for one who began elsewhere.

        Raises:
            ChangesForgottenError: If deletions after that change are no longer known, or the
                catalogue has not come so far.
            ServerStoppingError: If the changes were ended.
        """

    def end_changes(self) -> None:
        """Ends the waiting of all who wait for changes; all else goes on."""

    async def embedded_products(
        self, product_ids: Sequence[str], contract: EncoderContract
    ) -> dict[str, EmbeddedProduct]:
        """Returns products with what an encoder made of them, by their ids.

        What is not there, or damaged, is left out.
        """

    async def search(self, query: Query) -> HitPage:
        """Returns the products most alike an offer, best first, scored exactly, cut to a page.

        Raises:
            EncoderUnavailableError: If the catalogue does not search with the query's encoder yet.
        """

    async def stats(self, digest: str | None) -> CatalogueStats:
        """Counts what is stored; None for a digest that is not known counts nothing as stale."""

    async def snapshot(self) -> SnapshotReport:
        """Writes a snapshot of the index, from which the next start is quick.

        Raises:
            CatalogueFullError: If the disk is full.
            ServerStoppingError: If the catalogue is closing.
        """

    @property
    def groups(self) -> Groups:
        """The groups of the same product."""

    @property
    def encoders(self) -> Encoders:
        """The encoders that have embedded the products."""

    @property
    def problem(self) -> TwinshelfError | None:
        """The error that every call meets, as it cannot be trusted or reached; None for none."""

    @property
    def live_recall(self) -> float:
        """Share of the exact best matches of recent queries that the index found; NaN unknown."""

    @property
    def product_count(self) -> int:
        """Products stored."""

    @property
    def indexed_vector_count(self) -> int:
        """Vectors that a search by the serving encoder can return."""

    async def close(self) -> None:
        """Finishes the writes that were accepted and frees what is held."""
