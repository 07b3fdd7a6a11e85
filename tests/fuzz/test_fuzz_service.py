"""Two thousand generated requests to a service on a fake encoder."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.fuzz.request_mutations import GeneratedCall, make_call, methods
from tests.fuzz.service_calls import fuzz_service, send
from tests.server.fake_encoder import FakeEncoder
from tests.server.fake_pair_models import make_pair_contract
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server

pytestmark = pytest.mark.slow

CALL_COUNT = 2_000
LIMIT_S = 120.0
MALFORMED = b"\x0b\x0b"  # groups that never end


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """A running service."""
    config = ServerConfig(
        address="127.0.0.1:0",
        catalogue=tmp_path / "catalogue",
        metrics_address="",
        canary_interval_s=60,
        watch_interval_s=0.02,
        drain_timeout_s=5,
    )
    encoder = FakeEncoder()
    encoder.pairs.current = make_pair_contract()
    server, port = await create_server(config, encoder)
    yield f"127.0.0.1:{port}"
    await server.stop()


async def test_no_generated_request_is_a_fault_of_the_service(address: str) -> None:
    tally = await asyncio.to_thread(fuzz_service, address, 1, CALL_COUNT, LIMIT_S)

    assert tally.failures == []
    assert sum(tally.answers.values()) == CALL_COUNT
    answered = {key.split(":")[0] for key in tally.answers if key.endswith("OK")}
    # No generated text names a group or another encoder, nothing makes whole tensors, and no
    # thumbnail is kept.
    refused = {"GetGroup", "MergeGroups", "SplitGroup", "UndoGroupEvent", "GetThumbnail"}
    refused |= {"Reindex", "DropEncoder", "ModelInfer", "ModelMetadata", "ModelConfig"}
    assert answered | refused == {method.name for method in methods()}


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
async def test_malformed_bytes_are_an_invalid_argument(address: str, method: Any) -> None:
    call = GeneratedCall(method=method, payloads=(MALFORMED,), is_malformed=True)

    def ask() -> tuple[str, list[bytes]]:
        with grpc.insecure_channel(address) as channel:
            return send(channel, call)

    code, _ = await asyncio.to_thread(ask)
    assert code == "INVALID_ARGUMENT"


def test_calls_are_of_every_method_and_some_cannot_be_read() -> None:
    calls = [make_call(1, number) for number in range(300)]

    assert {call.method.name for call in calls} == {method.name for method in methods()}
    assert 20 < sum(call.is_malformed for call in calls) < 200
