"""Generated requests to a running service: any answer but a fault of the service's own, in time.

The calls write to and delete from the catalogue: the service must be one that nobody needs.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import message_factory
from google.rpc import code_pb2, status_pb2

from tests.fuzz.request_mutations import GeneratedCall, make_call
from tests.fuzz.tally import CallTally
from twinshelf.v1 import catalog_service_pb2, catalog_service_pb2_grpc

CALL_TIMEOUT_S = 20.0
_WATCH_TIMEOUT_S = 0.2
_CALLER_COUNT = 8
_FAULTS = frozenset({"INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "DATA_LOSS", "UNIMPLEMENTED"})


def fuzz_service(address: str, seed: int, count: int, seconds: float) -> CallTally:
    """Sends generated calls to every RPC from several callers, and then asks for the counts.

    Args:
        address: HOST:PORT of a service without TLS and keys.
        seed: Seed of the calls.
        count: How many calls at most.
        seconds: When to stop.
    """
    tally = CallTally()
    deadline_s = time.monotonic() + seconds
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options=options) as channel:

        def call(number: int) -> None:
            if time.monotonic() < deadline_s:
                _call(channel, make_call(seed, number), number, tally)

        with ThreadPoolExecutor(_CALLER_COUNT) as pool:
            list(pool.map(call, range(count)))
        stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
        try:
            stub.GetCatalogStats(
                catalog_service_pb2.GetCatalogStatsRequest(), timeout=CALL_TIMEOUT_S
            )
        except grpc.RpcError as error:
            tally.fail(-1, f"GetCatalogStats afterwards: {error}"[:300])
    return tally


def _call(channel: grpc.Channel, call: GeneratedCall, number: int, tally: CallTally) -> None:
    code, answers = send(channel, call)
    tally.count(call.method.name, code)
    if code in _FAULTS:
        tally.fail(number, f"{call.path} answered {code}")
    if call.is_malformed and code != "INVALID_ARGUMENT":
        tally.fail(number, f"{call.path} answered {code} to malformed bytes")
    for answer in answers:
        if (row_code := _error_of_row(call, answer)) in _FAULTS:
            tally.fail(number, f"{call.path} answered a row with {row_code}")


def send(channel: grpc.Channel, call: GeneratedCall) -> tuple[str, list[bytes]]:
    """Sends a call as raw bytes; returns the code's name and the answers as raw bytes."""
    answers: list[bytes] = []
    # A watch that is answered ends with its caller; one that cannot be read is refused.
    is_watch = call.method.server_streaming and not call.method.client_streaming
    ends_with_caller = is_watch and not call.is_malformed
    timeout_s = _WATCH_TIMEOUT_S if ends_with_caller else CALL_TIMEOUT_S
    try:
        if call.method.client_streaming:
            stream: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(call.path)
            for answer in stream(iter(call.payloads), timeout=CALL_TIMEOUT_S):
                answers.append(answer)
        elif call.method.server_streaming:
            watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(call.path)
            for answer in watch(call.payloads[0], timeout=timeout_s):
                answers.append(answer)
        else:
            unary: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(call.path)
            answers.append(unary(call.payloads[0], timeout=CALL_TIMEOUT_S))
    except grpc.RpcError as error:
        if ends_with_caller and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return "OK", answers
        return error.code().name, answers
    return "OK", answers


def _error_of_row(call: GeneratedCall, answer: bytes) -> str:
    message = message_factory.GetMessageClass(call.method.output_type).FromString(answer)
    error = getattr(message, "error", None)
    if isinstance(error, status_pb2.Status):
        return code_pb2.Code.Name(error.code)
    return "OK"
