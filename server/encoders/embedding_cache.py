"""What photos and texts were embedded to lately, so that a repeated one is not embedded again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cachetools import LRUCache

from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import Floats, OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern

_Key = tuple[str, Pattern, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is known of a row, and what is not.

    Attributes:
        image: (I,) unit row of its photo, or None.
        text: (T,) unit row of its text, or None.
        rest: What is still to be embedded; None for nothing.
        keys: Of its photo and its text; None for what it lacks.
    """

    image: Floats | None
    text: Floats | None
    rest: EncoderInput | None
    keys: tuple[_Key | None, _Key | None]


class EmbeddingCache:
    """The halves that were asked for last, by content and encoder. Belongs to one event loop.

    A key is a cryptographic digest of the bytes: nobody can make a photo that is taken for another.

    Attributes:
        hit_count: Photos and texts that were remembered.
        miss_count: Photos and texts that were not.
    """

    def __init__(self, capacity: int) -> None:
        """Makes an empty cache.

        Args:
            capacity: Most photos and texts together; 0 remembers none.
        """
        self._halves: LRUCache[_Key, Floats] = LRUCache(capacity)
        self.hit_count = 0
        self.miss_count = 0

    def recall(self, row: EncoderInput, contract: EncoderContract) -> Remembered:
        """Returns what an encoder made of a row's photo and text before."""
        if not self._halves.maxsize:
            return Remembered(image=None, text=None, rest=row, keys=(None, None))
        keys = (
            _key(contract, Pattern.IMAGE, row.image),
            _key(contract, Pattern.TEXT, None if row.text is None else row.text.encode()),
        )
        image, text = map(self._find, keys)
        missing_image = row.image if image is None else None
        missing_text = row.text if text is None else None
        is_complete = missing_image is None and missing_text is None
        rest = None if is_complete else EncoderInput(image=missing_image, text=missing_text)
        return Remembered(image=image, text=text, rest=rest, keys=keys)

    def keep(self, known: Remembered, embedding: OfferEmbedding) -> None:
        """Remembers what was embedded of a row beside what was known of it.

        Args:
            known: What `recall` returned for the row.
            embedding: The whole row's.
        """
        new_image = embedding.image if known.image is None else None
        new_text = embedding.text if known.text is None else None
        for key, half in zip(known.keys, (new_image, new_text), strict=True):
            if key is not None and half is not None:
                # A copy: the half may lie in a message that is to be freed.
                self._halves[key] = half.copy()

    def _find(self, key: _Key | None) -> Floats | None:
        if key is None:
            return None
        half = self._halves.get(key)
        if half is None:
            self.miss_count += 1
        else:
            self.hit_count += 1
        return half


def _key(contract: EncoderContract, modality: Pattern, content: bytes | None) -> _Key | None:
    if content is None:
        return None
    return contract.digest, modality, hashlib.blake2b(content, digest_size=32).digest()
