"""From the score of a pair to its message."""

from __future__ import annotations

import math

from twinshelf.server.encoders.pair_contract import PairContract
from twinshelf.server.services.conversions import encoder_info
from twinshelf.server.services.pairs.pair_scorer import PairScore
from twinshelf.v1 import matching_service_pb2 as pb
from twinshelf.v1 import product_pb2


def pair_response(score: PairScore) -> pb.ScorePairResponse:
    """Returns the answer to a pair."""
    response = pb.ScorePairResponse(
        probability=score.probability,
        is_match=score.probability >= score.scorer.threshold,
        pair_scorer=pair_scorer_info(score.scorer),
        encoder=None if score.encoder is None else encoder_info(score.encoder),
    )
    for reason in score.reasons:
        response.reasons.add(feature=reason.feature, value=reason.value, log_odds=reason.log_odds)
    for name in ("image", "text", "fused"):
        cosine = getattr(score.cosines, name)
        if score.scorer.reads(f"{name}_cosine") and not math.isnan(cosine):
            setattr(response, f"{name}_cosine", cosine)
    return response


def pair_scorer_info(scorer: PairContract) -> product_pb2.PairScorerInfo:
    """Returns the message that names a scorer."""
    return product_pb2.PairScorerInfo(digest=scorer.digest, threshold=scorer.threshold)
