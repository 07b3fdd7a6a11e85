"""What happens to every call of our services before its method runs, and after it.

Reading is bounded, what is no message is refused, and whatever a method raises becomes a status:
in one place for all methods. To read by itself, it takes every call as a stream of raw messages,
which is the same on the wire.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from twinshelf.server.access.scopes import Scope, needed_scope
from twinshelf.server.errors import (
    InvalidRequestError,
    ServerBusyError,
    SlowMessageError,
    TwinshelfError,
)
from twinshelf.server.services.calls.byte_budget import ByteBudget
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.door import Door
from twinshelf.server.services.calls.intake import Intake
from twinshelf.server.services.calls.statuses import STATUS_DETAILS_KEY, status_of

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_HEALTH: Final = "/grpc.health."


async def abort(context: grpc.aio.ServicerContext, status: status_pb2.Status) -> NoReturn:
    """Ends a call with a status and its details.

    Raises:
        grpc.aio.AbortError: Always; gRPC ends the call by it.
    """
    details = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    await context.abort(_CODES[status.code], status.message, details)
    raise AssertionError("abort returned")


def deadline_of(context: grpc.aio.ServicerContext) -> float | None:
    """Returns when the caller will have gone, by `time.monotonic`; None without a deadline."""
    remaining_s: float | None = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + remaining_s


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps unary methods, and those that answer with a stream; no others are ours."""

    def __init__(
        self,
        *,
        intake: Intake,
        budget: ByteBudget,
        doors: Mapping[str, Door],
        check_caller: Callable[[], None],
        observer: CallObserver,
        send_timeout_s: float,
        open_call_limit: int,
    ) -> None:
        """Takes the parts that it works with.

        Args:
            intake: Reads messages.
            budget: Bytes that single requests may hold.
            doors: By the paths of the methods whose calls may be refused unread.
            check_caller: Refuses the caller of a stream whose key has ended meanwhile.
            observer: Told of every call.
            send_timeout_s: How long a caller may take to read one answer of a stream.
            open_call_limit: Most calls at once of methods that need no key.
        """
        self._intake = intake
        self._budget = budget
        self._doors = doors
        self._check_caller = check_caller
        self._observer = observer
        self._send_timeout_s = send_timeout_s
        self._open_call_limit, self._open_call_count = open_call_limit, 0
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the method's handler, wrapped."""
        method = handler_call_details.method
        door = self._doors.get(method)
        if door is not None and (refusal := door.refuse()) is not None:
            return refusal.handler
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        wrapped: grpc.RpcMethodHandler[Any, Any]
        if method.startswith(_HEALTH):
            wrapped = grpc.stream_stream_rpc_method_handler(self._wrap_health(handler))
        elif handler.response_streaming:
            wrapped = grpc.stream_stream_rpc_method_handler(self._wrap_stream(method, handler))
        else:
            wrapped = grpc.stream_unary_rpc_method_handler(self._wrap_unary(method, handler))
        self._wrapped[method] = wrapped
        return wrapped

    async def refuse(
        self, method: str, context: grpc.aio.ServicerContext, error: TwinshelfError
    ) -> None:
        """Ends a call that another interceptor does not let through."""
        with self._observer.follow(method, context, is_stream=False) as outcome:
            await abort(context, self._observer.status_of(error, outcome))

    def _wrap_health(self, handler: Any) -> Any:
        """Bounds the reading alone: probes are answered when no other call is let in."""

        async def call(_: Any, context: grpc.aio.ServicerContext) -> None:
            try:
                self._let_in(context)
                raw = await self._intake.read_short(context, is_open=True)
                request = _parse(handler.request_deserializer, raw)
                sender = _Sender(context, self._send_timeout_s)
                if handler.response_streaming:
                    async for answer in handler.unary_stream(request, context):
                        await sender.send(handler.response_serializer(answer))
                else:
                    answer = await handler.unary_unary(request, context)
                    await sender.send(handler.response_serializer(answer))
                return
            except TwinshelfError as error:
                status = status_of(error, "")
            await abort(context, status)  # by now, nothing holds the message any more

        return call

    def _let_in(self, context: grpc.aio.ServicerContext) -> None:
        """Counts a call that needs no key, to the very end of its answer.

        A caller who never reads that takes a call of the server's for as long as he likes, and
        strangers must leave some to others. A refusal is read, wanted or not: it has no message.

        Raises:
            ServerBusyError: If too many are open.
        """
        if self._open_call_count >= self._open_call_limit:
            raise ServerBusyError(
                f"{self._open_call_count} calls that need no key are open already; repeat it later",
                retry_after_s=1.0,
            )
        self._open_call_count += 1
        context.add_done_callback(self._let_out)  # type: ignore[arg-type]  # so the stub has it

    def _let_out(self, _: Any) -> None:
        self._open_call_count -= 1

    def _wrap_unary(self, method: str, handler: Any) -> Any:
        door = self._doors.get(method)
        is_open = needed_scope(method) is Scope.OPEN

        async def call(_: Any, context: grpc.aio.ServicerContext) -> bytes:
            """Reads the message, runs the method, and turns what it raises into a status."""
            if door is not None and (refusal := door.refuse_late(context.time_remaining())):
                refusal.end(context)
                return b""
            with self._observer.follow(method, context, is_stream=False) as outcome:
                try:
                    return await self._answer(handler, context, is_open=is_open)
                except Exception as error:  # the boundary: nothing may pass it unmapped
                    status = self._observer.status_of(error, outcome)
                await abort(context, status)  # by now, nothing holds the message any more

        return call

    async def _answer(
        self, handler: Any, context: grpc.aio.ServicerContext, *, is_open: bool
    ) -> bytes:
        if is_open:
            self._let_in(context)
            raw = await self._intake.read_short(context, is_open=True)
        else:
            raw = await self._intake.read_one(context)
        size_bytes = len(raw)
        self._budget.take(size_bytes)
        try:
            request = _parse(handler.request_deserializer, raw)
            del raw  # a photo is held once, not twice
            answer = await handler.unary_unary(request, context)
            return bytes(handler.response_serializer(answer))
        finally:
            self._budget.give_back(size_bytes)

    def _wrap_stream(self, method: str, handler: Any) -> Any:
        async def call(_: Any, context: grpc.aio.ServicerContext) -> None:
            """As for one message; answers before an error have been sent and stay so."""
            with self._observer.follow(method, context, is_stream=True) as outcome:
                try:
                    sender = _Sender(context, self._send_timeout_s)
                    with self._intake.open_stream():
                        async for answer in self._answers(handler, context):
                            await sender.send(handler.response_serializer(answer))
                    return
                except Exception as error:  # the boundary: nothing may pass it unmapped
                    status = self._observer.status_of(error, outcome)
                await abort(context, status)

        return call

    async def _answers(self, handler: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        if handler.request_streaming:
            requests = self._requests(handler.request_deserializer, context)
            answers = handler.stream_stream(requests, context)
        else:
            # Short: the request is held for as long as the stream lasts.
            raw = await self._intake.read_short(context, is_open=False)
            answers = handler.unary_stream(_parse(handler.request_deserializer, raw), context)
        async for answer in answers:
            if not handler.request_streaming:  # no further request tells that the key has ended
                self._check_caller()
            yield answer

    async def _requests(
        self, parse: Callable[[bytes], Any], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        while (raw := await self._intake.read_next(context)) is not None:
            self._check_caller()
            message = _parse(parse, raw)
            del raw  # a photo is held once, not twice
            yield message
            del message  # by then it is answered perhaps: a quiet stream holds nothing


class _Sender:
    """Sends the answers of one call, each of which must be read in time."""

    def __init__(self, context: grpc.aio.ServicerContext, timeout_s: float) -> None:
        self._context = context
        self._timeout_s = timeout_s
        self._is_begun = False

    async def send(self, answer: bytes) -> None:
        try:
            if not self._is_begun:
                # gRPC would send the headers with the first message. When that is not read, it
                # sends them again with the status, and fails: the caller hears of no end.
                await self._context.send_initial_metadata(())
                self._is_begun = True
            await asyncio.wait_for(self._context.write(answer), self._timeout_s)
        except TimeoutError:
            raise SlowMessageError(
                f"the caller read none of its answers for {self._timeout_s:g} s"
            ) from None
        except grpc.aio.InternalError:
            # What gRPC says of a caller who leaves in the middle of an answer.
            raise asyncio.CancelledError from None


def _parse(parse: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return parse(raw)
    except DecodeError:
        raise InvalidRequestError(
            f"the {len(raw)} bytes of the message are no protobuf message of this method", field=""
        ) from None
