"""What the encoder of a request made of a stored product, or why it cannot be had."""

from __future__ import annotations

from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import EmbeddedProduct
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding
from twinshelf.server.errors import (
    CatalogueDamagedError,
    EncoderChangedError,
    ProductNotFoundError,
)


async def embedded_product(
    catalogue: Catalogue, product_id: str, contract: EncoderContract
) -> EmbeddedProduct:
    """Returns a product with what an encoder made of it.

    Raises:
        ProductNotFoundError: If there is no product of the id.
    """
    found = await catalogue.embedded_products([product_id], contract)
    if product_id not in found:
        raise ProductNotFoundError(
            f"the catalogue has no product {product_id!r}", facts={"product_id": product_id}
        )
    return found[product_id]


def checked_embedding(stored: EmbeddedProduct, contract: EncoderContract) -> OfferEmbedding:
    """Returns the embedding of a product.

    Raises:
        EncoderChangedError: If another encoder made it.
        CatalogueDamagedError: If it cannot be read.
    """
    if stored.product.digest != contract.digest:
        raise EncoderChangedError("another encoder has just embedded it; repeat the request")
    if stored.embedding is None:
        product_id = stored.product.record.product_id
        raise CatalogueDamagedError(
            f"the vector of product {product_id!r} cannot be read; write the product again",
            facts={"product_id": product_id},
        )
    return stored.embedding
