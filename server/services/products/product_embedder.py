"""What encoders make of a product: the one that serves, and those that are kept beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from twinshelf.server.catalogue.product_record import ProductVector
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import stored_vector
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import EncoderUnavailableError, InvalidRequestError, TwinshelfError
from twinshelf.server.services.conversions import encoder_input
from twinshelf.server.services.embedding.routed_embedder import RoutedEmbedder
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.products.product_photos import embed_further_images
from twinshelf.v1 import product_pb2

logger = logging.getLogger(__name__)
_Embed = Callable[[EncoderContract], Awaitable[ProductVector | None]]


class ProductEmbedder:
    """Embeds products. One for the whole server."""

    def __init__(
        self, *, encoders: ServingEncoders, embedder: RoutedEmbedder, beside_timeout_s: float
    ) -> None:
        """Takes the parts that it works with.

        Args:
            encoders: The encoders.
            embedder: Embeds by any of them.
            beside_timeout_s: How much longer than the encoder that serves others may take.
        """
        self._encoders = encoders
        self._embedder = embedder
        self._beside_timeout_s = beside_timeout_s

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
        vectors = await self.embed_with_beside(
            product.product_id, contract, lambda each: self.embed_by(each, product)
        )
        return vectors, contract

    async def embed_with_beside(
        self, product_id: str, contract: EncoderContract, embed: _Embed
    ) -> tuple[ProductVector, ...]:
        """Embeds by the encoder that serves and, at the same time, by those kept beside it.

        Whatever goes wrong beside, the product is written: one that hangs is not waited for. What
        it lacks is left to the reindexer.

        Args:
            product_id: Identifier of the product.
            contract: The contract of the encoder that serves.
            embed: Embeds the product by the encoder of a contract; may have nothing to embed.

        Returns:
            The vectors, first that of the encoder that serves.

        Raises:
            TwinshelfError: If the encoder that serves cannot embed it.
        """
        others = self._encoders.beside()
        tasks = [asyncio.ensure_future(_outcome(embed, each)) for each in others]
        try:
            first = await embed(contract)
            if tasks:
                await asyncio.wait(tasks, timeout=self._beside_timeout_s)
        finally:
            late = [task.cancel() for task in tasks]
        vectors = [] if first is None else [first]
        for each, task, is_late in zip(others, tasks, late, strict=True):
            made = self._late_error() if is_late else task.result()
            if isinstance(made, Exception):
                _log_beside(product_id, each, made)
            elif made is not None:
                vectors.append(made)
        return tuple(vectors)

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

    def _late_error(self) -> EncoderUnavailableError:
        return EncoderUnavailableError(
            f"it took {self._beside_timeout_s:g} s longer than the encoder that serves"
        )


async def _outcome(embed: _Embed, contract: EncoderContract) -> ProductVector | None | Exception:
    try:
        return await embed(contract)
    except Exception as error:
        return error


def _log_beside(product_id: str, contract: EncoderContract, error: Exception) -> None:
    """Notes that an encoder that does not serve lacks a product."""
    logger.info(
        "product %r has yet to be embedded by %s: %s",
        product_id,
        contract.digest,
        error,
        exc_info=None if isinstance(error, TwinshelfError) else error,
    )
