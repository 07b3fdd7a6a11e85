"""Decides, before a message is read, whether the caller may make the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeAlias

import grpc

from twinshelf.server.access.audit import AuditEntry, AuditLog
from twinshelf.server.access.caller import Caller, caller
from twinshelf.server.access.key_ring import KeyRing
from twinshelf.server.access.rate_limit import RateLimit
from twinshelf.server.access.scopes import Scope, needed_scope
from twinshelf.server.errors import PermissionDeniedError, TwinshelfError, UnauthenticatedError
from twinshelf.server.telemetry.request_context import begin_request, key_id, peer

_AUTHORIZATION: Final = "authorization"
_SCHEME: Final = "bearer "

# A string: gRPC's own class takes no types while the program runs.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Refuse = Callable[[str, grpc.aio.ServicerContext, TwinshelfError], Awaitable[object]]
"""Ends the call of a method with an error and what belongs to it."""


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Lets a call through when its key is valid, allows the method and has calls left.

    It needs the method and the metadata alone, so that nothing of a refused caller is read. While a
    method runs, `caller` holds who called it.
    """

    def __init__(
        self, *, keys: KeyRing, rate_limit: RateLimit, audit_log: AuditLog, refuse: Refuse
    ) -> None:
        """Takes the parts that it works with.

        Args:
            keys: Recognises callers.
            rate_limit: Counts their calls.
            audit_log: Told of admin calls, and of writes that a known caller may not make.
            refuse: Ends a call.
        """
        self._keys = keys
        self._rate_limit = rate_limit
        self._audit_log = audit_log
        self._refuse = refuse

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Returns the method's handler, or one that refuses the call."""
        method = handler_call_details.method
        needed = needed_scope(method)
        if needed is Scope.OPEN:
            return await continuation(handler_call_details)
        begin_request(handler_call_details.invocation_metadata)
        try:
            self._admit(needed, handler_call_details.invocation_metadata)
        except TwinshelfError as error:
            return self._refusing(method, needed, error)
        handler = await continuation(handler_call_details)
        if needed is Scope.ADMIN and handler is not None and handler.stream_stream is not None:
            return self._noting(method, handler)
        return handler

    def check_again(self) -> None:
        """Checks that the caller of the running method may go on; for streams, which last.

        Raises:
            UnauthenticatedError: If the key has since been removed or revoked, or has expired.
            PermissionDeniedError: If the key has since lost its scope.
        """
        known = caller.get()
        if known is None:
            return
        key = self._keys.recognise_again(known.key_id)
        if key.scope < known.scope:
            raise PermissionDeniedError(
                f"the API key {key.key_id} lost scope {known.scope.name.lower()}"
            )

    def _admit(self, needed: Scope, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        key = self._keys.recognise(_token_in(metadata))
        key_id.set(key.key_id)
        caller.set(Caller(key_id=key.key_id, label=key.label, scope=key.scope))
        if key.scope < needed:
            raise PermissionDeniedError(
                f"the method needs scope {needed.name.lower()}; the API key {key.key_id} has "
                f"{key.scope.name.lower()}"
            )
        self._rate_limit.take(key)

    def _refusing(self, method: str, needed: Scope, error: TwinshelfError) -> Handler:
        async def refuse(_: Any, context: grpc.aio.ServicerContext) -> None:
            """Ends the call; a refused write is noted first."""
            # Of known callers only: strangers could else push the true entries out of the log.
            if needed >= Scope.WRITE and caller.get() is not None:
                self._note(method, context, error.reason)
            await self._refuse(method, context, error)

        # As a stream of raw messages, which is the same on the wire, the call is not read first.
        return grpc.stream_stream_rpc_method_handler(refuse)

    def _noting(self, method: str, handler: Any) -> Handler:
        async def call(requests: Any, context: grpc.aio.ServicerContext) -> None:
            """Notes the call, then makes it."""
            self._note(method, context, "BEGUN")
            answers = handler.stream_stream(requests, context)
            if hasattr(answers, "__aiter__"):
                async for answer in answers:
                    await context.write(answer)
            else:  # a method that writes its answers itself
                await answers

        return grpc.stream_stream_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )

    def _note(self, method: str, context: grpc.aio.ServicerContext, outcome: str) -> None:
        peer.set(context.peer())
        self._audit_log.record(AuditEntry(method=method, outcome=outcome))


def _token_in(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    values = [value for name, value in metadata if name == _AUTHORIZATION]
    if not values:
        raise UnauthenticatedError("the call needs an API key: `authorization: Bearer <key>`")
    if len(values) > 1:
        raise UnauthenticatedError("the call must have one authorization, not several")
    value = values[0]
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if text[: len(_SCHEME)].lower() != _SCHEME:
        raise UnauthenticatedError("the authorization must be `Bearer <key>`")
    return text[len(_SCHEME) :].strip()
