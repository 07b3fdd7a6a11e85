"""Between the records of pairs and the messages of twinshelf.v1."""

from __future__ import annotations

from twinshelf.client.conversions import (
    encoder_from_message,
    encoder_request,
    offer_to_message,
    scorer_from_message,
)
from twinshelf.client.pair_records import PairReason, PairScore
from twinshelf.client.records import Offer
from twinshelf.v1 import matching_service_pb2


def pair_request(
    left: Offer | str, right: Offer | str, reason_count: int, encoder: int | str
) -> matching_service_pb2.ScorePairRequest:
    """Makes the request that scores a pair; a text is the id of a stored product."""
    request = encoder_request(matching_service_pb2.ScorePairRequest, encoder)
    request.left.CopyFrom(_side(left))
    request.right.CopyFrom(_side(right))
    request.reason_count = reason_count
    return request


def pair_score(message: matching_service_pb2.ScorePairResponse) -> PairScore:
    """Reads the score of a pair."""
    cosines = {
        name: getattr(message, name) if message.HasField(name) else None
        for name in ("image_cosine", "text_cosine", "fused_cosine")
    }
    return PairScore(
        probability=message.probability,
        is_match=message.is_match,
        reasons=tuple(
            PairReason(
                feature=reason.feature,
                value=reason.value if reason.HasField("value") else None,
                log_odds=reason.log_odds,
            )
            for reason in message.reasons
        ),
        scorer=scorer_from_message(message.pair_scorer),
        encoder=encoder_from_message(message.encoder) if message.HasField("encoder") else None,
        **cosines,
    )


def _side(side: Offer | str) -> matching_service_pb2.PairSide:
    if isinstance(side, str):
        return matching_service_pb2.PairSide(product_id=side)
    return matching_service_pb2.PairSide(offer=offer_to_message(side))
