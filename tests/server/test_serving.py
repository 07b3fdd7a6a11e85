"""The service as a whole: health, reflection, draining, signals, and the encoders behind it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.model_repository.tiny_repository import publish_tiny_version
from tests.model_repository.triton_calls import photo
from tests.server.calls import error_info, match, match_request, serving, upsert
from tests.server.fake_encoder import FakeEncoder, contract_json, digest_of
from tests.server.fake_triton import FakeTriton
from tests.soak import frames
from tests.soak.load import ask, connections
from twinshelf.server.config import KIB, MIB, ServerConfig
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.encoders.triton_encoder import TritonEncoder
from twinshelf.server.parts import SERVICES
from twinshelf.server.services.health import OVERALL
from twinshelf.server.serving import MATCH_METHOD, create_server
from twinshelf.v1.product_pb2 import Product

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def wait_for_health(channel: grpc.aio.Channel, status: int, service: str = OVERALL) -> None:
    """Watches the health of a service until it is the one that is expected."""
    request = health_pb2.HealthCheckRequest(service=service)
    async with asyncio.timeout(20):
        async for answer in health_pb2_grpc.HealthStub(channel).Watch(request):
            if answer.status == status:
                return
    raise AssertionError("the watch ended")


async def health_now(channel: grpc.aio.Channel, service: str) -> int:
    """Returns the health of a service as it answers when asked once."""
    request = health_pb2.HealthCheckRequest(service=service)
    return (await health_pb2_grpc.HealthStub(channel).Check(request)).status


@pytest.mark.slow
@pytest.mark.parametrize("service", [OVERALL, *SERVICES])
async def test_health_of_each_service_follows_the_encoder(
    channel: grpc.aio.Channel, encoder: FakeEncoder, service: str
) -> None:
    await wait_for_health(channel, SERVING, service)
    assert await health_now(channel, service) == SERVING
    encoder.is_away = True
    await wait_for_health(channel, NOT_SERVING, service)
    assert await health_now(channel, service) == NOT_SERVING
    encoder.is_away = False
    await wait_for_health(channel, SERVING, service)
    assert await health_now(channel, service) == SERVING


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
@pytest.mark.parametrize("method", [MATCH_METHOD, "/grpc.health.v1.Health/Check"])
async def test_a_compressed_message_is_refused_before_it_is_inflated(
    channel: grpc.aio.Channel, method: str, algorithm: grpc.Compression
) -> None:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    with pytest.raises(grpc.aio.AioRpcError, match="is disabled") as refused:
        await call(bytes(64 * 1024 * 1024), compression=algorithm)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await wait_for_health(channel, SERVING)


@pytest.mark.slow
async def test_of_a_message_that_nobody_reads_little_is_taken_however_near_its_caller(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    server, port = await create_server(config, encoder)
    address = f"127.0.0.1:{port}"
    headers = frames.header_block(MATCH_METHOD, address)
    body = frames.message(match_request(image=bytes(4 * MIB)).SerializeToString())
    async with connections(address, 1) as (connection,):
        codes = {await ask(connection, headers, body, 20) for _ in range(20)}
    await server.stop()
    assert codes == {grpc.StatusCode.INVALID_ARGUMENT.value[0]}
    assert connection.unread_bytes <= 512 * KIB


async def test_reflection_lists_the_services(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert names == {
        "twinshelf.v1.MatchingService",
        "twinshelf.v1.CatalogService",
        "twinshelf.v1.EncoderService",
        "twinshelf.v1.GroupService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    }


@pytest.mark.slow
async def test_connections_are_made_anew_and_no_call_notices(
    config: ServerConfig, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinshelf.server.serving._CONNECTION_AGE_MS", 300)
    server, port = await create_server(config, encoder)
    own_ports: set[int] = set()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await wait_for_health(channel, SERVING)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            async with asyncio.timeout(20):
                while len(own_ports) < 4:
                    await match(channel, title="anything")
                    sockets = psutil.Process().net_connections("tcp")
                    own_ports |= {
                        each.laddr.port
                        for each in sockets
                        if each.raddr and each.raddr.port == port
                    }
                encoder.is_away = True
                async for answer in watch:
                    if answer.status == NOT_SERVING:
                        break
    finally:
        await server.stop()


async def test_stopping_lets_running_requests_end(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def gate(inputs: list[EncoderInput]) -> None:
        started.set()
        await may_end.wait()

    encoder.gate = gate
    server, port = await create_server(config, encoder)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        running = asyncio.ensure_future(match(channel, title="mug"))
        await started.wait()
        stopping = asyncio.ensure_future(server.stop())
        await asyncio.sleep(0)
        assert not stopping.done()
        may_end.set()
        assert (await running).encoder.version == 1
        await stopping
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await match(channel, title="mug")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.slow
async def test_stopping_waits_for_a_canary(config: ServerConfig, encoder: FakeEncoder) -> None:
    started, may_end = asyncio.Event(), asyncio.Event()

    async def gate(inputs: list[EncoderInput]) -> None:
        started.set()
        await may_end.wait()

    encoder.gate = gate
    server, _ = await create_server(dataclasses.replace(config, canary_interval_s=0.01), encoder)
    await started.wait()
    stopping = asyncio.ensure_future(server.stop())
    asyncio.get_running_loop().call_later(0.2, may_end.set)
    await stopping
    assert may_end.is_set() and encoder.in_flight == 0


async def test_more_requests_than_may_wait_are_refused(
    config: ServerConfig, encoder: FakeEncoder
) -> None:
    full, may_end = asyncio.Event(), asyncio.Event()

    async def gate(inputs: list[EncoderInput]) -> None:
        full.set()
        await may_end.wait()

    encoder.gate = gate
    small = dataclasses.replace(config, in_flight_limit=1, waiting_count=0)
    async with serving(small, encoder) as channel:
        running = asyncio.ensure_future(match(channel, title="mug"))
        await full.wait()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await match(channel, title="mug")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error_info(caught.value).reason == "SERVER_BUSY"
        may_end.set()
        await running


async def test_a_port_that_is_taken_is_an_error(config: ServerConfig, encoder: FakeEncoder) -> None:
    server, port = await create_server(config, encoder)
    other = dataclasses.replace(
        config, address=f"127.0.0.1:{port}", catalogue=config.catalogue.with_name("other")
    )
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        await create_server(other, encoder)
    await server.stop()


@pytest.mark.slow
async def test_triton_may_go_and_come_back_with_another_encoder_without_a_restart(
    config: ServerConfig, triton: FakeTriton
) -> None:
    encoder = await TritonEncoder.open(f"127.0.0.1:{triton.port}", version=0, timeout_s=5)
    async with serving(config, encoder) as channel:
        await wait_for_health(channel, SERVING)
        await upsert(channel, [Product(product_id="p", title="mug")])
        assert (await match(channel, title="mug")).matches
        await triton.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await match(channel, title="mug")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await wait_for_health(channel, NOT_SERVING)
        await triton.start()
        await wait_for_health(channel, SERVING)
        assert (await match(channel, title="mug")).matches
        triton.serve(contract_json("second", 2))
        async with asyncio.timeout(10):
            while encoder.contract.version == 1:
                await asyncio.sleep(0.02)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await match(channel, title="mug")
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert digest_of("second") in (caught.value.details() or "")
        await upsert(channel, [Product(product_id="p", title="mug")])
        assert (await match(channel, title="mug")).encoder.version == 2
    await encoder.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_serves_a_model_repository_and_stops_on_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    publish_tiny_version(tmp_path / "repository")
    process = await start_program(tmp_path, "--encoder", "local")
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while b"listening on" not in (line := await process.stderr.readline()):
                assert line, "the program ended"
        address = line.decode().split("listening on ")[1].split(";")[0]
        async with grpc.aio.insecure_channel(address) as channel:
            await wait_for_health(channel, SERVING)
            product = Product(product_id="p", title="red tea", image=photo(30, 20))
            await upsert(channel, [product])
            answer = await match(channel, title="red tea", image=product.image)
            assert answer.matches[0].score == pytest.approx(1, abs=1e-3)
            with pytest.raises(grpc.aio.AioRpcError, match="not a JPEG, PNG or WebP"):
                await match(channel, image=b"not an image")
        process.send_signal(number)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.slow
async def test_the_program_ends_with_a_sentence_when_it_cannot_serve(tmp_path: Path) -> None:
    process = await start_program(tmp_path, "--encoder", "local")
    _, log = await process.communicate()
    assert process.returncode == 1
    assert b"there is no model repository" in log
    assert b"Traceback" not in log


async def start_program(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "server",
        "--address=127.0.0.1:0",
        "--metrics-address=127.0.0.1:0",
        f"--model-repository={folder / 'repository'}",
        "--encoder-thread-count=1",
        *arguments,
        env={**os.environ, "TWINSHELF_CATALOGUE": str(folder / "catalogue")},
        stderr=asyncio.subprocess.PIPE,
    )


async def test_health_ends_when_the_files_of_the_catalogue_vanish(
    channel: grpc.aio.Channel, config: ServerConfig
) -> None:
    await upsert(channel, [Product(product_id="p", title="mug")])
    await wait_for_health(channel, SERVING)
    (config.catalogue / "catalogue.sqlite").unlink()
    await wait_for_health(channel, NOT_SERVING)
    (answer,) = await upsert(channel, [Product(product_id="q", title="mug")])
    assert answer.error.code == grpc.StatusCode.DATA_LOSS.value[0]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await match(channel, title="mug")
    assert error_info(caught.value).reason == "CATALOGUE_DAMAGED"
