"""What goes into the prediction of a category, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinshelf.client.records import EncoderInfo, ModalityWeights, Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryOptions:
    """How to predict a category.

    Attributes:
        neighbour_count: Nearest products that vote, 1 or more; None takes as many as the encoder
            was calibrated with, or 10.
        weights: Weights of the modalities; None takes those fitted in training.
        min_margin: Abstain below this margin, 0 to 1.
        level_count: Levels of the category paths that are predicted; 0 takes whole paths.
        excluded_product_id: A product that has no vote, such as the offer itself where it is
            stored; empty excludes none.
        encoder_digest: Digest of the encoder that is to answer; empty takes the one that serves.
        encoder_version: Version of the encoder that is to answer; 0 takes the one that serves.
        target_precision: Share of the answers that are to be right, above 0 and below 1: others are
            abstained from, and all where nothing was calibrated; 0 answers however improbable.
    """

    neighbour_count: int | None = None
    weights: ModalityWeights | None = None
    min_margin: float = 0.0
    level_count: int = 0
    excluded_product_id: str = ""
    encoder_digest: str = ""
    encoder_version: int = 0
    target_precision: float = 0.0


DEFAULT_CATEGORY_OPTIONS = CategoryOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryShare:
    """What a category got of the votes.

    Attributes:
        category: The category, as products spell it.
        share: Share of the votes, 0 to 1; no calibrated probability.
    """

    category: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryVote:
    """The vote of one product.

    Attributes:
        product_id: Its identifier.
        title: Its title.
        category: What it voted for.
        score: Similarity to the offer, -1 to 1.
        share: Share of all votes, 0 to 1.
    """

    product_id: str
    title: str
    category: str
    score: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryPrediction:
    """The category of an offer.

    Attributes:
        category: The category with the greatest sum of votes; empty when it was abstained from, or
            nobody voted.
        margin: Share of the votes by which it is ahead of the best other one among the 20 nearest
            products, 0 to 1.
        categories: Every category that was voted for, by falling share.
        votes: The products that voted, nearest first.
        pattern: Modalities of the offer that were embedded.
        encoder: The encoder that answered.
        probability: Probability that the first of the categories is right, 0 to 1; None where
            nothing was calibrated for such a vote, or nobody voted.
    """

    category: str
    margin: float
    categories: tuple[CategoryShare, ...]
    votes: tuple[CategoryVote, ...]
    pattern: Pattern
    encoder: EncoderInfo
    probability: float | None
