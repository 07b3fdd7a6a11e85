"""Between the messages of the protos and the records of the server."""

from __future__ import annotations

from google.protobuf import timestamp_pb2

from protos.twinshelf.v1 import product_pb2
from server.catalogue.product_record import ProductRecord, StoredProduct
from server.catalogue.ranking import Hit
from server.encoders.contract import EncoderContract
from server.encoders.modalities import Pattern

_PATTERNS = {
    Pattern.NONE: product_pb2.MODALITY_PATTERN_UNSPECIFIED,
    Pattern.IMAGE: product_pb2.MODALITY_PATTERN_IMAGE,
    Pattern.TEXT: product_pb2.MODALITY_PATTERN_TEXT,
    Pattern.BOTH: product_pb2.MODALITY_PATTERN_BOTH,
}


def record_from_product(product: product_pb2.Product) -> ProductRecord:
    """Returns the fields of a product that the catalogue keeps."""
    return ProductRecord(
        product_id=product.product_id,
        title=product.title,
        description=product.description,
        category=product.category,
        brand=product.brand,
        seller=product.seller,
        price=product.price if product.HasField("price") else None,
        attributes=dict(product.attributes),
        image_uri=product.image_uri,
    )


def product_from_stored(stored: StoredProduct) -> product_pb2.Product:
    """Returns the message of a stored product."""
    record = stored.record
    update_time = timestamp_pb2.Timestamp()
    update_time.FromMicroseconds(stored.update_time_us)
    return product_pb2.Product(
        product_id=record.product_id,
        title=record.title,
        description=record.description,
        category=record.category,
        brand=record.brand,
        seller=record.seller,
        price=record.price,
        attributes=record.attributes,
        image_uri=record.image_uri,
        pattern=modality_pattern(stored.pattern),
        update_time=update_time,
    )


def match_from_hit(hit: Hit) -> product_pb2.Match:
    """Returns the message of a hit."""
    return product_pb2.Match(
        product=product_from_stored(hit.product),
        score=hit.ranked.score,
        probability=hit.ranked.probability,
        pattern=modality_pattern(hit.ranked.pattern),
        image_score=hit.ranked.image_score,
        text_score=hit.ranked.text_score,
    )


def modality_pattern(pattern: Pattern) -> product_pb2.ModalityPattern:
    """Returns the enum value of a pattern."""
    return _PATTERNS[pattern]


def encoder_info(contract: EncoderContract) -> product_pb2.EncoderInfo:
    """Returns the message that names an encoder."""
    return product_pb2.EncoderInfo(digest=contract.digest, version=contract.version)
