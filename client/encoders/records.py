"""Records of encoders: what each has embedded, and how two of them answer alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinshelf.client.records import EncoderInfo, Pattern

if TYPE_CHECKING:
    from twinshelf.client.errors import TwinshelfError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReindexFailure:
    """A product that an encoder refused.

    Attributes:
        product_id: Its identifier.
        reason: Why, in a sentence.
    """

    product_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderState:
    """An encoder, and how much of the catalogue it has embedded.

    Attributes:
        encoder: Digest and version; the version is 0 while the service does not reach it.
        is_serving: Whether it answers requests that name no encoder.
        is_reached: Whether the service reaches it now.
        is_kept: Whether every write renews its vectors, beside those of another one.
        embedded_product_count: Products that it has embedded.
        missing_product_count: Products that it has not.
        waiting_product_count: Those of them whose photo must be sent again.
        failed_product_count: Those of them that it refused.
        failures: The first of these.
    """

    encoder: EncoderInfo
    is_serving: bool
    is_reached: bool
    is_kept: bool
    embedded_product_count: int
    missing_product_count: int
    waiting_product_count: int
    failed_product_count: int
    failures: tuple[ReindexFailure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReindexAnswer:
    """What became of one product of a stream.

    Attributes:
        product_index: Position of the product in the stream, from 0.
        product_id: Identifier of the product.
        pattern: Modalities that are embedded; "none" when the product failed.
        was_embedded: Whether it was embedded before.
        error: What failed; None when the product is embedded.
    """

    product_index: int
    product_id: str
    pattern: Pattern = "none"
    was_embedded: bool = False
    error: TwinshelfError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSwitch:
    """A change of the encoder that serves.

    Attributes:
        serving: The one that serves now.
        previous: The one that served before.
    """

    serving: EncoderInfo
    previous: EncoderInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderComparison:
    """How two encoders have answered the same offers, a sample of the live ones.

    Attributes:
        serving: The one that serves.
        other: The one beside it; None where there is none that has embedded every product.
        query_count: Offers that both have answered; all means are over these.
        depth: Best matches that are compared.
        mean_overlap: Mean share of the best matches that both name, 0 to 1.
        same_best_share: Share of the offers whose best match is the same, 0 to 1.
        mean_score_shift: Mean score of the best match by the other, less that by the serving one.
        mean_probability_shift: The same of its probability.
        failure_count: Offers that the other failed to answer.
    """

    serving: EncoderInfo
    other: EncoderInfo | None
    query_count: int
    depth: int
    mean_overlap: float
    same_best_share: float
    mean_score_shift: float
    mean_probability_shift: float
    failure_count: int
