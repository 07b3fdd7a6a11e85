import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GroupEventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUP_EVENT_KIND_UNSPECIFIED: _ClassVar[GroupEventKind]
    GROUP_EVENT_KIND_STARTED: _ClassVar[GroupEventKind]
    GROUP_EVENT_KIND_JOINED: _ClassVar[GroupEventKind]
    GROUP_EVENT_KIND_LEFT: _ClassVar[GroupEventKind]
    GROUP_EVENT_KIND_MERGED: _ClassVar[GroupEventKind]
    GROUP_EVENT_KIND_SPLIT: _ClassVar[GroupEventKind]
    GROUP_EVENT_KIND_MOVED: _ClassVar[GroupEventKind]
GROUP_EVENT_KIND_UNSPECIFIED: GroupEventKind
GROUP_EVENT_KIND_STARTED: GroupEventKind
GROUP_EVENT_KIND_JOINED: GroupEventKind
GROUP_EVENT_KIND_LEFT: GroupEventKind
GROUP_EVENT_KIND_MERGED: GroupEventKind
GROUP_EVENT_KIND_SPLIT: GroupEventKind
GROUP_EVENT_KIND_MOVED: GroupEventKind

class Group(_message.Message):
    __slots__ = ("group_id", "product_ids", "start_time", "has_pinned_products", "merged_into_group_id")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_IDS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    HAS_PINNED_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    MERGED_INTO_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    product_ids: _containers.RepeatedScalarFieldContainer[str]
    start_time: _timestamp_pb2.Timestamp
    has_pinned_products: bool
    merged_into_group_id: str
    def __init__(self, group_id: _Optional[str] = ..., product_ids: _Optional[_Iterable[str]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., has_pinned_products: _Optional[bool] = ..., merged_into_group_id: _Optional[str] = ...) -> None: ...

class GroupEvent(_message.Message):
    __slots__ = ("event_number", "time", "kind", "source_group_id", "target_group_id", "product_ids", "is_by_hand", "undoes_event_number", "undone_by_event_number")
    EVENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SOURCE_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_IDS_FIELD_NUMBER: _ClassVar[int]
    IS_BY_HAND_FIELD_NUMBER: _ClassVar[int]
    UNDOES_EVENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    UNDONE_BY_EVENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    event_number: int
    time: _timestamp_pb2.Timestamp
    kind: GroupEventKind
    source_group_id: str
    target_group_id: str
    product_ids: _containers.RepeatedScalarFieldContainer[str]
    is_by_hand: bool
    undoes_event_number: int
    undone_by_event_number: int
    def __init__(self, event_number: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[GroupEventKind, str]] = ..., source_group_id: _Optional[str] = ..., target_group_id: _Optional[str] = ..., product_ids: _Optional[_Iterable[str]] = ..., is_by_hand: _Optional[bool] = ..., undoes_event_number: _Optional[int] = ..., undone_by_event_number: _Optional[int] = ...) -> None: ...

class ListGroupsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListGroupsResponse(_message.Message):
    __slots__ = ("groups", "next_page_token", "pending_product_count")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PENDING_PRODUCT_COUNT_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[Group]
    next_page_token: str
    pending_product_count: int
    def __init__(self, groups: _Optional[_Iterable[_Union[Group, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., pending_product_count: _Optional[int] = ...) -> None: ...

class GetGroupRequest(_message.Message):
    __slots__ = ("group_id", "product_id")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    product_id: str
    def __init__(self, group_id: _Optional[str] = ..., product_id: _Optional[str] = ...) -> None: ...

class GetGroupResponse(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: Group
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class GroupHistoryRequest(_message.Message):
    __slots__ = ("group_id", "page_size", "page_token")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    page_size: int
    page_token: str
    def __init__(self, group_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class GroupHistoryResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[GroupEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[GroupEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class MergeGroupsRequest(_message.Message):
    __slots__ = ("source_group_id", "target_group_id")
    SOURCE_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    source_group_id: str
    target_group_id: str
    def __init__(self, source_group_id: _Optional[str] = ..., target_group_id: _Optional[str] = ...) -> None: ...

class MergeGroupsResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: GroupEvent
    def __init__(self, event: _Optional[_Union[GroupEvent, _Mapping]] = ...) -> None: ...

class SplitGroupRequest(_message.Message):
    __slots__ = ("group_id", "product_ids")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_IDS_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    product_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group_id: _Optional[str] = ..., product_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class SplitGroupResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: GroupEvent
    def __init__(self, event: _Optional[_Union[GroupEvent, _Mapping]] = ...) -> None: ...

class UndoGroupEventRequest(_message.Message):
    __slots__ = ("event_number",)
    EVENT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    event_number: int
    def __init__(self, event_number: _Optional[int] = ...) -> None: ...

class UndoGroupEventResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: GroupEvent
    def __init__(self, event: _Optional[_Union[GroupEvent, _Mapping]] = ...) -> None: ...
