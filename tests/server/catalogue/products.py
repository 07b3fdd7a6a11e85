"""Random products and queries for the tests of the catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.product_record import NewProduct, ProductRecord, ProductVector
from twinshelf.server.catalogue.ranking import Query
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.embedding import OfferEmbedding, stored_vector
from twinshelf.server.encoders.modalities import Pattern, Weights

CONTRACT = make_contract()
# Age of a change that Milvus tells in these tests, and a little more.
SETTLED_S = 0.1


def random_embedding(rng: np.random.Generator, pattern: Pattern = Pattern.BOTH) -> OfferEmbedding:
    """Makes unit halves, those of the pattern."""
    rows = rng.normal(size=(2, 16)).astype(np.float32)
    image, text = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return OfferEmbedding(
        image=image if pattern.has_image else None, text=text if pattern.has_text else None
    )


def new_product(
    product_id: str,
    embedding: OfferEmbedding,
    contract: EncoderContract = CONTRACT,
    record: ProductRecord | None = None,
    further: Sequence[OfferEmbedding] = (),
) -> NewProduct:
    """Makes a product with an embedding, and a title alone when no record is given.

    Args:
        product_id: Its identifier.
        embedding: That of its first photo and of its text.
        contract: That of the encoder.
        record: Its fields.
        further: Of each the photo is a further one of the product.
    """
    return NewProduct(
        record=record or ProductRecord(product_id=product_id, title=f"title of {product_id}"),
        vectors=(made_by(contract, embedding, further),),
    )


def made_by(
    contract: EncoderContract, embedding: OfferEmbedding, further: Sequence[OfferEmbedding] = ()
) -> ProductVector:
    """Makes the vector of a product by an encoder; see `new_product`."""
    images = [each.image for each in further]
    return ProductVector(
        digest=contract.digest,
        pattern=embedding.pattern,
        vector=stored_vector(embedding, contract),
        further_images=np.array(images, dtype=np.float16).reshape(-1, contract.image_dimension),
    )


def query_of(
    embedding: OfferEmbedding,
    count: int = 10,
    weights: Weights = CONTRACT.weights,
    **options: Any,
) -> Query:
    """Makes a query for the products most alike an embedding."""
    return Query(
        embedding=embedding,
        weights=weights.restricted_to(embedding.pattern),
        match_count=count,
        min_probability=0,
        match_prior=0.5,
        target_precision=0.9,
        contract=CONTRACT,
        **options,
    )


async def last_change(catalogue: Catalogue) -> int:
    """Returns the number of the last change, once it may be told."""
    await asyncio.sleep(SETTLED_S)
    return (await catalogue.stats(None)).change_sequence
