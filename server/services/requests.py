"""What a caller may send: every limit is checked here, and answered with a sentence.

The functions take the path of the message that they check, so that the error names the very field.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from twinshelf.server.catalogue.product_filter import ProductFilter
from twinshelf.server.catalogue.ranking import ValueLimit
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.modalities import Weights
from twinshelf.server.errors import EncoderMismatchError, InvalidRequestError
from twinshelf.server.services.filters import read_excluded_ids, read_filter, read_value_limit
from twinshelf.v1 import matching_service_pb2, product_pb2

DEFAULT_MATCH_COUNT = 10
DEFAULT_TARGET_PRECISION = 0.95
PRODUCT_ID_LIMIT_BYTES = 256
DEFAULT_PAGE_SIZE, PAGE_SIZE_LIMIT = 100, 1000
IDS_LIMIT = 10_000
# Answers of 256 long embeddings stay below the 4 MiB that clients of others take.
EMBEDDINGS_LIMIT = 256
_TOKEN_PREFIX = b"after:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits that the configuration sets; see `ServerConfig` for their meaning."""

    image_bytes: int
    text_bytes: int
    match_count: int
    attribute_count: int


class _HasTexts(Protocol):
    """What an offer and a product have in common."""

    image: bytes
    title: str
    description: str
    category: str
    brand: str

    @property
    def attributes(self) -> Mapping[str, str]:
        """Name to value, in no order; read-only, since a message's map cannot be replaced."""


class HasEncoder(Protocol):
    """What requests that may ask for an encoder have in common."""

    encoder_digest: str
    encoder_version: int


class _HasPage(Protocol):
    """What requests for a page have in common."""

    page_size: int
    page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchOptions:
    """The options of a request, checked.

    Attributes:
        match_count: Most matches to return.
        weights: How much each modality counts; None for the encoder's own.
        min_probability: Least probability of a match, 0 to 1.
        match_prior: Share of such offers that have a match, above 0 to 1; None for the encoder's.
        target_precision: Share of the matches that are to be right, above 0 and below 1.
        pair_count: Best matches that the pair scorer scores and orders, 0 to match_count.
        skip_count: Matches that earlier pages have answered.
        page_digest: Digest of the encoder that answered them; empty for the first page.
        condition: What must hold for a product to match; None takes all.
        excluded_ids: Products that must not match.
        value_limit: How many matches may share a value; None for any number.
    """

    match_count: int
    weights: Weights | None
    min_probability: float = 0.0
    match_prior: float | None = None
    target_precision: float = DEFAULT_TARGET_PRECISION
    pair_count: int = 0
    skip_count: int = 0
    page_digest: str = ""
    condition: ProductFilter | None = None
    excluded_ids: tuple[str, ...] = ()
    value_limit: ValueLimit | None = None


def check_offer(offer: product_pb2.Offer, limits: Limits, path: str) -> None:
    """Checks an offer.

    Raises:
        InvalidRequestError: If it is empty, or something in it is too large or out of range.
    """
    _check_size(offer, (), limits, path)
    _check_price(offer, path)
    _check_not_empty(offer, path)


def check_product(
    product: product_pb2.Product, limits: Limits, path: str, *, has_stored_image: bool = False
) -> None:
    """Checks a product that is to be stored.

    Args:
        product: The product.
        limits: What it may hold.
        path: Of the product.
        has_stored_image: Whether the catalogue keeps what was embedded of a photo.

    Raises:
        InvalidRequestError: If it lacks what it needs, or something in it is out of range.
    """
    check_product_id(product.product_id, f"{path}.product_id")
    _check_size(product, (product.seller, product.image_uri), limits, path)
    _check_price(product, path)
    if not has_stored_image:
        _check_not_empty(product, path)


def check_product_id(product_id: str, path: str) -> None:
    """Checks an identifier.

    Raises:
        InvalidRequestError: If it is empty or too long.
    """
    size = len(product_id.encode())
    if not 1 <= size <= PRODUCT_ID_LIMIT_BYTES:
        raise InvalidRequestError(
            f"product_id must be 1 to {PRODUCT_ID_LIMIT_BYTES} bytes of UTF-8, got {size}",
            field=path,
        )


def echoed_id(product_id: str) -> str:
    """Returns the identifier to answer a row with; "" for one that could break the answer."""
    return product_id if len(product_id.encode()) <= PRODUCT_ID_LIMIT_BYTES else ""


