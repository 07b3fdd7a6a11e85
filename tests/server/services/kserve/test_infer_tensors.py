"""Requests that are no requests are refused with a sentence, whatever their bytes."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from twinshelf.server.errors import InvalidRequestError
from twinshelf.server.services.kserve.infer_tensors import read_requests


def bytes_of(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(each)) + each for each in elements)


def request_of(*tensors: tuple[str, str, list[int]], raw: list[bytes]) -> Any:
    request = service_pb2.ModelInferRequest(raw_input_contents=raw)
    for name, datatype, shape in tensors:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    return request


def asking_for(names: list[str]) -> Any:
    request = request_of(("TEXT", "BYTES", [1, 1]), raw=[bytes_of(b"a")])
    for name in names:
        request.outputs.add(name=name)
    return request


TEXT = ("TEXT", "BYTES", [1, 1])
IMAGE = ("IMAGE", "BYTES", [2, 1])
COUNT = ("K", "INT32", [1, 1])


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (request_of(raw=[]), "needs IMAGE, TEXT or both, got no input"),
        (request_of(COUNT, raw=[b"\1\0\0\0"]), r"needs IMAGE, TEXT or both, got \['K'\]"),
        (request_of(TEXT, TEXT, raw=[bytes_of(b"a")] * 2), "got 'TEXT' twice"),
        (request_of(("TITLE", "BYTES", [1, 1]), raw=[b""]), "got 'TITLE' as well"),
        (request_of(("TEXT", "FP32", [1, 1]), raw=[b""]), "TEXT must be BYTES, got 'FP32'"),
        (request_of(("TEXT", "BYTES", [1]), raw=[b""]), r"shape \[B, 1\] .* got \[1\]"),
        (request_of(("TEXT", "BYTES", [33, 1]), raw=[b""]), r"B from 1 to 32, got \[33, 1\]"),
        (request_of(("TEXT", "BYTES", [-1, 1]), raw=[b""]), r"got \[-1, 1\]"),
        (request_of(TEXT, IMAGE, raw=[bytes_of(b"a")] * 2), "got 1 and 2 of IMAGE"),
        (request_of(TEXT, raw=[]), "TEXT must hold 1 elements as its shape says, got 0"),
        (request_of(TEXT, raw=[bytes_of(b"a", b"b")]), "got 2 or more"),
        (request_of(TEXT, raw=[bytes(4_000_000)]), "got 2 or more"),
        (
            request_of(("TEXT", "BYTES", [1] * 1_000_000), raw=[b""]),
            r"got \[1, 1, 1, 1, 1, 1, 1, 1\]",
        ),
        (request_of(TEXT, COUNT, raw=[bytes_of(b"a"), bytes(4_000_000)]), "got 1000000"),
        (asking_for(["SCORE"] * 6), "each once, got 6"),
        (request_of(TEXT, raw=[b"\xff\xff\xff\xff"]), "after the 4 bytes of the tensor"),
        (request_of(TEXT, raw=[b"\1"]), "after the 1 bytes"),
        (request_of(TEXT, COUNT, raw=[bytes_of(b"a"), b"\1\0"]), "K must hold 1 elements"),
        (request_of(TEXT, raw=[b"", b""]), "one entry for each of the 1 inputs, got 2"),
    ],
)
def test_what_is_wrong_is_named(request_: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequestError, match=sentence):
        read_requests(request_, 100)


def test_a_row_is_refused_by_the_names_of_its_tensors() -> None:
    counts, texts = struct.pack("<4i", 0, 101, 1, 1), bytes_of(b"mug", b"mug", b" \n", b"mug")
    rows = request_of(("TEXT", "BYTES", [4, 1]), ("K", "INT32", [4, 1]), raw=[texts, counts])
    told = [
        str(each) if isinstance(each, InvalidRequestError) else ""
        for each in read_requests(rows, 100)
    ]
    assert told == [
        "K must be 1 to 100, got 0",
        "K must be 1 to 100, got 101",
        "a row must have an IMAGE or a TEXT, both are empty",
        "",
    ]


def test_random_bytes_are_read_or_refused() -> None:
    source = random.Random(0)
    whole = request_of(
        ("IMAGE", "BYTES", [2, 1]),
        ("TEXT", "BYTES", [2, 1]),
        ("K", "INT32", [2, 1]),
        raw=[bytes_of(b"photo", b""), bytes_of(b"mug", b"lamp"), struct.pack("<2i", 3, 4)],
    )
    refused = 0
    for _ in range(2000):
        broken = service_pb2.ModelInferRequest()
        broken.CopyFrom(whole)
        position = source.randrange(3)
        raw = bytearray(broken.raw_input_contents[position])
        for _ in range(source.randint(1, 3)):
            raw[source.randrange(len(raw))] = source.randrange(256)
        broken.raw_input_contents[position] = bytes(raw[: source.randint(0, len(raw))])
        try:
            assert len(read_requests(broken, 100)) == 2
        except InvalidRequestError:
            refused += 1
    assert refused > 1000
