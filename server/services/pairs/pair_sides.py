"""The two sides of a pair: what the scorer reads of an offer, or of a stored product."""

from __future__ import annotations

from dataclasses import dataclass

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import EmbeddedProduct, ProductRecord
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.pair_models import PairRecord
from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.conversions import encoder_input
from twinshelf.server.services.embedding.routed_embedder import RoutedEmbedder
from twinshelf.server.services.requests import Limits, check_offer, check_product_id
from twinshelf.server.services.stored_vectors import checked_embedding, embedded_product
from twinshelf.v1 import matching_service_pb2, product_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One record of a pair.

    Attributes:
        record: What the scorer reads of it.
        embedding: What the encoder made of it; None when the scorer reads no cosine, or there is
            nothing that the encoder reads.
    """

    record: PairRecord
    embedding: OfferEmbedding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideTerms:
    """What is asked for of both sides.

    Attributes:
        contract: The encoder that embeds.
        pattern: Modalities whose cosines the scorer reads.
        is_patient: Whether it may wait for a place as long as it takes.
        deadline_s: When the caller will have gone, by `time.monotonic`; None never.
    """

    contract: EncoderContract
    pattern: Pattern
    is_patient: bool = False
    deadline_s: float | None = None


class PairSides:
    """Reads sides: offers by embedding them as products are, products as they are stored."""

    def __init__(self, *, embedder: RoutedEmbedder, catalogue: Catalogue, limits: Limits) -> None:
        """Takes the parts that it works with."""
        self._embedder = embedder
        self._catalogue = catalogue
        self._limits = limits

    def check(self, message: matching_service_pb2.PairSide, path: str) -> None:
        """Checks a side.

        Raises:
            InvalidRequestError: If it is not set, or cannot be used.
        """
        kind = message.WhichOneof("side")
        if kind is None:
            raise InvalidRequestError(f"{path} must be an offer or a product_id", field=path)
        if kind == "offer":
            check_offer(message.offer, self._limits, f"{path}.offer")
        else:
            check_product_id(message.product_id, f"{path}.product_id")

    async def read(
        self, message: matching_service_pb2.PairSide, terms: SideTerms, path: str
    ) -> Side:
        """Returns a side that was checked.

        Raises:
            ProductNotFoundError: If there is no product of the id.
            TwinshelfError: If the offer cannot be embedded.
        """
        if message.WhichOneof("side") == "offer":
            return await self.read_offer(message.offer, terms, f"{path}.offer")
        return await self._read_product(message.product_id, terms)

    async def read_offer(
        self,
        offer: product_pb2.Offer,
        terms: SideTerms,
        path: str,
        *,
        known: OfferEmbedding | None = None,
    ) -> Side:
        """Returns the side of an offer.

        Args:
            offer: The offer.
            terms: What is asked for.
            path: Path of its message, for the fields of errors.
            known: What the encoder made of it as an offer; the photo is not embedded again, and
                neither is the text where offers and products have the same prefix.

        Raises:
            TwinshelfError: If it cannot be embedded.
        """
        fields = terms.contract.text_fields
        row = encoder_input(offer, terms.contract, fields.passage_prefix)
        image = row.image if row and terms.pattern.has_image else None
        text = row.text if row and terms.pattern.has_text else None
        if known is not None:
            image = None
            text = None if fields.passage_prefix == fields.query_prefix else text
        made = await self._embed(image, text, terms, path)
        if known is not None:
            made = OfferEmbedding(image=known.image, text=known.text if made is None else made.text)
        return Side(
            record=_record(offer, offer.price if offer.HasField("price") else None), embedding=made
        )

    async def _embed(
        self, image: bytes | None, text: str | None, terms: SideTerms, path: str
    ) -> OfferEmbedding | None:
        if image is None and text is None:
            return None
        try:
            async with self._embedder.embedded(
                EncoderInput(image=image, text=text),
                terms.contract,
                path=path,
                is_patient=terms.is_patient,
                deadline_s=terms.deadline_s,
            ) as embedding:
                return embedding
        except InvalidRequestError as error:
            if error.field != path:
                raise
            return None  # the encoder knows no word of the text; the scorer may all the same

    async def _read_product(self, product_id: str, terms: SideTerms) -> Side:
        stored = await embedded_product(self._catalogue, product_id, terms.contract)
        if terms.pattern is not Pattern.NONE:
            checked_embedding(stored, terms.contract)
        return side_of(stored)


def side_of(stored: EmbeddedProduct) -> Side:
    """Returns the side of a stored product."""
    record = stored.product.record
    return Side(record=_record(record, record.price), embedding=stored.embedding)


def _record(source: product_pb2.Offer | ProductRecord, price: float | None) -> PairRecord:
    return PairRecord(
        title=source.title,
        description=source.description,
        category=source.category,
        brand=source.brand,
        price=price,
        attributes=dict(source.attributes),
    )
