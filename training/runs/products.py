"""Tables of products, read and embedded with the encoder of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.catalogues.table import read_table
from training.checkpoint import TrainedEncoder
from training.evaluation.embedded import EmbeddedProducts, embed_products
from training.product import BadRow, Product

MOST_BAD_ROWS_LOGGED = 5
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductTables:
    """Products of one or several tables, each identifier once.

    Attributes:
        products: The products, in the order of the files.
        bad_rows: Rows that could not be read, and second rows of an identifier in one file.
        repeated_count: Rows of a later file whose identifier an earlier file has; left out.
    """

    products: tuple[Product, ...]
    bad_rows: tuple[BadRow, ...] = ()
    repeated_count: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know, one sentence each."""
        notes = []
        if self.bad_rows:
            notes.append(f"{len(self.bad_rows)} rows were left out, first: {self.bad_rows[0]}")
        if self.repeated_count:
            notes.append(f"{self.repeated_count} rows stand in an earlier file too and count once")
        return tuple(notes)


def read_products(paths: Sequence[Path], columns: Mapping[str, str] | None = None) -> ProductTables:
    """Reads tables of products whole.

    Args:
        paths: CSV or Parquet files.
        columns: Our column names to those of the files, where they differ.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file cannot be read, or none has a usable row.
    """
    products: dict[str, Product] = {}
    bad_rows: list[BadRow] = []
    repeated_count = 0
    for path in paths:
        ours: set[str] = set()
        for row_number, row in enumerate(read_table(path, columns), start=1):
            if isinstance(row, BadRow):
                bad_rows.append(row)
            elif row.product_id in ours:
                reason = f"product_id {row.product_id!r} stands in an earlier row already"
                bad_rows.append(BadRow(source=str(path), row_number=row_number, reason=reason))
            elif row.product_id in products:
                repeated_count += 1
            else:
                products[row.product_id] = row
                ours.add(row.product_id)
    for bad_row in bad_rows[:MOST_BAD_ROWS_LOGGED]:
        logger.warning("left out %s", bad_row)
    if not products:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"{names} holds no usable row" + (f": {bad_rows[0]}" if bad_rows else ""))
    return ProductTables(
        products=tuple(products.values()),
        bad_rows=tuple(bad_rows),
        repeated_count=repeated_count,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """Embeds products with the encoder of a run.

    Attributes:
        encoder: The encoder.
        device: "cpu" or "cuda".
        notes: Filled with what a reader of results should know.
    """

    encoder: TrainedEncoder
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)

    @property
    def fusion_weight(self) -> float:
        """The share of the image where both modalities count, 0 to 1."""
        return self.encoder.model.fusion.image_share()

    def embed(
        self, name: str, products: Sequence[Product], *, are_passages: bool
    ) -> EmbeddedProducts:
        """Embeds products, and notes what could not be.

        Args:
            name: What they are, for the notes: "queries".
            products: What to embed.
            are_passages: Whether they are catalogue products.
        """
        logger.info("embedding %d %s", len(products), name)
        embedded = embed_products(
            self.encoder,
            products,
            are_passages=are_passages,
            pixel_cache=Path(self.encoder.config.data.pixel_cache),
            batch_size=self.encoder.config.data.embedding_batch_size,
            device=self.device,
        )
        present = embedded.embeddings.presence
        claimed = sum(bool(product.images) for product in products)
        if (lost := claimed - int(present[:, 0].sum())) > 0:
            self.notes.append(f"{lost} photos of the {name} were unreadable and count as absent")
        if empty := int((~present.any(axis=1)).sum()):
            self.notes.append(f"{empty} of the {name} have nothing to embed")
        return embedded
