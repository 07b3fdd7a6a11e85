"""What goes into the client and what comes out of it: plain frozen records, no protocol buffers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from twinshelf.client.filters import FilterPlan, ProductFilter, ValueLimit

if TYPE_CHECKING:
    import pandas as pd

    from twinshelf.client.errors import TwinshelfError
    from twinshelf.client.pair_records import PairScorerInfo

Pattern = Literal["none", "image", "text", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of the catalogue.

    Attributes:
        product_id: Identifier, 1 to 256 bytes of UTF-8, unique in the catalogue.
        title: Name as a shop would print it.
        description: Long text; may hold HTML.
        category: Category path or name.
        brand: Brand or maker.
        seller: Seller or source; stored, never embedded.
        price: Price in the catalogue's own currency, zero or more; None when unknown.
        attributes: Further properties, name to value.
        image: Bytes of one JPEG, PNG or WebP file; only sent, never returned by the service.
        further_images: Further photos of it, up to 15, beside an image; only sent. The one that is
            most alike an offer counts.
        image_uri: Where the photo can be found again; stored as given.
        pattern: Modalities that the service embedded; only returned.
        update_time: When the service last wrote the product (UTC); only returned.
    """

    product_id: str
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    seller: str = ""
    price: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    image: bytes = field(default=b"", repr=False)
    further_images: tuple[bytes, ...] = field(default=(), repr=False)
    image_uri: str = ""
    pattern: Pattern = "none"
    update_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductUpdate:
    """New values of some fields of a stored product; all others stay as they are.

    Attributes:
        product: Has the identifier and the new values.
        fields: Names of the fields that change, such as "price"; "attributes.NAME" changes one
            attribute, or removes it when the product lacks it here.
    """

    product: Product
    fields: tuple[str, ...]

    @property
    def product_id(self) -> str:
        """Identifier of the product."""
        return self.product.product_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something that may show a product: a photo, a text, or both.

    Attributes:
        image: Bytes of one JPEG, PNG or WebP file; empty when there is no photo.
        title: Title of the offer.
        description: Long text of the offer.
        category: Category as the seller gives it.
        brand: Brand as the seller gives it.
        price: Price in the catalogue's own currency, zero or more, read by the pair scorer alone;
            None when unknown.
        attributes: Further properties, name to value.
        product_id: Identifier of the product that the offer itself is stored as; only sent to be
            left out, see `MatchOptions.excludes_own_product`.
        seller: Whose offer it is; likewise, see `MatchOptions.excludes_own_seller`.
    """

    image: bytes = field(default=b"", repr=False)
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    price: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    product_id: str = ""
    seller: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalityWeights:
    """How much photo and text count in a score; the service normalises them to sum to one.

    Attributes:
        image: Weight of the photo, zero or more.
        text: Weight of the text, zero or more.

    Raises:
        ValueError: If a weight is negative or not a number, or both are zero.
    """

    image: float = 0.0
    text: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in (("image", self.image), ("text", self.text)):
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"the weight of {name} must be zero or more, got {weight}")
        if self.image + self.text == 0:
            raise ValueError("at least one of the weights of image and text must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOptions:
    """How to match.

    Attributes:
        match_count: Matches to return at most, 1 or more; None leaves it to the service (10).
        weights: Weights of the modalities; None takes those fitted in training.
        min_probability: Only matches of at least this probability, 0 to 1.
        match_prior: Share of such offers that have a match in the catalogue, above 0 to 1; None
            takes that which the encoder was calibrated for.
        target_precision: Share of the matches with `is_match` that are to be right, above 0 and
            below 1; None leaves it to the service (0.95).
        encoder_digest: Digest of the encoder that is to answer; empty takes the one that serves.
        encoder_version: Version of the encoder that is to answer; 0 takes the one that serves.
        pair_count: Best matches that the pair scorer scores and orders, 0 to `match_count`.
        filter: Which products may match; None takes all. Probabilities are those among these.
        excludes_own_product: Whether the product that has the offer's own id is left out.
        excludes_own_seller: Whether the products of the offer's own seller are left out.
        value_limit: How many matches may share a value, such as a seller; None any number.
    """

    match_count: int | None = None
    weights: ModalityWeights | None = None
    min_probability: float = 0.0
    match_prior: float | None = None
    target_precision: float | None = None
    encoder_digest: str = ""
    encoder_version: int = 0
    pair_count: int = 0
    filter: ProductFilter | None = None
    excludes_own_product: bool = False
    excludes_own_seller: bool = False
    value_limit: ValueLimit | None = None


DEFAULT_MATCH_OPTIONS = MatchOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInfo:
    """The encoder that answered.

    Attributes:
        digest: "sha256:" and 64 hex digits.
        version: Version in the model repository, 1 or more.
    """

    digest: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One product that an offer may show.

    Attributes:
        product: The product, without its photo.
        score: Similarity, -1 to 1, higher is more alike.
        probability: Probability, 0 to 1, that offer and product are the same item; one with a rival
            of like score has less.
        is_match: Whether it counts as the same item at the precision asked for.
        pattern: Modalities that both sides have.
        image_score: Cosine of the photos; None when either side has none.
        text_score: Cosine of the texts; None when either side has none.
        pair_probability: Probability, 0 to 1, that the two are the same item, by the pair scorer,
            whatever the rivals; None when it was not asked for.
    """

    product: Product
    score: float
    probability: float
    is_match: bool
    pattern: Pattern
    image_score: float | None
    text_score: float | None
    pair_probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """The matches of one offer.

    Attributes:
        matches: Best first.
        pattern: Modalities of the offer that were embedded.
        encoder: The encoder that answered.
        no_match_probability: Probability, 0 to 1, that the catalogue holds no match.
        is_cut: Whether matches were left out because the products are long. Those of a stream can
            be; `match` fetches all pages of an answer.
        scorer: The pair scorer behind `pair_probability`; None when it was not asked for.
        filter_plan: How the search was done; None without a filter.
        pictures: Thumbnails by product_id, for notebooks; `illustrate` of a client fetches them.
    """

    matches: tuple[Match, ...]
    pattern: Pattern
    encoder: EncoderInfo
    no_match_probability: float
    is_cut: bool = False
    scorer: PairScorerInfo | None = None
    filter_plan: FilterPlan | None = None
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def to_pandas(self) -> pd.DataFrame:
        """Returns a row for each match, best first, with the fields of its product."""
        from twinshelf.client.result_table import matches_frame  # pandas takes a while

        return matches_frame(self)

    def _repr_html_(self) -> str:
        from twinshelf.client.result_table import matches_html

        return matches_html(self, self.pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchAnswer:
    """The answer to one offer of a stream: a result or an error.

    Attributes:
        offer_index: Position of the offer in the stream, from 0.
        result: The matches; None when the offer failed.
        error: What failed; None when the offer was matched.
    """

    offer_index: int
    result: MatchResult | None = None
    error: TwinshelfError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertAnswer:
    """What became of one product of a stream.

    Attributes:
        product_index: Position of the product in the stream, from 0.
        product_id: Identifier of the product.
        pattern: Modalities that were embedded; "none" when the product failed.
        replaced: Whether a product of this id stood there before.
        encoder: The encoder that embedded it; None when the product failed.
        error: What failed; None when the product was stored.
    """

    product_index: int
    product_id: str
    pattern: Pattern = "none"
    replaced: bool = False
    encoder: EncoderInfo | None = None
    error: TwinshelfError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProduct:
    """A product and the encoder that embedded it.

    Attributes:
        product: The product, without its photo.
        encoder_digest: Digest of the encoder.
    """

    product: Product
    encoder_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductPage:
    """A page of the catalogue.

    Attributes:
        products: By rising product_id, without photos.
        next_page_token: Token of the next page; empty when this is the last.
    """

    products: tuple[Product, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """What was removed.

    Attributes:
        deleted_count: Products that were removed.
        missing_product_ids: Identifiers that were not in the catalogue.
    """

    deleted_count: int
    missing_product_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogStats:
    """What is stored.

    Attributes:
        product_count: Products.
        image_count: Products with an embedded photo.
        photo_count: Embedded photos; a product may have several.
        text_count: Products with an embedded text.
        stale_product_count: Products embedded by another encoder than the serving one.
        damaged_product_count: Products that were set aside, as what is stored of them is damaged.
        indexed_vector_count: Vectors in the search index.
        encoder: The serving encoder; its digest is empty while that is away.
        embedding_dimension: Length of one stored vector.
        change_sequence: Number of the last change.
        history_id: Another one after a backup was restored, or the catalogue was made anew; empty
            where the service knows none.
    """

    product_count: int
    image_count: int
    photo_count: int
    text_count: int
    stale_product_count: int
    damaged_product_count: int
    indexed_vector_count: int
    encoder: EncoderInfo
    embedding_dimension: int
    change_sequence: int
    history_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductEmbedding:
    """What the serving encoder made of a product.

    Attributes:
        product_id: Identifier of the product.
        image: Embedding of its first photo, of length 1; empty without a photo.
        text: Embedding of its text, of length 1; empty without a text.
    """

    product_id: str
    image: tuple[float, ...]
    text: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReport:
    """What a snapshot of the search index holds.

    Attributes:
        vector_count: Vectors in the search index.
        change_sequence: Number of the last change.
    """

    vector_count: int
    change_sequence: int
