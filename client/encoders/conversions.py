"""Between the records of encoders and the messages of `EncoderService`."""

from __future__ import annotations

from twinshelf.client.conversions import encoder_from_message, pattern_from_message
from twinshelf.client.encoders.records import (
    EncoderComparison,
    EncoderState,
    EncoderSwitch,
    ReindexAnswer,
    ReindexFailure,
)
from twinshelf.client.errors import error_from_status
from twinshelf.client.records import Product
from twinshelf.client.streams import StreamMethod
from twinshelf.v1 import encoder_service_pb2 as pb
from twinshelf.v1 import product_pb2


def encoder_state(message: pb.EncoderState) -> EncoderState:
    """Reads the state of an encoder."""
    return EncoderState(
        encoder=encoder_from_message(message.encoder),
        is_serving=message.is_serving,
        is_reached=message.is_reached,
        is_kept=message.is_kept,
        embedded_product_count=message.embedded_product_count,
        missing_product_count=message.missing_product_count,
        waiting_product_count=message.waiting_product_count,
        failed_product_count=message.failed_product_count,
        failures=tuple(
            ReindexFailure(product_id=each.product_id, reason=each.reason)
            for each in message.failures
        ),
    )


def encoder_states(message: pb.ListEncodersResponse) -> tuple[EncoderState, ...]:
    """Reads the states of all encoders."""
    return tuple(map(encoder_state, message.encoders))


def encoder_switch(message: pb.SwitchEncoderResponse) -> EncoderSwitch:
    """Reads a switch that was made."""
    return EncoderSwitch(
        serving=encoder_from_message(message.serving),
        previous=encoder_from_message(message.previous),
    )


def encoder_comparison(message: pb.CompareEncodersResponse) -> EncoderComparison:
    """Reads a comparison."""
    return EncoderComparison(
        serving=encoder_from_message(message.serving),
        other=encoder_from_message(message.other) if message.HasField("other") else None,
        query_count=message.query_count,
        depth=message.depth,
        mean_overlap=message.mean_overlap,
        same_best_share=message.same_best_share,
        mean_score_shift=message.mean_score_shift,
        mean_probability_shift=message.mean_probability_shift,
        failure_count=message.failure_count,
    )


def reindex_method() -> StreamMethod[Product, ReindexAnswer]:
    """Returns how ReindexProducts speaks: of a product, identifier and photo are sent alone."""
    return StreamMethod(
        request=lambda position, product: pb.ReindexProductsRequest(
            product=product_pb2.Product(
                product_id=product.product_id,
                image=product.image,
                further_images=product.further_images,
            )
        ),
        product_id=lambda product: None,
        photo=lambda product: product.image,
        position=lambda response: response.request_index,
        answer=lambda index, product, response: _answer(index, product, response),
        failure=lambda index, product, error: ReindexAnswer(
            product_index=index, product_id=product.product_id, error=error
        ),
    )


def _answer(index: int, product: Product, message: pb.ReindexProductsResponse) -> ReindexAnswer:
    if message.WhichOneof("result") == "error":
        return ReindexAnswer(
            product_index=index,
            product_id=product.product_id,
            error=error_from_status(message.error),
        )
    return ReindexAnswer(
        product_index=index,
        product_id=product.product_id,
        pattern=pattern_from_message(message.reindexed.pattern),
        was_embedded=message.reindexed.was_embedded,
    )
