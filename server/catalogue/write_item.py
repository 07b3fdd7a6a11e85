"""What is submitted to the writer of a catalogue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from twinshelf.server.catalogue.product_record import Deleted, NewProduct, NewVector


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Products that are to be removed."""

    product_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorDrop:
    """Vectors of an encoder that are to be removed, as many as one transaction should.

    Attributes:
        digest: Digest of the encoder.
        count: Most vectors of either table.
    """

    digest: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that is done after all writes before it, and before those after it."""

    function: Callable[[], object]

    def result(self) -> object:
        """Does it, and returns the result or the error with which it failed."""
        try:
            return self.function()
        except Exception as error:  # handed to whoever waits for it
            return error


async def submit_deletion(
    submit: Callable[[Deletion], Awaitable[object]], product_ids: Sequence[str], count: int
) -> Deleted:
    """Removes some products at a time, so that other writes pass between.

    Args:
        submit: Waits until a deletion is made, and returns what was removed.
        product_ids: Identifiers of the products; repeated ones count once.
        count: Most of them at a time.
    """
    asked = tuple(dict.fromkeys(product_ids))
    parts: list[Deleted] = []
    for start in range(0, len(asked), count):
        part = await submit(Deletion(product_ids=asked[start : start + count]))
        assert isinstance(part, Deleted)
        parts.append(part)
    return Deleted.joined(parts)


WriteItem = NewProduct | NewVector | Deletion | Task
# What the catalogue of one machine takes.
FileItem = WriteItem | VectorDrop
