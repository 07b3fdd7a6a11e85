"""Between the records of category predictions and the messages of twinshelf.v1."""

from __future__ import annotations

from twinshelf.client.category_records import (
    CategoryOptions,
    CategoryPrediction,
    CategoryShare,
    CategoryVote,
)
from twinshelf.client.conversions import (
    encoder_from_message,
    offer_to_message,
    pattern_from_message,
    weights_to_message,
)
from twinshelf.client.records import Offer
from twinshelf.v1 import matching_service_pb2


def category_request(
    asked: Offer | str, options: CategoryOptions
) -> matching_service_pb2.PredictCategoryRequest:
    """Makes the request that predicts a category; a text is the id of a stored product."""
    return matching_service_pb2.PredictCategoryRequest(
        offer=None if isinstance(asked, str) else offer_to_message(asked),
        product_id=asked if isinstance(asked, str) else "",
        neighbour_count=options.neighbour_count,
        weights=weights_to_message(options.weights),
        min_margin=options.min_margin,
        level_count=options.level_count,
        excluded_product_id=options.excluded_product_id,
        encoder_digest=options.encoder_digest,
        encoder_version=options.encoder_version,
        target_precision=options.target_precision,
    )


def category_prediction(
    message: matching_service_pb2.PredictCategoryResponse,
) -> CategoryPrediction:
    """Reads the category of an offer."""
    return CategoryPrediction(
        category=message.category,
        margin=message.margin,
        categories=tuple(
            CategoryShare(category=each.category, share=each.share) for each in message.categories
        ),
        votes=tuple(
            CategoryVote(
                product_id=each.product_id,
                title=each.title,
                category=each.category,
                score=each.score,
                share=each.share,
            )
            for each in message.votes
        ),
        pattern=pattern_from_message(message.pattern),
        encoder=encoder_from_message(message.encoder),
        probability=message.probability if message.HasField("probability") else None,
    )
