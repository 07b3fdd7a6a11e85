"""Embeds batches of products by a published version: what one worker does, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from twinshelf.server.bulk.embedded_table import EmbeddedRow, make_table
from twinshelf.server.bulk.product_batch import BatchRow
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.embedding import Floats, OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import EncoderMismatchError, InvalidRequestError, TwinshelfError
from twinshelf.server.services.conversions import embedded_text, record_from_product
from twinshelf.server.services.products.product_photos import check_further_images
from twinshelf.server.services.requests import Limits, check_product
from twinshelf.v1 import product_pb2

# Models name the row of their batch; a refused row was asked for alone.
_FIRST_ROW: Final = "row 0: "


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEncoder:
    """Which encoder embeds.

    Attributes:
        repository: Folder of the model repository, the same on every machine.
        version: A version that is published there.
        digest: Its digest.
    """

    repository: Path
    version: int
    digest: str


class EmbeddingWorker:
    """Checks, embeds and tabulates products as the service would, with one encoder in memory."""

    def __init__(self, encoder: PublishedEncoder, thread_count: int) -> None:
        """Loads the encoder.

        Args:
            encoder: Which one.
            thread_count: Threads of each model; 0 uses every core.

        Raises:
            EncoderContractError: If it cannot be used.
            EncoderMismatchError: If another one lies there, as on a machine with other files.
        """
        self._encoder = LocalEncoder(encoder.repository, encoder.version, thread_count=thread_count)
        self._contract = self._encoder.contract
        if self._contract.digest != encoder.digest:
            raise EncoderMismatchError(
                f"version {encoder.version} in {encoder.repository} must be {encoder.digest}, "
                f"got {self._contract.digest}"
            )
        config = ServerConfig()
        self._limits = Limits(
            image_bytes=config.image_limit_bytes,
            text_bytes=config.text_limit_bytes,
            match_count=config.match_count_limit,
            attribute_count=config.attribute_count_limit,
        )

    def embed(self, batch: Sequence[BatchRow]) -> pa.Table:
        """Returns the table of a batch, a row for each of its rows, in order.

        A photo that the encoder refuses is left out, as `twinshelf index` does; a row that has
        nothing else fails.

        Args:
            batch: The rows.
        """
        offers = [self._read(row) for row in batch]
        while waiting := [offer for offer in offers if offer.is_waiting]:
            for offer, answer in zip(waiting, self._ask(waiting), strict=True):
                offer.take(answer)
        self._embed_further([offer for offer in offers if len(offer.photos) > 1])
        return make_table([offer.row for offer in offers], self._contract)

    def _read(self, given: BatchRow) -> _Offer:
        """Checks a row as the service does, and takes what is embedded out of it."""
        row = EmbeddedRow(row_number=given.row_number, photo_error=given.photo_error)
        if given.error:
            row.error = given.error
            return _Offer(row=row, text=None, photos=[])
        product = product_pb2.Product.FromString(given.product)
        row.record = record_from_product(product)
        offer = _Offer(
            row=row,
            text=embedded_text(product, self._contract, self._contract.text_fields.passage_prefix),
            photos=[*filter(None, [product.image]), *product.further_images],
        )
        while error := self._fault(product):
            if not (error.field.endswith("image") and offer.photos):
                row.error = error.message
                break
            offer.leave_out_photo(0, error.message)
            product.image = offer.photos[0] if offer.photos else b""
            product.further_images[:] = offer.photos[1:]
        if not (offer.photos or offer.text or row.error):
            row.error = "nothing to embed: this encoder reads " + ", ".join(
                ("image", *self._contract.text_fields.names)
            )
        return offer

    def _fault(self, product: product_pb2.Product) -> InvalidRequestError | None:
        try:
            check_product(product, self._limits, "product")
            check_further_images(product, self._limits)
        except InvalidRequestError as error:
            return error
        return None

    def _ask(self, offers: Sequence[_Offer]) -> list[OfferEmbedding | TwinshelfError]:
        return self._encoder.encode_now(
            [
                EncoderInput(image=offer.photos[0] if offer.photos else None, text=offer.text)
                for offer in offers
            ]
        )

    def _embed_further(self, offers: Sequence[_Offer]) -> None:
        """Embeds the photos after the first; those that are refused are left out."""
        photos = [(offer, photo) for offer in offers for photo in offer.photos[1:]]
        answers = self._encoder.encode_now(
            [EncoderInput(image=photo, text=None) for _, photo in photos]
        )
        made: dict[int, list[Floats]] = {}
        for (offer, _), answer in zip(photos, answers, strict=True):
            if isinstance(answer, TwinshelfError):
                offer.row.photo_error = offer.row.photo_error or _sentence(answer)
            elif answer.image is not None:
                made.setdefault(id(offer), []).append(answer.image)
        for offer in offers:
            if images := made.get(id(offer)):
                offer.row.further_images = np.asarray(images, dtype=np.float16)


@dataclass(slots=True, kw_only=True)
class _Offer:
    """A row on its way through the encoder, and what is left of its photos."""

    row: EmbeddedRow
    text: str | None
    photos: list[bytes]

    @property
    def is_waiting(self) -> bool:
        """Whether it is neither embedded nor has failed."""
        return self.row.embedding is None and not self.row.error

    def take(self, answer: OfferEmbedding | TwinshelfError) -> None:
        """Books what the encoder made of it; without a photo that is refused it is asked again."""
        if isinstance(answer, OfferEmbedding):
            self.row.embedding = answer
        elif isinstance(answer, InvalidRequestError) and answer.field == Pattern.IMAGE.key:
            self.leave_out_photo(0, _sentence(answer))
        else:
            self.row.error = _sentence(answer)

    def leave_out_photo(self, place: int, reason: str) -> None:
        """Takes a photo off; the row fails when it has nothing else."""
        del self.photos[place]
        self.row.photo_error = self.row.photo_error or reason
        if not (self.photos or self.text):
            self.row.error = reason


def _sentence(error: TwinshelfError) -> str:
    return error.message.removeprefix(_FIRST_ROW)