def check_product_ids(product_ids: Sequence[str], limit: int = IDS_LIMIT) -> None:
    """Checks the identifiers of several products.

    Args:
        product_ids: The identifiers.
        limit: Most of them.

    Raises:
        InvalidRequestError: If there are none or too many, or one is empty or too long.
    """
    if not 1 <= len(product_ids) <= limit:
        raise InvalidRequestError(
            f"product_ids must be 1 to {limit} identifiers, got {len(product_ids)}",
            field="product_ids",
        )
    for position, product_id in enumerate(product_ids):
        check_product_id(product_id, f"product_ids[{position}]")


def read_options(
    request: matching_service_pb2.MatchProductRequest, limits: Limits, path: str
) -> MatchOptions:
    """Checks the options of a match request and fills in the defaults.

    Raises:
        InvalidRequestError: If one is out of range.
    """
    count = request.match_count if request.HasField("match_count") else DEFAULT_MATCH_COUNT
    if not 1 <= count <= limits.match_count:
        raise InvalidRequestError(
            f"match_count must be 1 to {limits.match_count}, got {count}",
            field=f"{path}match_count",
        )
    if not 0 <= request.min_probability <= 1:
        raise InvalidRequestError(
            f"min_probability must be 0 to 1, got {request.min_probability}",
            field=f"{path}min_probability",
        )
    match_prior = request.match_prior if request.HasField("match_prior") else None
    if match_prior is not None and not 0 < match_prior <= 1:
        raise InvalidRequestError(
            f"match_prior must be above 0 and at most 1, got {match_prior}",
            field=f"{path}match_prior",
        )
    if not 0 <= request.target_precision < 1:
        raise InvalidRequestError(
            f"target_precision must be above 0 and below 1, or 0 for {DEFAULT_TARGET_PRECISION}, "
            f"got {request.target_precision}",
            field=f"{path}target_precision",
        )
    if not 0 <= request.pair_count <= count:
        raise InvalidRequestError(
            f"pair_count must be 0 to match_count, which is {count}, got {request.pair_count}",
            field=f"{path}pair_count",
        )
    skip_count, page_digest = _read_match_token(request, count, f"{path}page_token")
    return MatchOptions(
        match_count=count,
        weights=read_weights(request, path),
        min_probability=request.min_probability,
        match_prior=match_prior,
        target_precision=request.target_precision or DEFAULT_TARGET_PRECISION,
        pair_count=request.pair_count,
        skip_count=skip_count,
        page_digest=page_digest,
        condition=read_filter(request.filter, f"{path}filter")
        if request.HasField("filter")
        else None,
        excluded_ids=read_excluded_ids(request.excluded_product_ids, f"{path}excluded_product_ids"),
        value_limit=read_value_limit(request.value_limit, f"{path}value_limit")
        if request.HasField("value_limit")
        else None,
    )


def read_weights(
    request: matching_service_pb2.MatchProductRequest | matching_service_pb2.PredictCategoryRequest,
    path: str,
) -> Weights | None:
    """Returns the weights of a request; None for the encoder's own.

    Raises:
        InvalidRequestError: If they are out of range.
    """
    if not request.HasField("weights"):
        return None
    try:
        return Weights(image=request.weights.image, text=request.weights.text)
    except ValueError as error:
        raise InvalidRequestError(str(error), field=f"{path}weights") from None


def is_asked_for(request: HasEncoder, contract: EncoderContract) -> bool:
    """Whether an encoder is one that a request may mean; one that names none means any."""
    digest, version = request.encoder_digest, request.encoder_version
    return digest in ("", contract.digest) and version in (0, contract.version)


def choose_encoder(
    request: HasEncoder, contracts: Sequence[EncoderContract], path: str
) -> EncoderContract:
    """Returns the contract of the encoder that a request asks for.

    Args:
        request: What the caller relies on.
        contracts: Those that can answer; the first does when the request asks for none.
        path: What stands before the names of the request's fields.

    Raises:
        InvalidRequestError: If the version is negative.
        EncoderMismatchError: If it is another one.
    """
    digest, version = request.encoder_digest, request.encoder_version
    if version < 0:
        raise InvalidRequestError(
            f"encoder_version must be zero or more, got {version}",
            field=f"{path}encoder_version",
        )
    for contract in contracts:
        if is_asked_for(request, contract):
            return contract
    asked = f"version {version}" if not digest else digest[:128]
    serving = contracts[0]
    others = "".join(f", {each.digest} (version {each.version}) beside" for each in contracts[1:])
    raise EncoderMismatchError(
        f"the request expects the encoder {asked}, "
        f"but {serving.digest} (version {serving.version}) serves{others}",
        facts={
            "expected_digest": digest,
            "expected_version": str(version),
            "serving_digest": serving.digest,
            "serving_version": str(serving.version),
        },
    )


