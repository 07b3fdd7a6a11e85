"""The collections of a catalogue on Milvus: their fields, and the indexes that the server has.

One holds the products, as whole rows with all that filters need; one for each encoder holds the
vectors, a row for each photo; one holds the thumbnails, one the
groups. From 2.6 on vectors are float16 under HNSW
with scalar quantisation, rescored by float16. Older servers and milvus-lite keep float32 in lists
(IVF_FLAT), since the graph of 2.3.5 loses matches of a filter (one that allows a tenth of 12,000
products: recall@10 .83, against 1 with lists).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.milvus.connection import MilvusConnection, Row
from twinshelf.server.catalogue.milvus.facet_tokens import FACETS, PRICE

# A VARCHAR holds so much, in bytes; longer texts are cut into several.
CHUNK_BYTES: Final = 60_000
_CHUNK_LIMIT, _CHUNK_COUNT, _TOKEN_COUNT = 65_535, 4096, 4096
_KEY_BYTES = 1024
_GRAPH: Final = {
    "index_type": "HNSW_SQ",
    "params": {
        "M": 16,
        "efConstruction": 128,
        "sq_type": "SQ8",
        "refine": True,
        "refine_type": "FP16",
    },
}
_LEAST_WIDTH: Final = 128
_LIST_COUNT: Final = 256
_LISTS: Final = {"index_type": "IVF_FLAT", "params": {"nlist": _LIST_COUNT}}
# What a filter allows may lie in any list; and few vectors of each are looked at.
_PROBED_COUNT: Final = 64
# Milvus wants a vector in every collection.
ANCHOR: Final = "anchor"
_ANCHOR_DIMENSION = 2
NO_ANCHOR: Final = [0.0] * _ANCHOR_DIMENSION


class Collections:
    """Names and makes the collections; a repeat does nothing."""

    def __init__(self, connection: MilvusConnection) -> None:
        """Takes the connection."""
        self._connection = connection
        self._ready: set[str] = set()
        self._lock = threading.Lock()
        name = connection.name
        self.products = f"{name}_products"
        self.thumbnails = f"{name}_thumbnails"
        self.groups = f"{name}_groups"
        self._has_float16 = not connection.is_lite and connection.version >= (2, 6)

    def vectors(self, made_number: int) -> str:
        """Returns the name of the collection of the vectors of an encoder."""
        return f"{self._connection.name}_vectors_{made_number:012x}"

    def make_products(self) -> None:
        """Makes the collection of the products."""
        types = self._connection.types
        self._make(
            self.products,
            [
                self._key(),
                {"field_name": "kind", "datatype": types.INT8},
                {"field_name": "number", "datatype": types.INT64},
                {"field_name": "change", "datatype": types.INT64},
                *self._facets(),
                self._numbers("embedded"),
                {"field_name": "vectors", "datatype": types.VARCHAR, "max_length": _CHUNK_LIMIT},
                self._chunks("body"),
                self._anchor(),
            ],
            [self._scalar_index("number"), self._scalar_index("change"), *self._token_indexes()],
        )

    def make_thumbnails(self) -> None:
        """Makes the collection of the thumbnails, which many catalogues do without."""
        self._make(self.thumbnails, [self._key(), self._chunks("jpeg"), self._anchor()], [])

    def make_groups(self) -> None:
        """Makes the collection of the groups; see `group_rows`."""
        types = self._connection.types
        keys = {"field_name": "product_key", "datatype": types.VARCHAR, "max_length": _KEY_BYTES}
        self._make(
            self.groups,
            [
                self._key(),
                {"field_name": "kind", "datatype": types.INT8},
                keys,
                {"field_name": "source", "datatype": types.INT64},
                {"field_name": "target", "datatype": types.INT64},
                self._chunks("body"),
                self._anchor(),
            ],
            [self._scalar_index("source"), self._scalar_index("target")],
        )

    def has_thumbnails(self) -> bool:
        """Tells whether any server has kept a thumbnail; then they can be read."""
        if self.thumbnails not in self._ready and self._connection.has_collection(self.thumbnails):
            self.make_thumbnails()
        return self.thumbnails in self._ready

    def make_vectors(self, made_number: int, dimension: int) -> None:
        """Makes the collection of the vectors of an encoder, (D,) each."""
        types = self._connection.types
        kind = types.FLOAT16_VECTOR if self._has_float16 else types.FLOAT_VECTOR
        index = _GRAPH if self._has_float16 else _LISTS
        self._make(
            self.vectors(made_number),
            [
                self._key(),
                {"field_name": "product_key", "datatype": types.VARCHAR, "max_length": _KEY_BYTES},
                {"field_name": "number", "datatype": types.INT64},
                {"field_name": "version", "datatype": types.INT64},
                {"field_name": "photo", "datatype": types.INT8},
                {"field_name": "pattern", "datatype": types.INT8},
                *self._facets(),
                {"field_name": "vector", "datatype": kind, "dim": dimension},
            ],
            [{"field_name": "vector", "metric_type": "IP", **index}, *self._token_indexes()],
        )

    def forget(self, made_number: int) -> None:
        """Drops the collection of the vectors of an encoder."""
        name = self.vectors(made_number)
        self._ready.discard(name)
        self._connection.drop(name)

    def search_params(self, limit: int, *, is_filtered: bool) -> Row:
        """Returns how much of the index a search for so many rows looks at."""
        if self._has_float16:
            return {"ef": max(_LEAST_WIDTH, 2 * limit)}
        return {"nprobe": _LIST_COUNT if is_filtered or limit > _LEAST_WIDTH else _PROBED_COUNT}

    def to_vector(self, row: npt.NDArray[np.float16]) -> Any:
        """Returns a vector (D,) as a row of the collection takes it."""
        return row if self._has_float16 else row.astype(np.float32).tolist()

    def from_vectors(self, values: Sequence[Any]) -> npt.NDArray[np.float16]:
        """Returns vectors (N, D) of rows: fp16, as they were written."""
        if self._has_float16:
            values = [np.frombuffer(b"".join(each), dtype=np.float16) for each in values]
        return np.array(values, dtype=np.float32).astype(np.float16)

    def _make(self, name: str, fields: Sequence[Row], indexes: Sequence[Row]) -> None:
        if not any(index["field_name"] == "vector" for index in indexes):
            anchor = {"field_name": ANCHOR, "index_type": "FLAT", "metric_type": "IP"}
            indexes = [anchor, *indexes]
        if name in self._ready:  # writes do not wait while another collection is made
            return
        with self._lock:
            if name not in self._ready:
                self._connection.create(name, fields, indexes)
                self._ready.add(name)

    def _key(self) -> Row:
        types = self._connection.types
        return {
            "field_name": "key",
            "datatype": types.VARCHAR,
            "is_primary": True,
            "max_length": _KEY_BYTES,
        }

    def _facets(self) -> list[Row]:
        price = {"field_name": PRICE, "datatype": self._connection.types.DOUBLE}
        return [self._numbers(FACETS), price]

    def _numbers(self, name: str) -> Row:
        types = self._connection.types
        return {
            "field_name": name,
            "datatype": types.ARRAY,
            "element_type": types.INT64,
            "max_capacity": _TOKEN_COUNT,
        }

    def _chunks(self, name: str) -> Row:
        types = self._connection.types
        return {
            "field_name": name,
            "datatype": types.ARRAY,
            "element_type": types.VARCHAR,
            "max_capacity": _CHUNK_COUNT,
            "max_length": _CHUNK_LIMIT,
        }

    def _anchor(self) -> Row:
        return {
            "field_name": ANCHOR,
            "datatype": self._connection.types.FLOAT_VECTOR,
            "dim": _ANCHOR_DIMENSION,
        }

    def _scalar_index(self, field: str) -> Row:
        is_old = not self._connection.is_lite and self._connection.version < (2, 4)
        return {
            "field_name": field,
            "index_name": field,
            "index_type": "STL_SORT" if is_old else "INVERTED",
        }

    def _token_indexes(self) -> list[Row]:
        """Returns what finds facets quickly; older servers scan the arrays, milvus-lite as well."""
        if self._connection.is_lite or self._connection.version < (2, 5):
            return []
        return [self._scalar_index(FACETS), self._scalar_index(PRICE)]
