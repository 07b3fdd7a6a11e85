"""A batch of writes in parts, each of which Milvus takes within seconds.

A write bears a timestamp that must be young when it is made, and each timestamp is a call. So
hundreds of deletions of many products each, or of long texts, are several steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from twinshelf.server.catalogue.product_record import NewProduct, NewVector, ProductVector
from twinshelf.server.catalogue.write_item import Deletion, Task, WriteItem

# A part waits for ticks of the clock of Milvus, however small it is.
PART_LIMIT: Final = 512
_PART_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """An item of a batch.

    Attributes:
        place: Place of the item in the batch.
        item: What is written.
    """

    place: int
    item: NewProduct | NewVector | Deletion


def parts_of(items: Sequence[WriteItem]) -> Iterator[list[Piece]]:
    """Cuts a batch, in its order; tasks are left out."""
    part: list[Piece] = []
    count = size_bytes = 0
    for place, item in enumerate(items):
        if isinstance(item, Task):
            continue
        piece = Piece(place=place, item=item)
        more_count, more_bytes = len(product_ids(piece.item)), _size_bytes(piece.item)
        if part and (count + more_count > PART_LIMIT or size_bytes + more_bytes > _PART_BYTES):
            yield part
            part, count, size_bytes = [], 0, 0
        part.append(piece)
        count += more_count
        size_bytes += more_bytes
    if part:
        yield part


def product_ids(item: NewProduct | NewVector | Deletion) -> Sequence[str]:
    """Returns the identifiers of the products that are written."""
    match item:
        case NewProduct():
            return (item.record.product_id,)
        case NewVector():
            return (item.product_id,)
        case Deletion():
            return item.product_ids


def vectors(item: NewProduct | NewVector | Deletion) -> Sequence[ProductVector]:
    """Returns the vectors that are written."""
    match item:
        case NewProduct():
            return item.vectors
        case NewVector():
            return (item.made,)
        case Deletion():
            return ()


def _size_bytes(item: NewProduct | NewVector | Deletion) -> int:
    size_bytes = item.record.size_bytes if isinstance(item, NewProduct) else 0
    # Older servers keep float32.
    return size_bytes + sum(
        2 * made.vector.nbytes * (1 + len(made.further_images)) for made in vectors(item)
    )
