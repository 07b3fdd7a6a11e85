from google.rpc import status_pb2 as _status_pb2
from twinshelf.v1 import product_pb2 as _product_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EncoderState(_message.Message):
    __slots__ = ("encoder", "is_serving", "is_reached", "is_kept", "embedded_product_count", "missing_product_count", "waiting_product_count", "failed_product_count", "failures")
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    IS_SERVING_FIELD_NUMBER: _ClassVar[int]
    IS_REACHED_FIELD_NUMBER: _ClassVar[int]
    IS_KEPT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    WAITING_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    encoder: _product_pb2.EncoderInfo
    is_serving: bool
    is_reached: bool
    is_kept: bool
    embedded_product_count: int
    missing_product_count: int
    waiting_product_count: int
    failed_product_count: int
    failures: _containers.RepeatedCompositeFieldContainer[ReindexFailure]
    def __init__(self, encoder: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ..., is_serving: _Optional[bool] = ..., is_reached: _Optional[bool] = ..., is_kept: _Optional[bool] = ..., embedded_product_count: _Optional[int] = ..., missing_product_count: _Optional[int] = ..., waiting_product_count: _Optional[int] = ..., failed_product_count: _Optional[int] = ..., failures: _Optional[_Iterable[_Union[ReindexFailure, _Mapping]]] = ...) -> None: ...

class ReindexFailure(_message.Message):
    __slots__ = ("product_id", "reason")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    reason: str
    def __init__(self, product_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ListEncodersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListEncodersResponse(_message.Message):
    __slots__ = ("encoders",)
    ENCODERS_FIELD_NUMBER: _ClassVar[int]
    encoders: _containers.RepeatedCompositeFieldContainer[EncoderState]
    def __init__(self, encoders: _Optional[_Iterable[_Union[EncoderState, _Mapping]]] = ...) -> None: ...

class ReindexRequest(_message.Message):
    __slots__ = ("encoder_digest", "encoder_version")
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENCODER_VERSION_FIELD_NUMBER: _ClassVar[int]
    encoder_digest: str
    encoder_version: int
    def __init__(self, encoder_digest: _Optional[str] = ..., encoder_version: _Optional[int] = ...) -> None: ...

class ReindexResponse(_message.Message):
    __slots__ = ("encoder",)
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    encoder: EncoderState
    def __init__(self, encoder: _Optional[_Union[EncoderState, _Mapping]] = ...) -> None: ...

class ReindexProductsRequest(_message.Message):
    __slots__ = ("product",)
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    product: _product_pb2.Product
    def __init__(self, product: _Optional[_Union[_product_pb2.Product, _Mapping]] = ...) -> None: ...

class ReindexProductsResponse(_message.Message):
    __slots__ = ("product_id", "request_index", "reindexed", "error")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_INDEX_FIELD_NUMBER: _ClassVar[int]
    REINDEXED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    request_index: int
    reindexed: ReindexedProduct
    error: _status_pb2.Status
    def __init__(self, product_id: _Optional[str] = ..., request_index: _Optional[int] = ..., reindexed: _Optional[_Union[ReindexedProduct, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class ReindexedProduct(_message.Message):
    __slots__ = ("pattern", "was_embedded")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    WAS_EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    pattern: _product_pb2.ModalityPattern
    was_embedded: bool
    def __init__(self, pattern: _Optional[_Union[_product_pb2.ModalityPattern, str]] = ..., was_embedded: _Optional[bool] = ...) -> None: ...

class SwitchEncoderRequest(_message.Message):
    __slots__ = ("encoder_digest", "encoder_version")
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENCODER_VERSION_FIELD_NUMBER: _ClassVar[int]
    encoder_digest: str
    encoder_version: int
    def __init__(self, encoder_digest: _Optional[str] = ..., encoder_version: _Optional[int] = ...) -> None: ...

class SwitchEncoderResponse(_message.Message):
    __slots__ = ("serving", "previous")
    SERVING_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    serving: _product_pb2.EncoderInfo
    previous: _product_pb2.EncoderInfo
    def __init__(self, serving: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ..., previous: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ...) -> None: ...

class DropEncoderRequest(_message.Message):
    __slots__ = ("encoder_digest", "encoder_version")
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENCODER_VERSION_FIELD_NUMBER: _ClassVar[int]
    encoder_digest: str
    encoder_version: int
    def __init__(self, encoder_digest: _Optional[str] = ..., encoder_version: _Optional[int] = ...) -> None: ...

class DropEncoderResponse(_message.Message):
    __slots__ = ("dropped_product_count",)
    DROPPED_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    dropped_product_count: int
    def __init__(self, dropped_product_count: _Optional[int] = ...) -> None: ...

class CompareEncodersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CompareEncodersResponse(_message.Message):
    __slots__ = ("serving", "other", "query_count", "depth", "mean_overlap", "same_best_share", "mean_score_shift", "mean_probability_shift", "failure_count")
    SERVING_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    QUERY_COUNT_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    MEAN_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    SAME_BEST_SHARE_FIELD_NUMBER: _ClassVar[int]
    MEAN_SCORE_SHIFT_FIELD_NUMBER: _ClassVar[int]
    MEAN_PROBABILITY_SHIFT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    serving: _product_pb2.EncoderInfo
    other: _product_pb2.EncoderInfo
    query_count: int
    depth: int
    mean_overlap: float
    same_best_share: float
    mean_score_shift: float
    mean_probability_shift: float
    failure_count: int
    def __init__(self, serving: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ..., other: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ..., query_count: _Optional[int] = ..., depth: _Optional[int] = ..., mean_overlap: _Optional[float] = ..., same_best_share: _Optional[float] = ..., mean_score_shift: _Optional[float] = ..., mean_probability_shift: _Optional[float] = ..., failure_count: _Optional[int] = ...) -> None: ...
