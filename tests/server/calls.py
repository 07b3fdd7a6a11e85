"""Short ways to call the services and to read their errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.encoder import Encoder
from twinshelf.server.serving import create_server
from twinshelf.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    encoder_service_pb2_grpc,
    group_service_pb2_grpc,
    matching_service_pb2,
    matching_service_pb2_grpc,
    product_pb2,
)

Detail = TypeVar("Detail", bound=Message)

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


@asynccontextmanager
async def serving(config: ServerConfig, *encoders: Encoder) -> AsyncIterator[grpc.aio.Channel]:
    """Serves while the block runs, and stops however it ends: a server left over hangs the next."""
    server, port = await create_server(config, *encoders)
    try:
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=CHANNEL_OPTIONS
        ) as channel:
            yield channel
    finally:
        await server.stop()


def matching(channel: grpc.aio.Channel) -> matching_service_pb2_grpc.MatchingServiceStub:
    return matching_service_pb2_grpc.MatchingServiceStub(channel)


def catalog(channel: grpc.aio.Channel) -> catalog_service_pb2_grpc.CatalogServiceStub:
    return catalog_service_pb2_grpc.CatalogServiceStub(channel)


def groups(channel: grpc.aio.Channel) -> group_service_pb2_grpc.GroupServiceStub:
    return group_service_pb2_grpc.GroupServiceStub(channel)


def encoders(channel: grpc.aio.Channel) -> encoder_service_pb2_grpc.EncoderServiceStub:
    return encoder_service_pb2_grpc.EncoderServiceStub(channel)


async def upsert(
    channel: grpc.aio.Channel, products: Iterable[product_pb2.Product]
) -> list[catalog_service_pb2.UpsertProductsResponse]:
    """Stores products and returns the answers by their place in the stream."""
    requests = [catalog_service_pb2.UpsertProductsRequest(product=p) for p in products]
    answers = [answer async for answer in catalog(channel).UpsertProducts(iter(requests))]
    return sorted(answers, key=lambda answer: answer.request_index)


def match_request(**fields: Any) -> matching_service_pb2.MatchProductRequest:
    """Makes a request; fields of the offer may stand among its options."""
    offer_names = set(product_pb2.Offer.DESCRIPTOR.fields_by_name)
    offer = {name: value for name, value in fields.items() if name in offer_names}
    options = {name: value for name, value in fields.items() if name not in offer_names}
    return matching_service_pb2.MatchProductRequest(offer=product_pb2.Offer(**offer), **options)


async def match(
    channel: grpc.aio.Channel, **fields: Any
) -> matching_service_pb2.MatchProductResponse:
    return await matching(channel).MatchProduct(match_request(**fields))


async def code_of(call: Awaitable[object]) -> grpc.StatusCode:
    """Returns the code with which a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code()


def status_of(error: Any) -> status_pb2.Status | None:
    """Returns the status of a failed call; the stubs know no calls of asyncio here."""
    return rpc_status.from_call(error)


def detail(status: status_pb2.Status | None, kind: type[Detail]) -> Detail:
    """Returns the detail of a kind that a status must have."""
    assert status is not None
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            message = kind()
            packed.Unpack(message)
            return message
    raise AssertionError(f"the status has no {kind.__name__}")


def violated_field(error: grpc.aio.AioRpcError) -> str:
    """Returns the field that an INVALID_ARGUMENT names."""
    bad = detail(status_of(error), error_details_pb2.BadRequest)
    return bad.field_violations[0].field


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    return detail(status_of(error), error_details_pb2.ErrorInfo)
