"""The photos of a product after its first: checked, and embedded one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import GREATEST_FURTHER_COUNT, NO_IMAGES
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.embedding.routed_embedder import RoutedEmbedder
from twinshelf.server.services.requests import Limits
from twinshelf.v1 import product_pb2

FURTHER_IMAGES = "further_images"
_FIELD = f"product.{FURTHER_IMAGES}"


def photos_of(product: product_pb2.Product) -> Sequence[bytes]:
    """Returns the photos that a product brings, as far as there may be so many."""
    return (product.image, *product.further_images[:GREATEST_FURTHER_COUNT])


def check_further_images(product: product_pb2.Product, limits: Limits) -> None:
    """Checks the further photos that a product brings.

    Raises:
        InvalidRequestError: If one is empty, or they are too many or too large.
    """
    images = product.further_images
    if not images:
        return
    if len(images) > GREATEST_FURTHER_COUNT:
        raise InvalidRequestError(
            f"{FURTHER_IMAGES} must be at most {GREATEST_FURTHER_COUNT}, got {len(images)}",
            field=_FIELD,
        )
    if not all(images):
        raise InvalidRequestError(f"{FURTHER_IMAGES} must not be empty bytes", field=_FIELD)
    size_bytes = len(product.image) + sum(map(len, images))
    if size_bytes > limits.image_bytes:
        raise InvalidRequestError(
            f"image and {FURTHER_IMAGES} together must be at most {limits.image_bytes} bytes, "
            f"got {size_bytes}",
            field=_FIELD,
        )


def check_first_image(further_count: int, *, has_image: bool) -> None:
    """Checks that a product with further photos has a first one.

    Raises:
        InvalidRequestError: If it has none.
    """
    if further_count and not has_image:
        raise InvalidRequestError(f"{FURTHER_IMAGES} need an image beside them", field=_FIELD)


async def embed_further_images(
    images: Sequence[bytes], embedder: RoutedEmbedder, contract: EncoderContract
) -> npt.NDArray[np.float16]:
    """Returns the embeddings (P, I) of further photos.

    Raises:
        InvalidRequestError: If one cannot be embedded; its field is named.
        TwinshelfError: If the encoder fails otherwise.
    """
    if not images:
        return NO_IMAGES
    rows = np.empty((len(images), contract.image_dimension), dtype=np.float16)
    for place, image in enumerate(images):
        try:
            async with embedder.embedded(
                EncoderInput(image=image, text=None),
                contract,
                path="product",
                is_patient=True,
                deadline_s=None,
            ) as embedding:
                rows[place] = embedding.image
        except InvalidRequestError as error:
            raise InvalidRequestError(
                error.message, field=f"{_FIELD}[{place}]", facts=error.facts
            ) from None
    return rows
