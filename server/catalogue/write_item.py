"""What is submitted to the writer of a catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twinshelf.server.catalogue.product_record import NewProduct, NewVector


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


WriteItem = NewProduct | NewVector | Deletion | Task
# What the catalogue of one machine takes.
FileItem = WriteItem | VectorDrop
