"""Between the messages of the protos and the records of the server."""

from __future__ import annotations

from twinshelf.server.catalogue.product_record import ProductRecord, StoredProduct
from twinshelf.server.catalogue.ranking import FilterPlan, Hit
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.v1 import matching_service_pb2, product_pb2

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


def encoder_input(
    message: product_pb2.Offer | product_pb2.Product, contract: EncoderContract, prefix: str
) -> EncoderInput | None:
    """Returns what is embedded of an offer or a product; None when the encoder reads nothing of it.

    Args:
        message: The offer or the product.
        contract: That of the encoder.
        prefix: Put before the text.
    """
    text = embedded_text(message, contract, prefix)
    image = message.image or None  # once, for it is a copy
    if image is None and text is None:
        return None
    return EncoderInput(image=image, text=text)


def embedded_text(
    message: product_pb2.Offer | product_pb2.Product, contract: EncoderContract, prefix: str
) -> str | None:
    """Returns the text that is embedded of an offer or a product; None when there is none."""
    fields = {
        name: getattr(message, name) for name in ("title", "brand", "category", "description")
    }
    return contract.text_fields.join(fields | {"attributes": message.attributes}, prefix=prefix)


def product_from_stored(stored: StoredProduct) -> product_pb2.Product:
    """Returns the message of a stored product."""
    product = product_pb2.Product()
    write_product(stored, product)
    return product


def write_match(hit: Hit, match: product_pb2.Match) -> None:
    """Fills the message of a hit, in its place in an answer: to copy it there would take longer."""
    ranked = hit.ranked
    write_product(hit.product, match.product)
    match.score = ranked.score
    match.probability = ranked.probability
    match.is_match = ranked.is_match
    match.pattern = modality_pattern(ranked.pattern)
    if ranked.image_score is not None:
        match.image_score = ranked.image_score
    if ranked.text_score is not None:
        match.text_score = ranked.text_score


def write_product(stored: StoredProduct, product: product_pb2.Product) -> None:
    """Fills the message of a stored product."""
    record = stored.record
    product.product_id = record.product_id
    product.title = record.title
    product.description = record.description
    product.category = record.category
    product.brand = record.brand
    product.seller = record.seller
    if record.price is not None:
        product.price = record.price
    if record.attributes:
        product.attributes.update(record.attributes)
    product.image_uri = record.image_uri
    product.pattern = modality_pattern(stored.pattern)
    product.update_time.FromMicroseconds(stored.update_time_us)


def modality_pattern(pattern: Pattern) -> product_pb2.ModalityPattern:
    """Returns the enum value of a pattern."""
    return _PATTERNS[pattern]


def encoder_info(contract: EncoderContract) -> product_pb2.EncoderInfo:
    """Returns the message that names an encoder."""
    return product_pb2.EncoderInfo(digest=contract.digest, version=contract.version)


def filter_plan(plan: FilterPlan) -> matching_service_pb2.FilterPlan:
    """Returns the message that says how a filtered search was done."""
    kinds = matching_service_pb2.FilterPlan
    return kinds(
        search=kinds.SEARCH_EXACT if plan.is_exact else kinds.SEARCH_GRAPH,
        allowed_count=plan.allowed_count,
    )
