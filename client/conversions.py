"""Between the client's records and the messages of twinshelf.v1, both ways."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final, TypeVar

import grpc
from google.protobuf import field_mask_pb2

from twinshelf.client.errors import (
    NO_MESSAGE,
    FieldViolation,
    InvalidRequestError,
    error_from_status,
)
from twinshelf.client.filters import (
    AllOf,
    AnyOf,
    AttributeIn,
    FieldIn,
    FilterPlan,
    NoneOf,
    PriceBetween,
    ProductFilter,
)
from twinshelf.client.pair_records import PairScorerInfo
from twinshelf.client.records import (
    CatalogStats,
    DeleteResult,
    EncoderInfo,
    Match,
    MatchAnswer,
    MatchOptions,
    MatchResult,
    ModalityWeights,
    Offer,
    Pattern,
    Product,
    ProductEmbedding,
    ProductPage,
    ProductUpdate,
    SnapshotReport,
    StoredProduct,
    UpsertAnswer,
)
from twinshelf.v1 import (
    catalog_service_pb2,
    encoder_service_pb2,
    filter_pb2,
    matching_service_pb2,
    product_pb2,
)

EncoderRequest = TypeVar(
    "EncoderRequest",
    encoder_service_pb2.ReindexRequest,
    encoder_service_pb2.SwitchEncoderRequest,
    encoder_service_pb2.DropEncoderRequest,
    matching_service_pb2.ScorePairRequest,
)
Sent = TypeVar("Sent", product_pb2.Offer, product_pb2.Product)

_PATTERNS: dict[int, Pattern] = {
    product_pb2.MODALITY_PATTERN_IMAGE: "image",
    product_pb2.MODALITY_PATTERN_TEXT: "text",
    product_pb2.MODALITY_PATTERN_BOTH: "both",
}
# What protobuf raises for a value that no message can hold.
UNSENDABLE: Final = (TypeError, ValueError, OverflowError)
_OFFER_FIELDS: Final = tuple("title description category brand price attributes image".split())
_PRODUCT_FIELDS: Final = (*_OFFER_FIELDS, "product_id", "seller", "further_images", "image_uri")
_EXPECTED: Final = {
    "price": "a number",
    "attributes": "texts by their names",
    "image": "bytes",
    "further_images": "a list of bytes",
}


def product_to_message(product: Product) -> product_pb2.Product:
    """Makes the message of a product; what only the service sets is left out.

    Raises:
        InvalidRequestError: If a field holds what cannot be sent; it is named.
    """
    return _filled(product_pb2.Product, product, _PRODUCT_FIELDS)


def upsert_request(
    product: Product | ProductUpdate,
) -> catalog_service_pb2.UpsertProductsRequest:
    """Makes the request that stores a product, or changes some of its fields."""
    if isinstance(product, Product):
        return catalog_service_pb2.UpsertProductsRequest(product=product_to_message(product))
    return catalog_service_pb2.UpsertProductsRequest(
        product=product_to_message(product.product),
        update_mask=field_mask_pb2.FieldMask(paths=product.fields),
    )


def product_from_message(message: product_pb2.Product) -> Product:
    """Reads a product."""
    return Product(
        product_id=message.product_id,
        title=message.title,
        description=message.description,
        category=message.category,
        brand=message.brand,
        seller=message.seller,
        price=message.price if message.HasField("price") else None,
        attributes=dict(message.attributes),
        image=message.image,
        image_uri=message.image_uri,
        pattern=pattern_from_message(message.pattern),
        update_time=message.update_time.ToDatetime(tzinfo=UTC)
        if message.HasField("update_time")
        else None,
    )


def pattern_from_message(pattern: int) -> Pattern:
    """Reads a modality pattern; one that this client does not know is "none"."""
    return _PATTERNS.get(pattern, "none")


def offer_to_message(offer: Offer) -> product_pb2.Offer:
    """Makes the message of an offer.

    Raises:
        InvalidRequestError: If a field holds what cannot be sent; it is named.
    """
    return _filled(product_pb2.Offer, offer, _OFFER_FIELDS)


def _filled(kind: type[Sent], record: Offer | Product, names: Sequence[str]) -> Sent:
    try:
        return kind(**_values(record, names))
    except UNSENDABLE:
        for name in names:
            _check_field(kind, record, name)
        raise


def _check_field(kind: type[Sent], record: Offer | Product, name: str) -> None:
    try:
        kind(**_values(record, [name]))
    except UNSENDABLE:
        expected = _EXPECTED.get(name, "a text that UTF-8 can hold")
        message = f"{name} must be {expected}, got {reprlib.repr(getattr(record, name))}"
        raise InvalidRequestError(
            message,
            code=grpc.StatusCode.INVALID_ARGUMENT,
            reason=NO_MESSAGE,
            field_violations=(FieldViolation(field=name, description=message),),
        ) from None


def _values(record: Offer | Product, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in names}
    if "attributes" in values:
        values["attributes"] = dict(values["attributes"])
    return values


def weights_to_message(weights: ModalityWeights | None) -> product_pb2.ModalityWeights | None:
    """Makes the message of weights; None stays unset."""
    if weights is None:
        return None
    return product_pb2.ModalityWeights(image=weights.image, text=weights.text)


def match_request(offer: Offer, options: MatchOptions) -> matching_service_pb2.MatchProductRequest:
    """Makes the request that matches one offer."""
    limit = options.value_limit
    condition = options.filter
    if options.excludes_own_seller and offer.seller:
        others = NoneOf(filters=(FieldIn(field="seller", values=(offer.seller,)),))
        condition = others if condition is None else AllOf(filters=(condition, others))
    return matching_service_pb2.MatchProductRequest(
        offer=offer_to_message(offer),
        match_count=options.match_count,
        weights=weights_to_message(options.weights),
        min_probability=options.min_probability,
        match_prior=options.match_prior,
        target_precision=options.target_precision,
        encoder_digest=options.encoder_digest,
        encoder_version=options.encoder_version,
        pair_count=options.pair_count,
        filter=None if condition is None else filter_to_message(condition),
        excluded_product_ids=[offer.product_id]
        if options.excludes_own_product and offer.product_id
        else [],
        value_limit=None
        if limit is None
        else matching_service_pb2.ValueLimit(field=limit.field, match_count=limit.match_count),
    )


def filter_to_message(condition: ProductFilter) -> filter_pb2.Filter:
    """Makes the message of a filter."""
    match condition:
        case AllOf():
            return filter_pb2.Filter(all_of=_filters(condition.filters))
        case AnyOf():
            return filter_pb2.Filter(any_of=_filters(condition.filters))
        case NoneOf():
            return filter_pb2.Filter(none_of=_filters(condition.filters))
        case FieldIn():
            message = filter_pb2.Filter()
            getattr(message, condition.field).CopyFrom(
                filter_pb2.FilterValues(values=condition.values)
            )
            return message
        case PriceBetween():
            price = filter_pb2.PriceRange(min=condition.least, max=condition.greatest)
            return filter_pb2.Filter(price=price)
        case AttributeIn():
            attribute = filter_pb2.AttributeValues(name=condition.name, values=condition.values)
            return filter_pb2.Filter(attribute=attribute)


def _filters(conditions: Sequence[ProductFilter]) -> filter_pb2.Filters:
    return filter_pb2.Filters(filters=map(filter_to_message, conditions))


def match_result(*pages: matching_service_pb2.MatchProductResponse) -> MatchResult:
    """Reads the matches of one offer, from one page of the answer or several in their order."""
    return MatchResult(
        matches=tuple(_match(each) for page in pages for each in page.matches),
        pattern=pattern_from_message(pages[-1].pattern),
        encoder=encoder_from_message(pages[-1].encoder),
        no_match_probability=pages[-1].no_match_probability,
        is_cut=bool(pages[-1].next_page_token),
        scorer=scorer_from_message(pages[-1].pair_scorer)
        if pages[-1].HasField("pair_scorer")
        else None,
        filter_plan=_filter_plan(pages[-1].filter_plan)
        if pages[-1].HasField("filter_plan")
        else None,
    )


def match_answer(index: int, message: matching_service_pb2.MatchProductsResponse) -> MatchAnswer:
    """Reads the answer to one offer of a stream.

    Args:
        index: Position of the offer in the caller's stream, from 0.
        message: The answer.
    """
    if message.WhichOneof("result") == "error":
        return MatchAnswer(offer_index=index, error=error_from_status(message.error))
    return MatchAnswer(offer_index=index, result=match_result(message.response))


def upsert_answer(
    index: int, product_id: str, message: catalog_service_pb2.UpsertProductsResponse
) -> UpsertAnswer:
    """Reads the answer to one product of a stream.

    Args:
        index: Position of the product in the caller's stream, from 0.
        product_id: Identifier that was sent.
        message: The answer.
    """
    if message.WhichOneof("result") == "error":
        error = error_from_status(message.error)
        return UpsertAnswer(product_index=index, product_id=product_id, error=error)
    return UpsertAnswer(
        product_index=index,
        product_id=product_id,
        pattern=pattern_from_message(message.upserted.pattern),
        replaced=message.upserted.replaced,
        encoder=encoder_from_message(message.upserted.encoder),
    )


def stored_product(message: catalog_service_pb2.GetProductResponse) -> StoredProduct:
    """Reads one product and its encoder."""
    return StoredProduct(
        product=product_from_message(message.product), encoder_digest=message.encoder_digest
    )


def product_page(message: catalog_service_pb2.ListProductsResponse) -> ProductPage:
    """Reads a page of the catalogue."""
    return ProductPage(
        products=tuple(product_from_message(each) for each in message.products),
        next_page_token=message.next_page_token,
    )


def identifiers(product_ids: Sequence[str]) -> Sequence[str]:
    """Returns identifiers as they are; a text alone would count as one for each of its letters.

    Raises:
        InvalidRequestError: If it is a text.
    """
    if isinstance(product_ids, str):
        raise InvalidRequestError(
            f"product_ids must be a list of identifiers, got the text {product_ids!r}",
            code=grpc.StatusCode.INVALID_ARGUMENT,
        )
    return product_ids


def delete_result(message: catalog_service_pb2.DeleteProductsResponse) -> DeleteResult:
    """Reads what was removed."""
    return DeleteResult(
        deleted_count=message.deleted_count,
        missing_product_ids=tuple(message.missing_product_ids),
    )


def catalog_stats(message: catalog_service_pb2.GetCatalogStatsResponse) -> CatalogStats:
    """Reads the counts of the catalogue."""
    return CatalogStats(
        product_count=message.product_count,
        image_count=message.image_count,
        photo_count=message.photo_count,
        text_count=message.text_count,
        stale_product_count=message.stale_product_count,
        damaged_product_count=message.damaged_product_count,
        indexed_vector_count=message.indexed_vector_count,
        encoder=encoder_from_message(message.encoder),
        embedding_dimension=message.embedding_dimension,
        change_sequence=message.change_sequence,
        history_id=message.history_id,
    )


def product_embeddings(
    message: catalog_service_pb2.GetEmbeddingsResponse,
) -> list[ProductEmbedding]:
    """Reads the embeddings of some products."""
    return [
        ProductEmbedding(product_id=each.product_id, image=tuple(each.image), text=tuple(each.text))
        for each in message.embeddings
    ]


def snapshot_report(message: catalog_service_pb2.SnapshotResponse) -> SnapshotReport:
    """Reads what a snapshot holds."""
    return SnapshotReport(
        vector_count=message.vector_count, change_sequence=message.change_sequence
    )


def encoder_request(kind: type[EncoderRequest], encoder: int | str) -> EncoderRequest:
    """Makes a request that names an encoder by its version or its digest."""
    if isinstance(encoder, int):
        return kind(encoder_version=encoder)
    return kind(encoder_digest=encoder)


def encoder_from_message(message: product_pb2.EncoderInfo) -> EncoderInfo:
    """Reads what names an encoder."""
    return EncoderInfo(digest=message.digest, version=message.version)


def scorer_from_message(message: product_pb2.PairScorerInfo) -> PairScorerInfo:
    """Reads what names a pair scorer."""
    return PairScorerInfo(digest=message.digest, threshold=message.threshold)


def _match(message: product_pb2.Match) -> Match:
    return Match(
        product=product_from_message(message.product),
        score=message.score,
        probability=message.probability,
        is_match=message.is_match,
        pattern=pattern_from_message(message.pattern),
        image_score=message.image_score if message.HasField("image_score") else None,
        text_score=message.text_score if message.HasField("text_score") else None,
        pair_probability=message.pair_probability if message.HasField("pair_probability") else None,
    )


def _filter_plan(message: matching_service_pb2.FilterPlan) -> FilterPlan:
    is_exact = message.search == matching_service_pb2.FilterPlan.SEARCH_EXACT
    return FilterPlan(search="exact" if is_exact else "graph", allowed_count=message.allowed_count)
