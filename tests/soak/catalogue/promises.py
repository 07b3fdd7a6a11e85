"""What a catalogue must hold by the notes of its writer, and whether it does."""

from __future__ import annotations

from pathlib import Path

from tests.server.catalogue.products import CONTRACT, query_of
from tests.soak.catalogue.writer import (
    AT_ONCE,
    PRODUCT_COUNT,
    Content,
    change_of,
    open_catalogue,
)
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.one_machine.backup import verify
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE

_SEARCHED_COUNT = 25


class Promises:
    """What was acknowledged, and what was only issued, product by product."""

    def __init__(self) -> None:
        """Nothing was."""
        self.acknowledged: dict[str, Content | None] = {}
        self.pending: dict[str, Content | None] = {}
        self.acknowledged_count = 0
        self.next_change = 0

    def read(self, notes: bytes) -> None:
        """Takes up the lines of a writer; a last one that is cut off says nothing."""
        for line in notes.split(b"\n")[:-1]:
            kind, number = line.split()
            planned = change_of(int(number))
            if kind == b"i":
                self.pending[planned.product_id] = planned.content
                self.next_change = max(self.next_change, (int(number) // AT_ONCE + 1) * AT_ONCE)
            else:
                self.acknowledged[planned.product_id] = planned.content
                self.pending.pop(planned.product_id, None)
                self.acknowledged_count += 1

    async def find_broken(self, folder: Path) -> list[str]:
        """Opens a catalogue and says which promises it breaks; settles what was pending."""
        broken = []
        # Before anything is promised, there may be a file without a catalogue in it.
        is_begun = self.acknowledged_count > 0
        if is_begun and not (found := verify(folder / DATABASE)).is_clean:
            broken.append(f"verify says {found.problem or found.damaged}")
        catalogue = open_catalogue(folder)
        await catalogue.use_encoder(CONTRACT)
        stored = {each.record.product_id for each in await catalogue.products_after("", 10**6)}
        for number in range(PRODUCT_COUNT):
            name = f"p{number}"
            allowed = [self.acknowledged.get(name)]
            allowed += [self.pending[name]] if name in self.pending else []
            if (name in stored) not in [each is not None for each in allowed]:
                broken.append(f"{name} is {'there' if name in stored else 'gone'}")
        wanted = {n: e for n, e in self.acknowledged.items() if e is not None and n in stored}
        for name in [n for n in wanted if n not in self.pending][:_SEARCHED_COUNT]:
            hit = (await catalogue.search(query_of(wanted[name].last_photo, count=1))).hits[0]
            if hit.product.record.product_id != name or hit.ranked.score < 0.999:
                broken.append(f"{name} has another vector: {hit.ranked.score:.3f}")
            if (await catalogue.thumbnail(name) or b"") != wanted[name].thumbnail:
                broken.append(f"{name} has another thumbnail")
        stats = await catalogue.stats(CONTRACT.digest)
        if stats.indexed_vector_count != stats.photo_count:
            broken.append(f"{stats.indexed_vector_count} vectors, {stats.photo_count} photos")
        if await _replayed(catalogue, stats.change_sequence) != stored:
            broken.append("the changes lead to other products than those that are there")
        await self._settle(catalogue, stored)
        await catalogue.close()
        return broken

    async def _settle(self, catalogue: Catalogue, stored: set[str]) -> None:
        """Takes what is there of what was pending for what must be there from now on."""
        for name, content in self.pending.items():
            before = self.acknowledged.get(name)
            if name not in stored:
                self.acknowledged[name] = None
            elif before is None or content is None:
                self.acknowledged[name] = content if before is None else before
            else:
                self.acknowledged[name] = await _nearer(catalogue, name, before, content)
        self.pending.clear()


async def _replayed(catalogue: Catalogue, last_sequence: int) -> set[str]:
    """Returns the products that a copy has which follows all changes."""
    copy: set[str] = set()
    sequence = 0
    while sequence < last_sequence:
        for each in await catalogue.changes_after(sequence, 100):
            sequence = each.sequence
            copy = copy - {each.product_id} if each.is_deletion else copy | {each.product_id}
    return copy


async def _nearer(catalogue: Catalogue, name: str, before: Content, after: Content) -> Content:
    hits = (await catalogue.search(query_of(after.embedding, count=1))).hits
    is_after = (
        bool(hits) and hits[0].product.record.product_id == name and hits[0].ranked.score > 0.999
    )
    return after if is_after else before
