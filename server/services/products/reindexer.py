"""Embedding the catalogue for an encoder beside the one that serves, a product at a time.

What is missing stands in the catalogue, so that nothing is lost when the server ends: the next one
goes on with what is left.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import (
    ChangeableProduct,
    NewVector,
    ProductVector,
    UnembeddedProduct,
)
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import (
    CatalogueDamagedError,
    EncoderConflictError,
    EncoderFailedError,
    InvalidRequestError,
    ProductChangedError,
    ProductNotFoundError,
    TwinshelfError,
)
from twinshelf.server.services.conversions import product_from_stored
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.products.product_embedder import ProductEmbedder
from twinshelf.server.services.products.product_photos import FURTHER_IMAGES, check_further_images
from twinshelf.server.services.requests import Limits, check_product, check_product_id
from twinshelf.v1 import product_pb2

logger = logging.getLogger(__name__)
FAILURES_SHOWN = 20
_PAGE_SIZE = 256
# Few, so that those who match have the cores.
_AT_ONCE = 4
_LOOK_INTERVAL_S = 0.5
_ATTEMPTS = 8
# Rest after a look at all that is missing, as a multiple of the time that it took.
_REST_SHARE = 10
# Thumbnails of so many pixels on their longer side tell an encoder as much as the photo.
PHOTO_PX = 512
# Returns the first photo of a product that is stored here, or None.
PhotoOf = Callable[[str], Awaitable[bytes | None]]


async def no_photo(product_id: str) -> None:
    """Says of every product that its photo is not stored."""


@dataclass(slots=True, kw_only=True)
class ReindexProgress:
    """What a look at all missing products found.

    Attributes:
        embedded_count: Products that were embedded.
        waiting_count: Products whose photos are needed.
        failed_count: Products that the encoder refused.
        failures: Identifier and reason of the first of these.
    """

    embedded_count: int = 0
    waiting_count: int = 0
    failed_count: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, product_id: str, reason: str) -> None:
        """Notes a product that was refused."""
        self.failed_count += 1
        if len(self.failures) < FAILURES_SHOWN:
            self.failures.append((product_id, reason))


class Reindexer:
    """Embeds what kept encoders lack, while it runs. Belongs to one event loop."""

    def __init__(
        self,
        *,
        encoders: ServingEncoders,
        catalogue: Catalogue,
        embedder: ProductEmbedder,
        limits: Limits,
        photo_of: PhotoOf = no_photo,
    ) -> None:
        """Takes the parts that it works with."""
        self._encoders = encoders
        self._catalogue = catalogue
        self._embedder = embedder
        self._limits = limits
        self._photo_of = photo_of
        self._progress: dict[str, ReindexProgress] = {}
        # By digest and product: the change that the encoder refused, and why.
        self._refused: dict[str, dict[str, tuple[int, str]]] = {}
        self._next_look_s: dict[str, float] = {}

    def progress(self, digest: str) -> ReindexProgress:
        """Returns what the last look found that is over, or the first one so far."""
        return self._progress.get(digest, ReindexProgress())

    async def run(self) -> None:
        """Looks for what is missing until it is cancelled."""
        while True:
            for contract in self._targets():
                try:
                    await self._look(contract)
                except TwinshelfError as error:
                    logger.info("reindexing waits: %s", error.message)
                except Exception:  # it must outlive whatever goes wrong
                    logger.exception("reindexing failed, and will be tried again")
            await asyncio.sleep(_LOOK_INTERVAL_S)

    def begin(self, digest: str) -> None:
        """Lets a reindex begin at once, whatever an earlier one of the encoder waits for."""
        self._next_look_s.pop(digest, None)

    async def embed(self, sent: product_pb2.Product) -> tuple[Pattern, bool]:
        """Embeds a product for the kept encoders that lack it, with photos that were sent again.

        Args:
            sent: Its identifier and its photos; all else is taken from the catalogue.

        Returns:
            The modalities that are embedded, and whether that was so before.

        Raises:
            EncoderConflictError: If no encoder is being reindexed.
            ProductNotFoundError: If there is no such product.
            TwinshelfError: If it cannot be embedded.
        """
        product_id = sent.product_id
        check_product_id(product_id, "product.product_id")
        targets = [each for each in self._targets() if not self._encoders.is_serving(each)]
        targets = targets or self._targets()
        if not targets:
            raise EncoderConflictError("no encoder is being reindexed; begin with Reindex")
        for _ in range(_ATTEMPTS):
            try:
                return await self._embed_for(targets[0], sent)
            except ProductChangedError:
                continue
        raise ProductChangedError(
            f"product {product_id!r} was changed by others {_ATTEMPTS} times; repeat"
        )

    def _targets(self) -> list[EncoderContract]:
        kept = self._catalogue.encoders.kept
        return [each for each in self._encoders.known() if each.digest in kept] if kept else []

    async def _look(self, contract: EncoderContract) -> None:
        """Embeds all that an encoder lacks, as far as what is needed is there."""
        await self._catalogue.open_index(contract)
        digest, start_s = contract.digest, time.monotonic()
        if not self._catalogue.encoders.count_missing(digest):
            self._progress.pop(digest, None)
            self._next_look_s.pop(digest, None)
            self._refused.pop(digest, None)
            return
        if start_s < self._next_look_s.get(digest, 0.0):
            return
        progress = ReindexProgress()
        self._progress.setdefault(digest, progress)
        number = 0
        while page := await self._catalogue.encoders.unembedded_after(number, digest, _PAGE_SIZE):
            await self._embed_page(contract, page, progress)
            number = page[-1].product_number
        self._progress[digest] = progress
        if not progress.embedded_count:
            # Who waits for many photos must not read all these products again and again.
            end_s = time.monotonic()
            self._next_look_s[digest] = end_s + _REST_SHARE * (end_s - start_s)

    async def _embed_page(
        self,
        contract: EncoderContract,
        page: Sequence[UnembeddedProduct],
        progress: ReindexProgress,
    ) -> None:
        """Embeds some at a time and stores them together: a write of Milvus takes half a second."""
        turns = asyncio.Semaphore(_AT_ONCE)
        tasks = [
            asyncio.ensure_future(self._embed_stored(contract, each, progress, turns))
            for each in page
        ]
        try:
            await asyncio.gather(*tasks)
        finally:  # where one fails, as the encoder or the catalogue is away, so would the others
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _embed_stored(
        self,
        contract: EncoderContract,
        missing: UnembeddedProduct,
        progress: ReindexProgress,
        turns: asyncio.Semaphore,
    ) -> None:
        product = product_from_stored(missing.product)
        product_id, change = product.product_id, missing.change_sequence
        refused = self._refused.setdefault(contract.digest, {})
        refused_change, reason = refused.get(product_id, (None, ""))
        if refused_change == change:
            progress.fail(product_id, reason)
            return
        try:
            async with turns:
                if missing.product.pattern.has_image:
                    image = None if missing.further_count else await self._stored_photo(product_id)
                    if image is None:
                        progress.waiting_count += 1
                        return
                    product.image = image
                made = await self._embedder.embed_by(contract, product)
            await self._store(product_id, made, change)
            progress.embedded_count += 1
        except InvalidRequestError as error:
            refused[product_id] = change, error.message
            progress.fail(product_id, error.message)
        except EncoderFailedError as error:  # the next look tries it again
            progress.fail(product_id, error.message)
        except ProductChangedError:
            return  # who changed it has embedded it, or the next look will

    async def _stored_photo(self, product_id: str) -> bytes | None:
        try:
            return await self._photo_of(product_id)
        except CatalogueDamagedError:
            return None  # as good as none: it can be sent again

    async def _embed_for(
        self, contract: EncoderContract, sent: product_pb2.Product
    ) -> tuple[Pattern, bool]:
        product_id = sent.product_id
        stored = await self._catalogue.changeable(product_id)
        if stored is None:
            raise ProductNotFoundError(
                f"the catalogue has no product {product_id!r}", facts={"product_id": product_id}
            )
        if (old := stored.vectors.get(contract.digest)) is not None:
            return old.pattern, True
        product = self._with_photos(stored, sent)
        made = await self._embedder.embed_by(contract, product)
        await self._store(product_id, made, stored.change_sequence)
        return made.pattern, False

    def _with_photos(
        self, stored: ChangeableProduct, sent: product_pb2.Product
    ) -> product_pb2.Product:
        product = product_from_stored(stored.product)
        if stored.shown.pattern.has_image:
            if not sent.image:
                raise InvalidRequestError("its photo must be sent again", field="product.image")
            check_further_images(sent, self._limits)
            count = len(stored.shown.further_images)
            if len(sent.further_images) != count:
                raise InvalidRequestError(
                    f"all its photos must be sent again: {FURTHER_IMAGES} must be {count}, got "
                    f"{len(sent.further_images)}",
                    field=f"product.{FURTHER_IMAGES}",
                )
            product.image = sent.image
            product.further_images.extend(sent.further_images)
        check_product(product, self._limits, "product")
        return product

    async def _store(self, product_id: str, made: ProductVector, change: int) -> None:
        vector = NewVector(product_id=product_id, made=made, expected_change=change)
        await self._catalogue.encoders.add(vector)
