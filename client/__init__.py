"""Client: the Python client of the matching service, and the command line."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinshelf.client.async_client import AsyncClient
    from twinshelf.client.category_records import CategoryOptions
    from twinshelf.client.credentials import ClientTls
    from twinshelf.client.errors import (
        CallCancelledError,
        DeadlineError,
        EncoderNotFoundError,
        GroupNotFoundError,
        InvalidRequestError,
        PermissionDeniedError,
        PreconditionError,
        ProductNotFoundError,
        ServiceBusyError,
        ServiceError,
        ServiceUnavailableError,
        TwinshelfError,
        UnauthenticatedError,
        UnsupportedCallError,
    )
    from twinshelf.client.filters import (
        AllOf,
        AnyOf,
        AttributeIn,
        FieldIn,
        NoneOf,
        PriceBetween,
        ValueLimit,
    )
    from twinshelf.client.records import (
        MatchOptions,
        ModalityWeights,
        Offer,
        Product,
        ProductUpdate,
    )
    from twinshelf.client.retries import RetryPolicy
    from twinshelf.client.sync_client import Client

__all__ = [
    "AllOf",
    "AnyOf",
    "AsyncClient",
    "AttributeIn",
    "CallCancelledError",
    "CategoryOptions",
    "Client",
    "ClientTls",
    "DeadlineError",
    "EncoderNotFoundError",
    "FieldIn",
    "GroupNotFoundError",
    "InvalidRequestError",
    "MatchOptions",
    "ModalityWeights",
    "NoneOf",
    "Offer",
    "PermissionDeniedError",
    "PreconditionError",
    "PriceBetween",
    "Product",
    "ProductNotFoundError",
    "ProductUpdate",
    "RetryPolicy",
    "ServiceBusyError",
    "ServiceError",
    "ServiceUnavailableError",
    "TwinshelfError",
    "UnauthenticatedError",
    "UnsupportedCallError",
    "ValueLimit",
]

# Imported when asked for: the command line answers a wrong option without gRPC.
_MODULES = (
    "records",
    "filters",
    "category_records",
    "errors",
    "retries",
    "credentials",
    "sync_client",
    "async_client",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module_name in _MODULES:
            module = importlib.import_module(f"{__name__}.{module_name}")
            if name in vars(module):
                return vars(module)[name]
    raise AttributeError(f"twinshelf.client has no {name}")