def read_page(request: _HasPage) -> tuple[int, str]:
    """Returns the page size and the place that the page comes after, such as a product_id.

    Raises:
        InvalidRequestError: If either is out of range.
    """
    size = request.page_size or DEFAULT_PAGE_SIZE
    if not 1 <= size <= PAGE_SIZE_LIMIT:
        raise InvalidRequestError(
            f"page_size must be 1 to {PAGE_SIZE_LIMIT}, or 0 for {DEFAULT_PAGE_SIZE}, got {size}",
            field="page_size",
        )
    return size, _read_token(request.page_token, "page_token") if request.page_token else ""


def page_token(place: str) -> str:
    """Makes the token of the page after a place: a product_id, a count or a number."""
    return base64.urlsafe_b64encode(_TOKEN_PREFIX + place.encode()).decode()


def match_page_token(
    request: matching_service_pb2.MatchProductRequest, skip_count: int, digest: str
) -> str:
    """Makes the token of the page after so many matches of a request, and of no other.

    Args:
        request: The request.
        skip_count: Matches that were answered.
        digest: Digest of the encoder that answered.
    """
    return page_token(f"{_question(request)} {skip_count} {digest}")


def _read_match_token(
    request: matching_service_pb2.MatchProductRequest, match_count: int, path: str
) -> tuple[int, str]:
    """Returns how many matches were answered, and the digest of the encoder that did."""
    if not request.page_token:
        return 0, ""
    question, *rest = _read_token(request.page_token, path).split(" ")
    place, digest = rest if len(rest) == 2 else ("", "")
    is_count = place.isdecimal() and len(place) < 10 and 0 < int(place) < match_count
    if not (is_count and digest) or question != _question(request):
        raise InvalidRequestError(
            "page_token must be the next_page_token of an answer to the same request", field=path
        )
    return int(place), digest


def _question(request: matching_service_pb2.MatchProductRequest) -> str:
    """Tells requests apart whatever their page: by the token of another its best would miss."""
    question = matching_service_pb2.MatchProductRequest()
    question.CopyFrom(request)
    question.ClearField("page_token")
    content = question.SerializeToString(deterministic=True)
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _read_token(token: str, path: str) -> str:
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        if not raw.startswith(_TOKEN_PREFIX):
            raise ValueError
        return raw.removeprefix(_TOKEN_PREFIX).decode()
    except (binascii.Error, ValueError):
        raise InvalidRequestError(
            "page_token must be the next_page_token of an earlier answer", field=path
        ) from None


def _check_size(message: _HasTexts, further: Sequence[str], limits: Limits, path: str) -> None:
    image_bytes = len(message.image)  # once, for it is a copy
    if image_bytes > limits.image_bytes:
        raise InvalidRequestError(
            f"image must be at most {limits.image_bytes} bytes, got {image_bytes}",
            field=f"{path}.image",
        )
    attributes = message.attributes
    if len(attributes) > limits.attribute_count:
        raise InvalidRequestError(
            f"attributes must be at most {limits.attribute_count}, got {len(attributes)}",
            field=f"{path}.attributes",
        )
    texts = (message.title, message.description, message.category, message.brand, *further)
    size = sum(len(text.encode()) for text in (*texts, *attributes, *attributes.values()))
    if size > limits.text_bytes:
        raise InvalidRequestError(
            f"all text fields together must be at most {limits.text_bytes} bytes of UTF-8, "
            f"got {size}",
            field=path,
        )


def _check_price(message: product_pb2.Offer | product_pb2.Product, path: str) -> None:
    if message.HasField("price") and not (math.isfinite(message.price) and message.price >= 0):
        raise InvalidRequestError(
            f"price must be zero or more, got {message.price}", field=f"{path}.price"
        )


def _check_not_empty(message: _HasTexts, path: str) -> None:
    texts = (message.title, message.description, message.category, message.brand)
    if message.image or any(text.strip() for text in (*texts, *message.attributes.values())):
        return
    raise InvalidRequestError(
        f"{path} must have an image or a text (title, description, category, brand or attributes), "
        "both are missing",
        field=path,
    )
