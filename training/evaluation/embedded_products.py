"""What an evaluation reads: tables of products, and products with their embeddings."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from twinshelf.client.files.rows import BadRow
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.checkpoint import TrainedEncoder, load_encoder
from twinshelf.training.command_line import choose_device
from twinshelf.training.data.data_module import Collator, ProductRows
from twinshelf.training.data.pixel_cache import open_photos
from twinshelf.training.retrieval.embeddings import PATTERNS, ProductEmbeddings
from twinshelf.training.runs.tracking import TrackedRun

MOST_BAD_ROWS_LOGGED = 5
Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_]
logger = logging.getLogger(__name__)


def read_products(
    paths: Sequence[Path],
    notes: list[str],
    columns: Mapping[str, Sequence[str]] | None = None,
    image_root: Path | None = None,
) -> tuple[Product, ...]:
    """Reads tables of products whole, each identifier once, in the order of the files.

    Args:
        paths: CSV or Parquet files.
        notes: Filled with what of the files could not be used, and which rows were left out because
            they could not be read or their identifier had come before; one sentence each.
        columns: Our column names to those of the files, where they differ.
        image_root: Folder in which photos may lie, besides that of each table.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file cannot be read, or none has a usable row.
    """
    products: dict[str, Product] = {}
    bad_rows: list[BadRow] = []
    repeated_count = 0
    for path in paths:
        earlier = set(products)
        for row_number, row in enumerate(read_table(path, columns, notes, image_root), start=1):
            if isinstance(row, BadRow):
                bad_rows.append(row)
            elif row.product_id in earlier:
                repeated_count += 1
            elif row.product_id in products:
                reason = f"product_id {row.product_id!r} stands in an earlier row already"
                bad_rows.append(BadRow(source=str(path), row_number=row_number, reason=reason))
            else:
                products[row.product_id] = row
    for bad_row in bad_rows[:MOST_BAD_ROWS_LOGGED]:
        logger.warning("left out %s", bad_row)
    if not products:
        names = ", ".join(str(path) for path in paths)
        raise ValueError(f"{names} holds no usable row" + (f": {bad_rows[0]}" if bad_rows else ""))
    if bad_rows:
        notes.append(f"{len(bad_rows)} rows were left out, first: {bad_rows[0]}")
    if repeated_count:
        notes.append(f"{repeated_count} rows stand in an earlier file too and count once")
    return tuple(products.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedProducts:
    """N products with their embeddings and labels.

    Attributes:
        embeddings: Unit or zero rows per modality (N).
        product_ids: Identifiers.
        groups: Groups; "" where unknown.
        categories: Categories; "" where unknown.
    """

    embeddings: ProductEmbeddings
    product_ids: tuple[str, ...]
    groups: tuple[str, ...]
    categories: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.embeddings)

    def rows(self, selection: Rows) -> EmbeddedProducts:
        """Returns the selected products, chosen by number or by a mask."""
        numbers = np.arange(len(self))[selection]
        texts = {
            name: tuple(getattr(self, name)[number] for number in numbers)
            for name in ("product_ids", "groups", "categories")
        }
        return EmbeddedProducts(embeddings=self.embeddings.rows(numbers), **texts)

    @property
    def clusters(self) -> tuple[str, ...]:
        """What each belongs to: its group, or itself without one."""
        return tuple(
            f"group {group}" if group else f"product {product_id}"
            for group, product_id in zip(self.groups, self.product_ids, strict=True)
        )

    def judged_against(
        self, gallery: EmbeddedProducts
    ) -> tuple[EmbeddedProducts, EmbeddedProducts]:
        """Takes groups that are identifiers of products of a gallery for the groups of those.

        Returns the offers whose product is there, and the gallery; groups tell products apart.
        """
        names = gallery.clusters
        group_of = dict(zip(gallery.product_ids, names, strict=True))
        known = self.rows(np.array([name in group_of for name in self.groups], np.bool_))
        groups = tuple(group_of[name] for name in known.groups)
        return replace(known, groups=groups), replace(gallery, groups=names)

    def with_pattern(self, pattern: str) -> npt.NDArray[np.bool_]:
        """Returns which products have all modalities of a pattern, bool (N,)."""
        presence = self.embeddings.presence
        if pattern == "both":
            return np.asarray(presence.all(axis=1))
        return presence[:, PATTERNS.index(pattern)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """Embeds products with the encoder of a run.

    Attributes:
        run: Folder of the run.
        encoder: Its encoder.
        device: "cpu" or "cuda".
        notes: Filled with what a reader of results should know.
    """

    run: Path
    encoder: TrainedEncoder
    device: str = "cpu"
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of_run(cls, run: Path, device: str) -> Embedder:
        """Loads the encoder of a run; "auto" computes on a GPU if there is one.

        Raises:
            FileNotFoundError: If a file of the run is missing.
            ValueError: If one cannot be read.
        """
        return cls(run=run, encoder=load_encoder(run), device=choose_device(device))

    @property
    def tracked_run(self) -> TrackedRun:
        """The run, as its training was tracked."""
        return TrackedRun(folder=self.run, loggers=self.encoder.config.loop.loggers)

    @property
    def fusion_weight(self) -> float:
        """The weight of the image where both modalities count, 0 to 1."""
        return self.encoder.model.fusion.plain_weight()

    def read(
        self, name: str, paths: Sequence[Path], columns: Mapping[str, Sequence[str]]
    ) -> tuple[Product, ...]:
        """Reads tables as `read_products` does, or, without paths, one of the run's own.

        The name, "queries" or "gallery", says which.
        """
        own = Path(self.encoder.config.data.folder) / f"{name}.parquet"
        if not paths and not own.is_file():
            raise FileNotFoundError(f"no table of {name} at {own}: run `make data` first")
        return read_products(paths or (own,), self.notes, columns if paths else None)

    def embed(
        self, name: str, products: Sequence[Product], *, are_passages: bool
    ) -> EmbeddedProducts:
        """Embeds products as `embed_products` does, and notes what could not be.

        The notes call them by the name, such as "queries".
        """
        logger.info("embedding %d %s", len(products), name)
        embedded = embed_products(
            self.encoder, products, are_passages=are_passages, device=self.device
        )
        present = embedded.embeddings.presence
        claimed = sum(bool(product.images) for product in products)
        if (lost := claimed - int(present[:, 0].sum())) > 0:
            self.notes.append(f"{lost} photos of the {name} could not be read and count as missing")
        if empty := int((~present.any(axis=1)).sum()):
            self.notes.append(f"{empty} of the {name} have nothing to embed and cannot be found")
        return embedded


@torch.inference_mode()
def embed_products(
    encoder: TrainedEncoder,
    products: Sequence[Product],
    *,
    are_passages: bool,
    device: str = "cpu",
) -> EmbeddedProducts:
    """Embeds products as the published encoder will: main photo and joined text fields.

    A photo that cannot be decoded is logged and counts as missing.

    Args:
        encoder: The trained encoder; its model is moved to the device.
        products: What to embed.
        are_passages: Whether they are catalogue products, which get the passage prefix; offers
            get the query prefix.
        device: "cpu" or "cuda".
    """
    data = encoder.config.data
    paths = (path for product in products for path in product.images[:1])
    rows = ProductRows(
        products,
        [0] * len(products),
        open_photos(paths, encoder.settings, data.pixel_cache),
        encoder.settings,
        is_passage=[are_passages] * len(products),
    )
    batches = DataLoader(
        rows,
        batch_size=data.embedding_batch_size,
        collate_fn=Collator(encoder.tokenizer, encoder.settings.image_size_px),
    )
    model = encoder.model.to(device).eval()
    image = np.zeros((len(products), model.image_tower.embedding_dim), dtype=np.float32)
    text = np.zeros((len(products), model.text_tower.embedding_dim), dtype=np.float32)
    start = 0
    for batch in batches:  # what is missing stays zero
        has_image, has_text = (
            start + np.flatnonzero(each) for each in (batch.has_image, batch.has_text)
        )
        if len(has_image):
            pixels = batch.pixels[batch.has_image].to(device)
            image[has_image] = model.image_tower(pixels).float().cpu().numpy()
        if len(has_text):
            ids = batch.input_ids[batch.has_text].to(device)
            mask = batch.attention_mask[batch.has_text].to(device)
            text[has_text] = model.text_tower(ids, mask).float().cpu().numpy()
        start += len(batch.labels)
    return EmbeddedProducts(
        embeddings=ProductEmbeddings(image=image, text=text),
        product_ids=tuple(product.product_id for product in products),
        groups=tuple(product.group for product in products),
        categories=tuple(product.category for product in products),
    )


def embed_contents(
    encoder: TrainedEncoder, products: Sequence[Product], *, are_passages: bool, device: str = "cpu"
) -> ProductEmbeddings:
    """Embeds products as `embed_products` does, but those of the same content once."""
    keys = [
        tuple(str(getattr(product, part.name)) for part in fields(product)[1:])
        for product in products
    ]
    unique = dict(zip(keys, products, strict=True))
    places = {key: place for place, key in enumerate(unique)}
    embedded = embed_products(
        encoder, list(unique.values()), are_passages=are_passages, device=device
    )
    return embedded.embeddings.rows(np.array([places[key] for key in keys], dtype=np.int64))
