"""What encoders make of a product: the one that serves, and those that are kept beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import ProductVector
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import stored_vector
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import InvalidRequestError, TwinshelfError
from twinshelf.server.services.conversions import encoder_input
from twinshelf.server.services.embedding.routed_embedder import RoutedEmbedder
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.products.product_photos import embed_further_images
from twinshelf.v1 import product_pb2

logger = logging.getLogger(__name__)


class ProductEmbedder:
    """Embeds products. One for the whole server."""

    def __init__(self, *, encoders: ServingEncoders, embedder: RoutedEmbedder) -> None:
        """Takes the parts that it works with."""
        self._encoders = encoders
        self._embedder = embedder

    async def embed(
        self, product: product_pb2.Product
    ) -> tuple[tuple[ProductVector, ...], EncoderContract]:
        """Embeds a product by the encoder that serves, and by those kept beside it.

        What one of these cannot embed is left out: it counts as not embedded by it.

        Returns:
            The vectors, first that of the encoder that serves, and its contract.

        Raises:
            TwinshelfError: If the encoder that serves cannot embed it.
        """
        contract = self._encoders.contract
        first, *others = await asyncio.gather(
            self.embed_by(contract, product),
            *(self._embed_beside(each, product) for each in self._encoders.beside()),
        )
        assert first is not None
        return (first, *(made for made in others if made is not None)), contract

    async def embed_by(
        self, contract: EncoderContract, product: product_pb2.Product
    ) -> ProductVector:
        """Embeds a product by one encoder, with all its photos.

        Raises:
            TwinshelfError: If it cannot be embedded.
        """
        row = encoder_input(product, contract, contract.text_fields.passage_prefix)
        if row is None:
            raise InvalidRequestError(
                "product must have an image or one of the texts that this encoder reads: "
                + ", ".join(contract.text_fields.names),
                field="product",
            )
        made = await self.embed_row(contract, row)
        further = await self.embed_further(contract, product.further_images)
        return replace(made, further_images=further)

    async def embed_row(self, contract: EncoderContract, row: EncoderInput) -> ProductVector:
        """Embeds what an encoder reads of a product.

        Raises:
            TwinshelfError: If it cannot be embedded.
        """
        async with self._embedder.embedded(
            row, contract, path="product", is_patient=True, deadline_s=None
        ) as embedding:
            return ProductVector(
                digest=contract.digest,
                pattern=embedding.pattern,
                vector=stored_vector(embedding, contract),
            )

    async def embed_further(
        self, contract: EncoderContract, images: Sequence[bytes]
    ) -> npt.NDArray[np.float16]:
        """Embeds the photos of a product after its first; see `embed_further_images`."""
        return await embed_further_images(images, self._embedder, contract)

    async def _embed_beside(
        self, contract: EncoderContract, product: product_pb2.Product
    ) -> ProductVector | None:
        try:
            return await self.embed_by(contract, product)
        except Exception as error:  # whatever goes wrong beside, the product is written
            log_beside(product.product_id, contract, error)
            return None


def log_beside(product_id: str, contract: EncoderContract, error: Exception) -> None:
    """Notes that an encoder that does not serve lacks a product."""
    logger.info(
        "product %r has yet to be embedded by %s: %s",
        product_id,
        contract.digest,
        error,
        exc_info=None if isinstance(error, TwinshelfError) else error,
    )
