"""Requests of every RPC of ours with random fields, and bytes that are no request at all."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message
from tritonclient.grpc import service_pb2

from tests.fuzz.photo_mutations import make_photo
from tests.fuzz.text_mutations import make_text
from twinshelf.server.services.kserve.kserve_service import KSERVE_METHODS
from twinshelf.v1 import (
    catalog_service_pb2,
    encoder_service_pb2,
    group_service_pb2,
    matching_service_pb2,
)

_SUBJECTS = frozenset({"offer", "product", "request", "left", "right", "side"})
_MAX_DEPTH = 4
_MAX_STREAM_LENGTH = 4
_MALFORMED_SHARE = 0.25
_INTEGERS = (-(2**63), -(2**31), -1, 0, 1, 2, 10, 1000, 1001, 2**31 - 1, 2**63 - 1)
_FLOATS = (0.0, -0.0, 0.5, 1.0, -1.0, 1e-45, 1e38, math.inf, -math.inf, math.nan)

_USUAL_TEXTS = ("", "a", "b", "red tea", "é", "\0", "x" * 257, "product_matcher", "TEXT", "BYTES")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedCall:
    """A call as it goes over the wire.

    Attributes:
        method: The RPC.
        payloads: Bytes of its request, or of the requests of its stream.
        is_malformed: Whether one of them cannot be read as a request.
    """

    method: MethodDescriptor
    payloads: tuple[bytes, ...]
    is_malformed: bool

    @property
    def path(self) -> str:
        """The path of the RPC."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"


def methods() -> list[MethodDescriptor]:
    """Returns every RPC of the services."""
    files = (matching_service_pb2, catalog_service_pb2, group_service_pb2, encoder_service_pb2)
    services = [each for file in files for each in file.DESCRIPTOR.services_by_name.values()]
    kserve = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    ours = [method for service in services for method in service.methods]
    return [*ours, *(kserve[name] for name in KSERVE_METHODS)]


def make_call(seed: int, number: int) -> GeneratedCall:
    """Returns the call of a number; about a quarter of all payloads cannot be read."""
    rng = random.Random(f"request {seed} {number}")
    method = rng.choice(methods())
    length = rng.randint(0, _MAX_STREAM_LENGTH) if method.client_streaming else 1
    payloads = tuple(_make_payload(method.input_type, rng) for _ in range(length))
    return GeneratedCall(
        method=method,
        payloads=payloads,
        is_malformed=not all(can_be_read(method.input_type, each) for each in payloads),
    )


def can_be_read(message_type: Descriptor, payload: bytes) -> bool:
    """Says whether bytes are a message of a type."""
    try:
        message_factory.GetMessageClass(message_type).FromString(payload)
    except DecodeError:
        return False
    return True


def _make_payload(message_type: Descriptor, rng: random.Random) -> bytes:
    payload = make_message(message_type, rng).SerializeToString()
    if rng.random() >= _MALFORMED_SHARE:
        return payload
    changed = bytearray(payload)
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.choice((1, 10, 500)))
        case 1:
            return payload[: rng.randrange(len(payload) + 1)]
        case 2:  # a group that never ends, nested deeper than any reader follows
            return payload + b"\x0b" * rng.choice((1, 200))
        case _:
            for _ in range(min(len(changed), 3)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            return bytes(changed)


def make_message(message_type: Descriptor, rng: random.Random, depth: int = 0) -> Message:
    """Returns a message whose fields are set at random: nearly all of them, or few.

    What a request is about is mostly there, or hardly any would get beyond the first check.
    """
    message = message_factory.GetMessageClass(message_type)()
    share = rng.choice((0.1, 0.3, 0.8))
    for field in message_type.fields:
        if depth < _MAX_DEPTH and rng.random() < (0.8 if field.name in _SUBJECTS else share):
            _set_field(message, field, rng, depth)
    return message


def _set_field(message: Message, field: FieldDescriptor, rng: random.Random, depth: int) -> None:
    values = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        for _ in range(rng.choice((0, 1, 5))):
            _set_entry(values, field.message_type.fields_by_name["value"], rng, depth)
    elif field.is_repeated:
        for _ in range(rng.choice((0, 1, 5))):
            if field.message_type is not None:
                values.append(make_message(field.message_type, rng, depth + 1))
            else:
                values.append(_scalar(field, rng))
    elif field.message_type is not None:
        values.CopyFrom(make_message(field.message_type, rng, depth + 1))
    else:
        setattr(message, field.name, _scalar(field, rng))


def _set_entry(values: Any, field: FieldDescriptor, rng: random.Random, depth: int) -> None:
    name = _text(rng)[:50]
    if field.message_type is not None:
        values[name].CopyFrom(make_message(field.message_type, rng, depth + 1))
    else:
        values[name] = _scalar(field, rng)


def _scalar(field: FieldDescriptor, rng: random.Random) -> Any:
    return _SCALARS[field.cpp_type](field, rng)


def _integer(bits: int, is_signed: bool) -> Callable[[FieldDescriptor, random.Random], int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    return lambda field, rng: max(low, min(high, rng.choice((*_INTEGERS, rng.randint(0, 20)))))


def _string(field: FieldDescriptor, rng: random.Random) -> str | bytes:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return make_photo(rng.randrange(1000), rng.randrange(1000))
    return _text(rng)


def _text(rng: random.Random) -> str:
    """A text that protobuf takes: most are short, so that ids repeat."""
    if rng.random() < 0.6:
        return rng.choice(_USUAL_TEXTS)
    return make_text(rng.randrange(1000), rng.randrange(1000)).decode("utf-8", "ignore")


_SCALARS: dict[int, Callable[[FieldDescriptor, random.Random], Any]] = {
    FieldDescriptor.CPPTYPE_INT32: _integer(32, is_signed=True),
    FieldDescriptor.CPPTYPE_INT64: _integer(64, is_signed=True),
    FieldDescriptor.CPPTYPE_UINT32: _integer(32, is_signed=False),
    FieldDescriptor.CPPTYPE_UINT64: _integer(64, is_signed=False),
    FieldDescriptor.CPPTYPE_FLOAT: lambda field, rng: rng.choice(_FLOATS),
    FieldDescriptor.CPPTYPE_DOUBLE: lambda field, rng: rng.choice(_FLOATS),
    FieldDescriptor.CPPTYPE_BOOL: lambda field, rng: rng.random() < 0.5,
    FieldDescriptor.CPPTYPE_ENUM: lambda field, rng: rng.choice((0, 1, 3, 99, -1)),
    FieldDescriptor.CPPTYPE_STRING: _string,
}
