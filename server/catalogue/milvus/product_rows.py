"""A product as a row of Milvus: whole, with its facets and with what encoders made of it.

The row decides which vectors count: of those that lie in the collections of the encoders, the ones
whose version it names. So a write first adds vectors, then puts the row in the place of the old
one, which is one step for whoever reads, and then removes the vectors before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.milvus.collections import ANCHOR, CHUNK_BYTES, NO_ANCHOR
from twinshelf.server.catalogue.milvus.connection import Row
from twinshelf.server.catalogue.milvus.facet_tokens import (
    FACETS,
    PRICE,
    facet_tokens,
    stored_price,
)
from twinshelf.server.catalogue.milvus.state import STATE_KEY, CatalogueState
from twinshelf.server.catalogue.product_record import ProductRecord, ProductVector, VectorState
from twinshelf.server.encoders.modalities import Pattern

STATE, PRODUCT, DELETION, CLAIM = 0, 1, 2, 3
FIELDS = ("key", "kind", "number", "change", "vectors", "body")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeVectors:
    """What one encoder made of a product, as its row names it.

    Attributes:
        pattern: Modalities that are embedded.
        version: That of the rows of the vectors.
        further_count: Photos after the first.
        image_dimension: Length of the half of a photo; 0 without further photos.
        mark: A hash of the vectors; equal ones are not written anew.
    """

    pattern: Pattern
    version: int
    further_count: int
    image_dimension: int
    mark: str

    @property
    def state(self) -> VectorState:
        """The same for those who count."""
        return VectorState(
            pattern=self.pattern, version=self.version, further_count=self.further_count
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRow:
    """A product, or that there is none any more.

    Attributes:
        number: Its internal number: the timestamp of its first write.
        change: Timestamp of the write that made the row.
        record: Its fields; of one that was deleted, its identifier alone.
        is_deletion: Whether it was deleted.
        update_time_us: Microseconds since 1970, UTC.
        vectors: What encoders made of it, by `made_number` of the state.
    """

    number: int
    change: int
    record: ProductRecord
    is_deletion: bool = False
    update_time_us: int = 0
    vectors: Mapping[int, MadeVectors] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Key of the row."""
        return product_key(self.record.product_id)

    @property
    def facets(self) -> Row:
        """The fields that filters ask for; the rows of the vectors have them, too."""
        return {FACETS: facet_tokens(self.record), PRICE: stored_price(self.record)}

    def to_row(self) -> Row:
        """Returns it as Milvus keeps it."""
        made = {
            f"{number:x}": [int(each.pattern), *astuple(each)[1:]]
            for number, each in self.vectors.items()
        }
        record = self.record
        body = [
            *(record.product_id, record.title, record.description, record.category),
            *(record.brand, record.seller, record.price, dict(record.attributes)),
            *(record.image_uri, self.update_time_us),
        ]
        return {
            "key": self.key,
            "kind": DELETION if self.is_deletion else PRODUCT,
            "number": self.number,
            "change": self.change,
            **({FACETS: [], PRICE: 0.0} if self.is_deletion else self.facets),
            "embedded": [embedded_token(n, each.pattern) for n, each in self.vectors.items()],
            "vectors": json.dumps(made),
            "body": chunks_of(json.dumps(body, ensure_ascii=False)),
            ANCHOR: NO_ANCHOR,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ProductRow:
        """Reads the `FIELDS` of a row."""
        *fields, update_time_us = json.loads("".join(row["body"]))
        product_id, title, description, category, brand, seller, price, attributes, uri = fields
        return cls(
            number=row["number"],
            change=row["change"],
            is_deletion=row["kind"] == DELETION,
            update_time_us=update_time_us,
            record=ProductRecord(
                product_id=product_id,
                title=title,
                description=description,
                category=category,
                brand=brand,
                seller=seller,
                price=price,
                attributes=attributes,
                image_uri=uri,
            ),
            vectors={
                int(number, 16): MadeVectors(
                    pattern=Pattern(pattern),
                    version=version,
                    further_count=count,
                    image_dimension=dimension,
                    mark=mark,
                )
                for number, (pattern, version, count, dimension, mark) in json.loads(
                    row["vectors"]
                ).items()
            },
        )


def state_row(state: CatalogueState) -> Row:
    """Returns the row of the state, which stands among the products."""
    return _other_row(STATE_KEY, STATE, state.to_json())


def claim_row(key: str, timestamp: int, product_keys: Sequence[str]) -> Row:
    """Returns the row of a claim; see `Claims`."""
    return _other_row(key, CLAIM, json.dumps([timestamp, *product_keys]))


def _other_row(key: str, kind: int, body: str) -> Row:
    """Returns a row of the products' collection that is no product."""
    return {
        "key": key,
        "kind": kind,
        "number": 0,
        "change": 0,
        FACETS: [],
        PRICE: 0.0,
        "embedded": [],
        "vectors": "{}",
        "body": chunks_of(body),
        ANCHOR: NO_ANCHOR,
    }


def product_key(product_id: str) -> str:
    """Returns the key of a product: hex digits, which need no quoting and keep the order."""
    return product_id.encode().hex()


def embedded_token(made_number: int, pattern: Pattern) -> int:
    """Returns what stands in a row for an encoder and the modalities that it embedded."""
    return made_number << 2 | pattern


def chunks_of(text: str) -> list[str]:
    """Cuts a text into pieces that Milvus takes, between characters."""
    data, chunks, start = text.encode(), [], 0
    while start < len(data):
        end = start + CHUNK_BYTES
        while end < len(data) and data[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        chunks.append(data[start:end].decode())
        start = end
    return chunks


def mark_of(made: ProductVector) -> str:
    """Returns a hash of the vectors of a product."""
    digest = hashlib.blake2b(bytes([made.pattern]), digest_size=12)
    digest.update(made.rows.tobytes())
    return digest.hexdigest()


def vector_keys(number: int, version: int, photo_count: int) -> list[str]:
    """Returns the keys of the rows of the vectors of a product.

    They begin with chance, so that those after a chance key are a sample.
    """
    chance = hashlib.blake2b(number.to_bytes(8), digest_size=4).hexdigest()
    return [f"{chance}-{number:x}-{version:x}-{photo:x}" for photo in range(photo_count)]


def made_vector(digest: str, made: MadeVectors, rows: npt.NDArray[np.float16]) -> ProductVector:
    """Returns what an encoder made of a product, from the rows (1 + P, D) of its vectors."""
    return ProductVector(
        digest=digest,
        pattern=made.pattern,
        vector=rows[0],
        further_images=rows[1:, : made.image_dimension],
    )
