"""What all servers of a catalogue on Milvus must know of it: one row that each reads anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from twinshelf.server.catalogue.encoder_state import EncoderState

# What is not a product stands before the products, whose keys are hex digits.
STATE_KEY = "!"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueState:
    """The encoders of a catalogue.

    Attributes:
        encoders: Which one serves, and which are kept.
        drops: How often the vectors of an encoder were dropped, by digest.
        known: Digests of the encoders that may have embedded something.
    """

    encoders: EncoderState = field(default_factory=EncoderState)
    drops: Mapping[str, int] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    def made_number(self, digest: str) -> int:
        """Returns what stands for the vectors of an encoder: another one after a drop.

        It follows from what all know, so that two servers never choose different ones.
        """
        return _made_number(digest, self.drops.get(digest, 0))

    @property
    def dropped_numbers(self) -> list[int]:
        """What stood for vectors before they were dropped; it never comes back."""
        return [_made_number(each, n) for each, count in self.drops.items() for n in range(count)]

    @property
    def digests(self) -> dict[int, str]:
        """Digests of the known encoders, by `made_number`."""
        return {self.made_number(digest): digest for digest in self.known}

    def knowing(self, digest: str) -> CatalogueState:
        """Returns the state in which an encoder has embedded something."""
        return replace(self, known=self.known | {digest})

    def dropping(self, digest: str) -> CatalogueState:
        """Returns the state after the vectors of an encoder were dropped.

        Raises:
            EncoderConflictError: If it serves.
        """
        return replace(
            self,
            encoders=self.encoders.dropping(digest),
            drops={**self.drops, digest: self.drops.get(digest, 0) + 1},
            known=self.known - {digest},
        )

    def to_json(self) -> str:
        """Returns it as it is stored."""
        return json.dumps(
            {
                "current": self.encoders.current,
                "kept": sorted(self.encoders.kept),
                "drops": dict(self.drops),
                "known": sorted(self.known),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` returned."""
        values = json.loads(text)
        return cls(
            encoders=EncoderState(current=values["current"], kept=frozenset(values["kept"])),
            drops=values["drops"],
            known=frozenset(values["known"]),
        )


def _made_number(digest: str, drop_count: int) -> int:
    text = f"{digest}/{drop_count}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())
