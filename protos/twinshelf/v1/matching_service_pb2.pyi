from google.rpc import status_pb2 as _status_pb2
from twinshelf.v1 import filter_pb2 as _filter_pb2
from twinshelf.v1 import product_pb2 as _product_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MatchProductRequest(_message.Message):
    __slots__ = ("offer", "match_count", "weights", "min_probability", "encoder_digest", "encoder_version", "page_token", "match_prior", "target_precision", "pair_count", "filter", "excluded_product_ids", "value_limit")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    MATCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    MIN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENCODER_VERSION_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MATCH_PRIOR_FIELD_NUMBER: _ClassVar[int]
    TARGET_PRECISION_FIELD_NUMBER: _ClassVar[int]
    PAIR_COUNT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_PRODUCT_IDS_FIELD_NUMBER: _ClassVar[int]
    VALUE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    offer: _product_pb2.Offer
    match_count: int
    weights: _product_pb2.ModalityWeights
    min_probability: float
    encoder_digest: str
    encoder_version: int
    page_token: str
    match_prior: float
    target_precision: float
    pair_count: int
    filter: _filter_pb2.Filter
    excluded_product_ids: _containers.RepeatedScalarFieldContainer[str]
    value_limit: ValueLimit
    def __init__(self, offer: _Optional[_Union[_product_pb2.Offer, _Mapping]] = ..., match_count: _Optional[int] = ..., weights: _Optional[_Union[_product_pb2.ModalityWeights, _Mapping]] = ..., min_probability: _Optional[float] = ..., encoder_digest: _Optional[str] = ..., encoder_version: _Optional[int] = ..., page_token: _Optional[str] = ..., match_prior: _Optional[float] = ..., target_precision: _Optional[float] = ..., pair_count: _Optional[int] = ..., filter: _Optional[_Union[_filter_pb2.Filter, _Mapping]] = ..., excluded_product_ids: _Optional[_Iterable[str]] = ..., value_limit: _Optional[_Union[ValueLimit, _Mapping]] = ...) -> None: ...

class ValueLimit(_message.Message):
    __slots__ = ("field", "match_count")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MATCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    field: str
    match_count: int
    def __init__(self, field: _Optional[str] = ..., match_count: _Optional[int] = ...) -> None: ...

class MatchProductResponse(_message.Message):
    __slots__ = ("matches", "pattern", "encoder", "next_page_token", "no_match_probability", "pair_scorer", "filter_plan")
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NO_MATCH_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PAIR_SCORER_FIELD_NUMBER: _ClassVar[int]
    FILTER_PLAN_FIELD_NUMBER: _ClassVar[int]
    matches: _containers.RepeatedCompositeFieldContainer[_product_pb2.Match]
    pattern: _product_pb2.ModalityPattern
    encoder: _product_pb2.EncoderInfo
    next_page_token: str
    no_match_probability: float
    pair_scorer: _product_pb2.PairScorerInfo
    filter_plan: FilterPlan
    def __init__(self, matches: _Optional[_Iterable[_Union[_product_pb2.Match, _Mapping]]] = ..., pattern: _Optional[_Union[_product_pb2.ModalityPattern, str]] = ..., encoder: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ..., next_page_token: _Optional[str] = ..., no_match_probability: _Optional[float] = ..., pair_scorer: _Optional[_Union[_product_pb2.PairScorerInfo, _Mapping]] = ..., filter_plan: _Optional[_Union[FilterPlan, _Mapping]] = ...) -> None: ...

