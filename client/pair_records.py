"""What comes out of the pair scorer: whether two records are the same item, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinshelf.client.records import EncoderInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScorerInfo:
    """The pair scorer that answered.

    Attributes:
        digest: "sha256:" and 64 hex digits.
        threshold: Probability from which on a pair counts as a match, 0 to 1.
    """

    digest: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReason:
    """What one feature did to the probability of a pair.

    Attributes:
        feature: Its name, such as "title_word_jaccard".
        value: Its value; None when a side says nothing of it.
        log_odds: Change of the natural log odds when the feature is known instead of missing; above
            zero speaks for the same item.
    """

    feature: str
    value: float | None
    log_odds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """Whether two records are the same item.

    Attributes:
        probability: That they are, 0 to 1.
        is_match: Whether that reaches the threshold of the scorer.
        reasons: What the features did to it, the strongest first.
        image_cosine: Cosine of the photos; None when it is not known, or not read.
        text_cosine: Cosine of the texts; None when it is not known, or not read.
        fused_cosine: Mean of both by the encoder's weights; None when it is not known, or not read.
        scorer: The pair scorer that answered.
        encoder: The encoder behind the cosines; None when none is read.
    """

    probability: float
    is_match: bool
    reasons: tuple[PairReason, ...]
    image_cosine: float | None
    text_cosine: float | None
    fused_cosine: float | None
    scorer: PairScorerInfo
    encoder: EncoderInfo | None
