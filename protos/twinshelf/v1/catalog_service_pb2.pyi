from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.rpc import status_pb2 as _status_pb2
from twinshelf.v1 import product_pb2 as _product_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_KIND_UNSPECIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_UPSERTED: _ClassVar[ChangeKind]
    CHANGE_KIND_DELETED: _ClassVar[ChangeKind]
CHANGE_KIND_UNSPECIFIED: ChangeKind
CHANGE_KIND_UPSERTED: ChangeKind
CHANGE_KIND_DELETED: ChangeKind

class UpsertProductsRequest(_message.Message):
    __slots__ = ("product", "update_mask")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    product: _product_pb2.Product
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, product: _Optional[_Union[_product_pb2.Product, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpsertProductsResponse(_message.Message):
    __slots__ = ("product_id", "request_index", "upserted", "error")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_INDEX_FIELD_NUMBER: _ClassVar[int]
    UPSERTED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    request_index: int
    upserted: UpsertedProduct
    error: _status_pb2.Status
    def __init__(self, product_id: _Optional[str] = ..., request_index: _Optional[int] = ..., upserted: _Optional[_Union[UpsertedProduct, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class UpsertedProduct(_message.Message):
    __slots__ = ("pattern", "replaced", "encoder")
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    pattern: _product_pb2.ModalityPattern
    replaced: bool
    encoder: _product_pb2.EncoderInfo
    def __init__(self, pattern: _Optional[_Union[_product_pb2.ModalityPattern, str]] = ..., replaced: _Optional[bool] = ..., encoder: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ...) -> None: ...

class GetProductRequest(_message.Message):
    __slots__ = ("product_id",)
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    def __init__(self, product_id: _Optional[str] = ...) -> None: ...

class GetProductResponse(_message.Message):
    __slots__ = ("product", "encoder_digest")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    ENCODER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    product: _product_pb2.Product
    encoder_digest: str
    def __init__(self, product: _Optional[_Union[_product_pb2.Product, _Mapping]] = ..., encoder_digest: _Optional[str] = ...) -> None: ...

class GetThumbnailRequest(_message.Message):
    __slots__ = ("product_id",)
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    def __init__(self, product_id: _Optional[str] = ...) -> None: ...

class GetThumbnailResponse(_message.Message):
    __slots__ = ("jpeg",)
    JPEG_FIELD_NUMBER: _ClassVar[int]
    jpeg: bytes
    def __init__(self, jpeg: _Optional[bytes] = ...) -> None: ...

class GetEmbeddingsRequest(_message.Message):
    __slots__ = ("product_ids",)
    PRODUCT_IDS_FIELD_NUMBER: _ClassVar[int]
    product_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, product_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetEmbeddingsResponse(_message.Message):
    __slots__ = ("embeddings", "encoder")
    EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    embeddings: _containers.RepeatedCompositeFieldContainer[ProductEmbedding]
    encoder: _product_pb2.EncoderInfo
    def __init__(self, embeddings: _Optional[_Iterable[_Union[ProductEmbedding, _Mapping]]] = ..., encoder: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ...) -> None: ...

class ProductEmbedding(_message.Message):
    __slots__ = ("product_id", "image", "text")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    image: _containers.RepeatedScalarFieldContainer[float]
    text: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, product_id: _Optional[str] = ..., image: _Optional[_Iterable[float]] = ..., text: _Optional[_Iterable[float]] = ...) -> None: ...

class ListProductsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListProductsResponse(_message.Message):
    __slots__ = ("products", "next_page_token")
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    products: _containers.RepeatedCompositeFieldContainer[_product_pb2.Product]
    next_page_token: str
    def __init__(self, products: _Optional[_Iterable[_Union[_product_pb2.Product, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteProductsRequest(_message.Message):
    __slots__ = ("product_ids",)
    PRODUCT_IDS_FIELD_NUMBER: _ClassVar[int]
    product_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, product_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteProductsResponse(_message.Message):
    __slots__ = ("deleted_count", "missing_product_ids")
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_PRODUCT_IDS_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    missing_product_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, deleted_count: _Optional[int] = ..., missing_product_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetCatalogStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCatalogStatsResponse(_message.Message):
    __slots__ = ("product_count", "image_count", "text_count", "stale_product_count", "indexed_vector_count", "encoder", "embedding_dimension", "change_sequence", "damaged_product_count", "photo_count", "history_id")
    PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    TEXT_COUNT_FIELD_NUMBER: _ClassVar[int]
    STALE_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    INDEXED_VECTOR_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSION_FIELD_NUMBER: _ClassVar[int]
    CHANGE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    PHOTO_COUNT_FIELD_NUMBER: _ClassVar[int]
    HISTORY_ID_FIELD_NUMBER: _ClassVar[int]
    product_count: int
    image_count: int
    text_count: int
    stale_product_count: int
    indexed_vector_count: int
    encoder: _product_pb2.EncoderInfo
    embedding_dimension: int
    change_sequence: int
    damaged_product_count: int
    photo_count: int
    history_id: str
    def __init__(self, product_count: _Optional[int] = ..., image_count: _Optional[int] = ..., text_count: _Optional[int] = ..., stale_product_count: _Optional[int] = ..., indexed_vector_count: _Optional[int] = ..., encoder: _Optional[_Union[_product_pb2.EncoderInfo, _Mapping]] = ..., embedding_dimension: _Optional[int] = ..., change_sequence: _Optional[int] = ..., damaged_product_count: _Optional[int] = ..., photo_count: _Optional[int] = ..., history_id: _Optional[str] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SnapshotResponse(_message.Message):
    __slots__ = ("vector_count", "change_sequence")
    VECTOR_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHANGE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    vector_count: int
    change_sequence: int
    def __init__(self, vector_count: _Optional[int] = ..., change_sequence: _Optional[int] = ...) -> None: ...

class WatchChangesRequest(_message.Message):
    __slots__ = ("from_sequence", "includes_products")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INCLUDES_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    includes_products: bool
    def __init__(self, from_sequence: _Optional[int] = ..., includes_products: _Optional[bool] = ...) -> None: ...

class WatchChangesResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[ProductChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[ProductChange, _Mapping]]] = ...) -> None: ...

class ProductChange(_message.Message):
    __slots__ = ("change_sequence", "product_id", "kind", "product")
    CHANGE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    change_sequence: int
    product_id: str
    kind: ChangeKind
    product: _product_pb2.Product
    def __init__(self, change_sequence: _Optional[int] = ..., product_id: _Optional[str] = ..., kind: _Optional[_Union[ChangeKind, str]] = ..., product: _Optional[_Union[_product_pb2.Product, _Mapping]] = ...) -> None: ...