class FilterPlan(_message.Message):
    __slots__ = ("search", "allowed_count")
    class Search(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SEARCH_UNSPECIFIED: _ClassVar[FilterPlan.Search]
        SEARCH_EXACT: _ClassVar[FilterPlan.Search]
        SEARCH_GRAPH: _ClassVar[FilterPlan.Search]
    SEARCH_UNSPECIFIED: FilterPlan.Search
    SEARCH_EXACT: FilterPlan.Search
    SEARCH_GRAPH: FilterPlan.Search
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_COUNT_FIELD_NUMBER: _ClassVar[int]
    search: FilterPlan.Search
    allowed_count: int
    def __init__(self, search: _Optional[_Union[FilterPlan.Search, str]] = ..., allowed_count: _Optional[int] = ...) -> None: ...

class MatchProductsRequest(_message.Message):
    __slots__ = ("request_id", "request")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    request: MatchProductRequest
    def __init__(self, request_id: _Optional[str] = ..., request: _Optional[_Union[MatchProductRequest, _Mapping]] = ...) -> None: ...

class MatchProductsResponse(_message.Message):
    __slots__ = ("request_id", "response", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    response: MatchProductResponse
    error: _status_pb2.Status
    def __init__(self, request_id: _Optional[str] = ..., response: _Optional[_Union[MatchProductResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class ScorePairRequest(_message.Message):
    __slots__ = ("left", "right", "reason_count", "encoder_digest", "encoder_version")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    REASON_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENCODER_VERSION_FIELD_NUMBER: _ClassVar[int]
    left: PairSide
    right: PairSide
    reason_count: int
    encoder_digest: str
    encoder_version: int
    def __init__(self, left: _Optional[_Union[PairSide, _Mapping]] = ..., right: _Optional[_Union[PairSide, _Mapping]] = ..., reason_count: _Optional[int] = ..., encoder_digest: _Optional[str] = ..., encoder_version: _Optional[int] = ...) -> None: ...

class PairSide(_message.Message):
    __slots__ = ("offer", "product_id")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    offer: _product_pb2.Offer
    product_id: str
    def __init__(self, offer: _Optional[_Union[_product_pb2.Offer, _Mapping]] = ..., product_id: _Optional[str] = ...) -> None: ...

class ScorePairResponse(_message.Message):
    __slots__ = ("probability", "is_match", "reasons", "image_cosine", "text_cosine", "fused_cosine", "pair_scorer", "encoder")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    IS_MATCH_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_COSINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_COSINE_FIELD_NUMBER: _ClassVar[int]
    FUSED_COSINE_FIELD_NUMBER: _ClassVar[int]
    PAIR_SCORER_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    probability: float
    is_match: bool
    reasons: _containers.RepeatedCompositeFieldContainer[PairReason]
    image_cosine: float
    text_cosine: float
    fused_cosine: float
    pair_scorer: _product_pb2.PairScorerInfo
    encoder: _product_pb2.EncoderInfo
    def __init__(self, probability: _Optional[float] = ..., is_match: _Optional[bool] = ..., reasons: _Optional[_Iterable[_Union[PairReason, _Mapping]]] = ..., image_cosine: _Optional[float] = ..., text_cosine: _Optional[float] = ..., fused_cosine: _Optional[float] = ..., pair_scorer: _Optional[_Union[_product_pb2.PairScorerInfo, _Mapping]] = ..., encoder: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ...) -> None: ...

class PairReason(_message.Message):
    __slots__ = ("feature", "value", "log_odds")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOG_ODDS_FIELD_NUMBER: _ClassVar[int]
    feature: str
    value: float
    log_odds: float
    def __init__(self, feature: _Optional[str] = ..., value: _Optional[float] = ..., log_odds: _Optional[float] = ...) -> None: ...

class PredictCategoryRequest(_message.Message):
    __slots__ = ("offer", "neighbour_count", "weights", "min_margin", "level_count", "excluded_product_id", "encoder_digest", "encoder_version", "target_precision", "product_id")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOUR_COUNT_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    MIN_MARGIN_FIELD_NUMBER: _ClassVar[int]
    LEVEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENCODER_VERSION_FIELD_NUMBER: _ClassVar[int]
    TARGET_PRECISION_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    offer: _product_pb2.Offer
    neighbour_count: int
    weights: _product_pb2.ModalityWeights
    min_margin: float
    level_count: int
    excluded_product_id: str
    encoder_digest: str
    encoder_version: int
    target_precision: float
    product_id: str
    def __init__(self, offer: _Optional[_Union[_product_pb2.Offer, _Mapping]] = ..., neighbour_count: _Optional[int] = ..., weights: _Optional[_Union[_product_pb2.ModalityWeights, _Mapping]] = ..., min_margin: _Optional[float] = ..., level_count: _Optional[int] = ..., excluded_product_id: _Optional[str] = ..., encoder_digest: _Optional[str] = ..., encoder_version: _Optional[int] = ..., target_precision: _Optional[float] = ..., product_id: _Optional[str] = ...) -> None: ...

class PredictCategoryResponse(_message.Message):
    __slots__ = ("category", "margin", "categories", "votes", "pattern", "encoder", "probability")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    category: str
    margin: float
    categories: _containers.RepeatedCompositeFieldContainer[CategoryShare]
    votes: _containers.RepeatedCompositeFieldContainer[CategoryVote]
    pattern: _product_pb2.ModalityPattern
    encoder: _product_pb2.EncoderInfo
    probability: float
    def __init__(self, category: _Optional[str] = ..., margin: _Optional[float] = ..., categories: _Optional[_Iterable[_Union[CategoryShare, _Mapping]]] = ..., votes: _Optional[_Iterable[_Union[CategoryVote, _Mapping]]] = ..., pattern: _Optional[_Union[_product_pb2.ModalityPattern, str]] = ..., encoder: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ..., probability: _Optional[float] = ...) -> None: ...

class CategoryShare(_message.Message):
    __slots__ = ("category", "share")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    category: str
    share: float
    def __init__(self, category: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class CategoryVote(_message.Message):
    __slots__ = ("product_id", "title", "category", "score", "share")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    title: str
    category: str
    score: float
    share: float
    def __init__(self, product_id: _Optional[str] = ..., title: _Optional[str] = ..., category: _Optional[str] = ..., score: _Optional[float] = ..., share: _Optional[float] = ...) -> None: ...
