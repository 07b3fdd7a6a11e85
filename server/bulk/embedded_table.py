"""The table of embedded products: its columns, made of what an encoder answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinshelf.server.catalogue.product_record import (
    NO_IMAGES,
    NewProduct,
    ProductRecord,
    ProductVector,
)
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding, stored_vector

Halves = npt.NDArray[np.float16]
NO_RECORD = ProductRecord(product_id="")
TEXT_FIELDS = (
    *("product_id", "title", "description", "category", "brand", "seller"),
    "image_uri",
)


@dataclass(slots=True, kw_only=True)
class EmbeddedRow:
    """A row of an input and what became of it.

    Attributes:
        row_number: From 1, the header of the input not counted.
        record: Its fields; those of a row that could not be read are empty.
        embedding: What the encoder made of it; None when the row failed.
        further_images: (P, I) what it made of the photos after the first.
        thumbnail: The first photo as a small JPEG; empty for none, None where that is not known.
        error: Why the row failed; empty when it did not.
        photo_error: Why one of its photos was left out; empty when none was.
    """

    row_number: int
    record: ProductRecord = NO_RECORD
    embedding: OfferEmbedding | None = None
    further_images: Halves = field(default_factory=lambda: NO_IMAGES)
    thumbnail: bytes | None = None
    error: str = ""
    photo_error: str = ""


def table_schema(contract: EncoderContract) -> pa.Schema:
    """Returns the columns of a table: a row for each row of the input, failed ones too.

    `image_embedding` and `text_embedding` are the unit halves, null where there is none.

    Args:
        contract: That of the encoder.
    """
    image = pa.list_(pa.float16(), contract.image_dimension)
    return pa.schema(
        [
            ("row_number", pa.int64()),
            *((name, pa.string()) for name in TEXT_FIELDS),
            ("price", pa.float64()),
            ("attributes", pa.map_(pa.string(), pa.string())),
            ("image_embedding", image),
            ("text_embedding", pa.list_(pa.float16(), contract.text_dimension)),
            ("further_image_embeddings", pa.list_(image)),
            ("encoder_digest", pa.string()),
            ("thumbnail", pa.binary()),
            ("error", pa.string()),
            ("photo_error", pa.string()),
        ]
    )


def make_table(rows: Sequence[EmbeddedRow], contract: EncoderContract) -> pa.Table:
    """Returns the table of some rows.

    Args:
        rows: The rows (N).
        contract: That of the encoder which embedded them.
    """
    made = [row.embedding for row in rows]
    records = [row.record for row in rows]
    columns: list[pa.Array] = [
        pa.array([row.row_number for row in rows], pa.int64()),
        *(pa.array([getattr(r, name) for r in records], pa.string()) for name in TEXT_FIELDS),
        pa.array([record.price for record in records], pa.float64()),
        pa.array(
            # A message's map has no order.
            [sorted(record.attributes.items()) for record in records],
            pa.map_(pa.string(), pa.string()),
        ),
        _halves([None if each is None else each.image for each in made], contract.image_dimension),
        _halves([None if each is None else each.text for each in made], contract.text_dimension),
        _further(rows, contract.image_dimension),
        pa.array([None if each is None else contract.digest for each in made], pa.string()),
        pa.array([row.thumbnail for row in rows], pa.binary()),
        pa.array([_reason(row.error) for row in rows], pa.string()),
        pa.array([_reason(row.photo_error) for row in rows], pa.string()),
    ]
    return pa.table(columns, schema=table_schema(contract))


def read_products(
    table: pa.RecordBatch, contract: EncoderContract
) -> Iterator[tuple[int, NewProduct]]:
    """Yields the products of a table as a catalogue takes them, each with the number of its row.

    Rows that failed are passed over.

    Args:
        table: Columns as `table_schema` says.
        contract: That of the encoder.

    Raises:
        ValueError: If a row of it is no unit row.
    """
    images = _rows_of(table.column("image_embedding"), contract.image_dimension)
    texts = _rows_of(table.column("text_embedding"), contract.text_dimension)
    further = table.column("further_image_embeddings").to_pylist()
    names = ["row_number", *TEXT_FIELDS, "price", "attributes", "thumbnail", "error"]
    plain = table.select(names).to_pylist()
    for place, values in enumerate(plain):
        if values.pop("error") is not None:
            continue
        row_number, thumbnail = values.pop("row_number"), values.pop("thumbnail")
        embedding = OfferEmbedding(image=images[place], text=texts[place])
        vector = ProductVector(
            digest=contract.digest,
            pattern=embedding.pattern,
            vector=stored_vector(embedding, contract),
            further_images=np.asarray(further[place], np.float16) if further[place] else NO_IMAGES,
        )
        record = ProductRecord(**values | {"attributes": dict(values["attributes"])})
        # Embedding makes no thumbnail: that of the catalogue stays.
        yield row_number, NewProduct(record=record, vectors=(vector,), thumbnail=thumbnail)


def _reason(text: str) -> str | None:
    """Returns a reason as a table holds it: names of files in it need not be UTF-8."""
    return text.encode(errors="replace").decode() or None


def _halves(rows: Iterable[npt.NDArray[np.float32] | None], dimension: int) -> pa.Array:
    """Returns a column of (N) rows (D,), null where there is none."""
    rows = list(rows)
    values = np.zeros((len(rows), dimension), dtype=np.float16)
    for place, row in enumerate(rows):
        if row is not None:
            values[place] = row
    missing = pa.array([row is None for row in rows], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dimension, mask=missing)


def _further(rows: Sequence[EmbeddedRow], dimension: int) -> pa.Array:
    """Returns a column of lists of rows (I,)."""
    counts = [len(row.further_images) for row in rows]
    images = [row.further_images for row in rows if len(row.further_images)]
    values = np.concatenate(images) if images else np.empty((0, dimension), dtype=np.float16)
    inner = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dimension)
    return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *counts]), pa.int32()), inner)


def _rows_of(column: pa.FixedSizeListArray, dimension: int) -> list[npt.NDArray[np.float32] | None]:
    """Returns the rows (D,) of a column; None where it is null."""
    values = column.fill_null([0.0] * dimension).flatten().to_numpy(zero_copy_only=False)
    rows = values.reshape(-1, dimension).astype(np.float32)
    is_there = column.is_valid().to_pylist()
    return [row if there else None for row, there in zip(rows, is_there, strict=True)]
