"""Products with their embeddings and labels: what an evaluation reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader

from training.checkpoint import TrainedEncoder
from training.data_module import Batch, Collator, ProductRows
from training.embeddings import ProductEmbeddings
from training.pixels import decode_once
from training.product import Product
from training.towers import FusedEncoder

Rows = npt.NDArray[np.int64] | npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedProducts:
    """N products with their embeddings and labels.

    Attributes:
        embeddings: Unit or zero rows per modality (N).
        product_ids: Identifiers.
        groups: Groups; "" where unknown.
        categories: Categories; "" where unknown.

    Raises:
        ValueError: If the counts differ.
    """

    embeddings: ProductEmbeddings
    product_ids: tuple[str, ...]
    groups: tuple[str, ...]
    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        """Checks that every product has everything."""
        counts = [len(self.product_ids), len(self.groups), len(self.categories)]
        if set(counts) != {len(self.embeddings)}:
            raise ValueError(
                f"{len(self.embeddings)} embeddings need as many ids, groups and categories, "
                f"got {counts}"
            )

    def __len__(self) -> int:
        """Returns N."""
        return len(self.embeddings)

    def rows(self, selection: Rows) -> EmbeddedProducts:
        """Returns the selected products, chosen by number or by a mask."""
        numbers = np.arange(len(self))[selection].tolist()
        return EmbeddedProducts(
            embeddings=self.embeddings.rows(np.array(numbers, dtype=np.int64)),
            product_ids=tuple(self.product_ids[number] for number in numbers),
            groups=tuple(self.groups[number] for number in numbers),
            categories=tuple(self.categories[number] for number in numbers),
        )


def label_embeddings(
    products: Sequence[Product], embeddings: ProductEmbeddings
) -> EmbeddedProducts:
    """Joins products with embeddings that were made of them, in the same order.

    Raises:
        ValueError: If the counts differ.
    """
    return EmbeddedProducts(
        embeddings=embeddings,
        product_ids=tuple(product.product_id for product in products),
        groups=tuple(product.group for product in products),
        categories=tuple(product.category for product in products),
    )


def embed_products(
    encoder: TrainedEncoder,
    products: Sequence[Product],
    *,
    are_passages: bool,
    pixel_cache: Path,
    batch_size: int = 64,
    device: str = "cpu",
) -> EmbeddedProducts:
    """Embeds products as the published encoder will: main photo and joined text fields.

    A photo that cannot be decoded is logged and counts as missing.

    Args:
        encoder: The trained encoder; its model is moved to the device.
        products: What to embed.
        are_passages: Whether they are catalogue products, which get the passage prefix; offers
            get the query prefix.
        pixel_cache: Folder of decoded photos.
        batch_size: Rows embedded at once, 1 or more.
        device: "cpu" or "cuda".
    """
    paths = [path for product in products for path in product.images[:1]]
    identifiers = (product.product_id for product in products) if are_passages else ()
    rows = ProductRows(
        products,
        [0] * len(products),
        decode_once(paths, encoder.settings, pixel_cache),
        encoder.settings,
        passage_ids=frozenset(identifiers),
    )
    batches = DataLoader(
        rows,
        batch_size=batch_size,
        collate_fn=Collator(encoder.tokenizer, encoder.settings.image_size_px),
    )
    model = encoder.model.to(device).eval()
    image = np.zeros((len(products), model.image_tower.embedding_dim), dtype=np.float32)
    text = np.zeros((len(products), model.text_tower.embedding_dim), dtype=np.float32)
    for number, batch in enumerate(batches):
        part = slice(number * batch_size, (number + 1) * batch_size)
        image[part], text[part] = _embed(model, batch, device)
    return label_embeddings(products, ProductEmbeddings(image=image, text=text))


@torch.inference_mode()
def _embed(
    model: FusedEncoder, batch: Batch, device: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Embeds what is there, and leaves zeros elsewhere."""
    image = torch.zeros(len(batch.labels), model.image_tower.embedding_dim)
    text = torch.zeros(len(batch.labels), model.text_tower.embedding_dim)
    if batch.has_image.any():
        pixels = batch.pixels[batch.has_image].to(device)
        image[batch.has_image] = model.image_tower(pixels).float().cpu()
    if batch.has_text.any():
        ids = batch.input_ids[batch.has_text].to(device)
        mask = batch.attention_mask[batch.has_text].to(device)
        text[batch.has_text] = model.text_tower(ids, mask).float().cpu()
    return image.numpy(), text.numpy()
