import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModalityPattern(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODALITY_PATTERN_UNSPECIFIED: _ClassVar[ModalityPattern]
    MODALITY_PATTERN_IMAGE: _ClassVar[ModalityPattern]
    MODALITY_PATTERN_TEXT: _ClassVar[ModalityPattern]
    MODALITY_PATTERN_BOTH: _ClassVar[ModalityPattern]
MODALITY_PATTERN_UNSPECIFIED: ModalityPattern
MODALITY_PATTERN_IMAGE: ModalityPattern
MODALITY_PATTERN_TEXT: ModalityPattern
MODALITY_PATTERN_BOTH: ModalityPattern

class Product(_message.Message):
    __slots__ = ("product_id", "title", "description", "category", "brand", "seller", "price", "attributes", "image", "image_uri", "pattern", "update_time", "further_images")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    SELLER_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URI_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    FURTHER_IMAGES_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    title: str
    description: str
    category: str
    brand: str
    seller: str
    price: float
    attributes: _containers.ScalarMap[str, str]
    image: bytes
    image_uri: str
    pattern: ModalityPattern
    update_time: _timestamp_pb2.Timestamp
    further_images: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, product_id: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., category: _Optional[str] = ..., brand: _Optional[str] = ..., seller: _Optional[str] = ..., price: _Optional[float] = ..., attributes: _Optional[_Mapping[str, str]] = ..., image: _Optional[bytes] = ..., image_uri: _Optional[str] = ..., pattern: _Optional[_Union[ModalityPattern, str]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., further_images: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("image", "title", "description", "category", "brand", "attributes", "price")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    title: str
    description: str
    category: str
    brand: str
    attributes: _containers.ScalarMap[str, str]
    price: float
    def __init__(self, image: _Optional[bytes] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., category: _Optional[str] = ..., brand: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., price: _Optional[float] = ...) -> None: ...

class ModalityWeights(_message.Message):
    __slots__ = ("image", "text")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    image: float
    text: float
    def __init__(self, image: _Optional[float] = ..., text: _Optional[float] = ...) -> None: ...

class Match(_message.Message):
    __slots__ = ("product", "score", "probability", "pattern", "image_score", "text_score", "is_match", "pair_probability")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SCORE_FIELD_NUMBER: _ClassVar[int]
    TEXT_SCORE_FIELD_NUMBER: _ClassVar[int]
    IS_MATCH_FIELD_NUMBER: _ClassVar[int]
    PAIR_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    product: Product
    score: float
    probability: float
    pattern: ModalityPattern
    image_score: float
    text_score: float
    is_match: bool
    pair_probability: float
    def __init__(self, product: _Optional[_Union[Product, _Mapping]] = ..., score: _Optional[float] = ..., probability: _Optional[float] = ..., pattern: _Optional[_Union[ModalityPattern, str]] = ..., image_score: _Optional[float] = ..., text_score: _Optional[float] = ..., is_match: _Optional[bool] = ..., pair_probability: _Optional[float] = ...) -> None: ...

class EncoderInfo(_message.Message):
    __slots__ = ("digest", "version")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    digest: str
    version: int
    def __init__(self, digest: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class PairScorerInfo(_message.Message):
    __slots__ = ("digest", "threshold")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    digest: str
    threshold: float
    def __init__(self, digest: _Optional[str] = ..., threshold: _Optional[float] = ...) -> None: ...
