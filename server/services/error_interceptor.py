"""Turns whatever a method raises into a gRPC status, in one place for all services."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.rpc import status_pb2

from server.services.statuses import status_of

REQUEST_ID_KEY = "x-request-id"
STATUS_DETAILS_KEY = "grpc-status-details-bin"
LONGEST_REQUEST_ID = 128
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def request_id_of(context: grpc.aio.ServicerContext) -> str:
    """Returns the caller's `x-request-id`, or a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID_KEY and isinstance(value, str) and value:
            return value[:LONGEST_REQUEST_ID]
    return uuid.uuid4().hex


async def abort(context: grpc.aio.ServicerContext, status: status_pb2.Status) -> NoReturn:
    """Ends a call with a status and its details.

    Raises:
        grpc.aio.AbortError: Always; gRPC ends the call by it.
    """
    details = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    await context.abort(_CODES[status.code], status.message, details)
    raise AssertionError("abort returned")


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Wraps unary and two-way streaming methods; those are all that our services have."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the method's handler, wrapped."""
        handler = await continuation(handler_call_details)
        # gRPC's own services (health, reflection) raise nothing of ours and abort by themselves.
        if handler is None or not handler_call_details.method.startswith("/twinshelf."):
            return handler
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(
                _guarded_stream(handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            _guarded_unary(handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )


def _guarded_unary(method: Any) -> Any:
    async def call(request: Any, context: grpc.aio.ServicerContext) -> Any:
        """Turns what the method raises into a status; an abort of its own stands as it is."""
        try:
            return await method(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # the boundary: nothing may pass it unmapped
            await abort(context, status_of(error, request_id_of(context)))

    return call


def _guarded_stream(method: Any) -> Any:
    async def call(
        requests: AsyncIterator[Any], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        """As for one request; answers before the error have been sent and stay so."""
        try:
            async for answer in method(requests, context):
                yield answer
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # the boundary: nothing may pass it unmapped
            await abort(context, status_of(error, request_id_of(context)))

    return call
