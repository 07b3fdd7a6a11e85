"""The kinds of input that are compared, and products embedded by all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinshelf.training.catalogues.product import Product
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.evaluation.embedded_products import embed_products
from twinshelf.training.preprocessing.settings import TEXT_FIELDS
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.fusion_weight import pattern_weights

Floats = npt.NDArray[np.float32]
Fields = tuple[str, ...]

TITLE: Fields = ("title",)
TITLE_AND_CATEGORY: Fields = ("title", "category")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is read of a product.

    Attributes:
        name: What the table calls it.
        has_image: Whether the photo counts.
        text_fields: Fields whose text counts; empty for none.
    """

    name: str
    has_image: bool
    text_fields: Fields

    def image_weight(self, fusion_weight: float) -> float:
        """Returns the weight of the image in the score, 0 to 1.

        Args:
            fusion_weight: w, the weight of the image where both count, 0 to 1.
        """
        pattern = "image" if not self.text_fields else "both" if self.has_image else "text"
        return pattern_weights(fusion_weight)[pattern]


VARIANTS = (
    Variant(name="image", has_image=True, text_fields=()),
    Variant(name="title", has_image=False, text_fields=TITLE),
    Variant(name="title + category", has_image=False, text_fields=TITLE_AND_CATEGORY),
    Variant(name="all text", has_image=False, text_fields=tuple(TEXT_FIELDS)),
    Variant(name="image + title", has_image=True, text_fields=TITLE),
    Variant(name="image + title + category", has_image=True, text_fields=TITLE_AND_CATEGORY),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VariedProducts:
    """N products, embedded by every kind of input.

    Attributes:
        product_ids: Identifiers.
        groups: Groups; "" where unknown.
        image: Unit or zero rows, float32 (N, D_image).
        texts: Fields to unit or zero rows, float32 (N, D_text).
    """

    product_ids: tuple[str, ...]
    groups: tuple[str, ...]
    image: Floats
    texts: Mapping[Fields, Floats]

    def embeddings(self, variant: Variant) -> ProductEmbeddings:
        """Returns the embeddings of what a variant reads, zeros elsewhere."""
        text = self.texts[variant.text_fields or TITLE]
        return ProductEmbeddings(
            image=self.image if variant.has_image else np.zeros_like(self.image),
            text=text if variant.text_fields else np.zeros_like(text),
        )


def embed_variants(
    encoder: TrainedEncoder,
    products: Sequence[Product],
    *,
    are_passages: bool,
    device: str = "cpu",
) -> VariedProducts:
    """Embeds the photos once, and the text of every variant.

    Args:
        encoder: The encoder.
        products: What to embed.
        are_passages: Whether they are catalogue products.
        device: "cpu" or "cuda".
    """

    def embed(fields: Fields, rows: Sequence[Product]) -> ProductEmbeddings:
        """Embeds rows as if `fields` were the text fields that the encoder reads."""
        settings = replace(encoder.settings, text_fields=fields)
        return embed_products(
            replace(encoder, settings=settings),
            rows,
            are_passages=are_passages,
            device=device,
        ).embeddings

    bare = [replace(product, images=()) for product in products]
    chosen = {variant.text_fields for variant in VARIANTS if variant.text_fields}
    return VariedProducts(
        product_ids=tuple(product.product_id for product in products),
        groups=tuple(product.group for product in products),
        image=embed((), products).image,
        texts={fields: embed(fields, bare).text for fields in sorted(chosen)},
    )
