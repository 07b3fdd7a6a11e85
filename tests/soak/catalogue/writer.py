"""A process that changes a catalogue until it is killed, and notes what it was promised.

python -m tests.soak.catalogue.writer FOLDER NOTES FIRST_CHANGE SNAPSHOT_EVERY

Changes follow from their numbers alone, so that whoever reads the notes knows what must be there. A
line "i 7" says that change 7 was issued, "a 7" that it was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from tests.server.catalogue.products import CONTRACT, new_product, random_embedding
from twinshelf.server.catalogue.catalogue import Catalogue, SnapshotReport
from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.index.graph import IndexConfig
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.encoders.embedding import OfferEmbedding

PRODUCT_COUNT = 400
AT_ONCE = 16
# Graphs and merges already at some hundred products.
CONFIG = IndexConfig(slot_count=2, exact_limit=50, churn_share=0.1, churn_floor=20, merge_floor=50)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Content:
    """What a product becomes.

    Attributes:
        embedding: Its embedding, with its first photo.
        further: Of each the photo is a further one.
        thumbnail: Stands for a picture of it.
    """

    embedding: OfferEmbedding
    further: tuple[OfferEmbedding, ...]
    thumbnail: bytes

    @property
    def last_photo(self) -> OfferEmbedding:
        """The last of its photos, with its text."""
        image = (self.embedding, *self.further)[-1].image
        return OfferEmbedding(image=image, text=self.embedding.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What change number N does.

    Attributes:
        product_id: The product.
        content: What it becomes; None when it is removed.
    """

    product_id: str
    content: Content | None


def change_of(number: int) -> Change:
    """Returns what a change does; changes of one batch concern different products."""
    batch, place = divmod(number, AT_ONCE)
    chosen = np.random.default_rng(batch).choice(PRODUCT_COUNT, AT_ONCE, replace=False)
    rng = np.random.default_rng([number, 1])
    content = None
    if rng.random() >= 0.15:
        content = Content(
            embedding=random_embedding(rng),
            further=tuple(random_embedding(rng) for _ in range(number % 3)),
            thumbnail=b"%d" % number if number % 4 else b"",
        )
    return Change(product_id=f"p{chosen[place]}", content=content)


def open_catalogue(folder: Path, guards: GroupGuards | None = None) -> SqliteCatalogue:
    """Opens the catalogue as the writer does; with guards it groups."""
    return SqliteCatalogue(folder, reader_count=2, config=CONFIG, guards=guards)


async def change(catalogue: Catalogue, number: int, notes: int) -> None:
    """Makes one change, noting when it is issued and when it is acknowledged."""
    planned = change_of(number)
    os.write(notes, b"i %d\n" % number)
    content = planned.content
    if content is None:
        await catalogue.delete([planned.product_id])
    else:
        product = new_product(planned.product_id, content.embedding, further=content.further)
        await catalogue.upsert(replace(product, thumbnail=content.thumbnail))
    os.write(notes, b"a %d\n" % number)


async def write(folder: Path, notes_path: Path, first: int, snapshot_every: int) -> None:
    """Writes for ever."""
    notes = os.open(notes_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    catalogue = open_catalogue(folder)
    await catalogue.use_encoder(CONTRACT)
    snapshots: asyncio.Future[SnapshotReport] | None = None
    for batch in count(first // AT_ONCE):
        numbers = range(batch * AT_ONCE, (batch + 1) * AT_ONCE)
        await asyncio.gather(*(change(catalogue, number, notes) for number in numbers))
        if batch % snapshot_every == 0 and (snapshots is None or snapshots.done()):
            snapshots = asyncio.ensure_future(catalogue.snapshot())


if __name__ == "__main__":
    folder, notes, first, every = sys.argv[1:]
    asyncio.run(write(Path(folder), Path(notes), int(first), int(every)))
