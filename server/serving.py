"""Starts the matching service on its parts, and stops it in good order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from twinshelf.server.access.access_interceptor import AccessInterceptor
from twinshelf.server.access.exposure import check_exposure
from twinshelf.server.access.key_ring import KeyRing
from twinshelf.server.access.rate_limit import RateLimit
from twinshelf.server.access.transport import ServerTls, server_credentials
from twinshelf.server.config import MIB, ServerConfig
from twinshelf.server.encoders.encoder import Encoder
from twinshelf.server.parts import (
    MATCHING_SERVICE,
    SERVICES,
    Parts,
    Workers,
    make_parts,
    make_workers,
)
from twinshelf.server.services.calls.call_interceptor import CallInterceptor
from twinshelf.server.services.calls.door import Door
from twinshelf.server.services.calls.message_reader import UNREAD_BYTES
from twinshelf.server.services.catalog_service import CatalogServicer
from twinshelf.server.services.embedding.encoder_watch import EncoderWatch
from twinshelf.server.services.encoder_service import EncoderServicer
from twinshelf.server.services.group_service import GroupServicer
from twinshelf.server.services.health import SERVICE_NAME
from twinshelf.server.services.kserve.kserve_service import INFER_METHOD, KserveServicer
from twinshelf.server.services.matching.category_predictor import CategoryPredictor
from twinshelf.server.services.matching.encoder_comparison import EncoderComparison
from twinshelf.server.services.matching_service import MatchingServicer
from twinshelf.server.services.products.product_updates import ProductUpdater
from twinshelf.server.telemetry.metrics_port import MetricsPort
from twinshelf.v1 import (
    catalog_service_pb2_grpc,
    encoder_service_pb2_grpc,
    group_service_pb2_grpc,
    matching_service_pb2_grpc,
)

logger = logging.getLogger(__name__)
MATCH_METHOD: Final = f"/{MATCHING_SERVICE}/MatchProduct"
_TRACES_TIMEOUT_S: Final = 3.0
_CONNECTION_AGE_MS: Final = 300_000


class MatchingServer:
    """A running matching service."""

    def __init__(
        self,
        *,
        grpc_server: grpc.aio.Server,
        parts: Parts,
        comparison: EncoderComparison,
        watch: EncoderWatch,
        background: Sequence[asyncio.Task[None]],
        metrics_port: MetricsPort | None,
        drain_timeout_s: float,
    ) -> None:
        """Takes the parts, all of them started."""
        self._grpc_server = grpc_server
        self._parts = parts
        self._metrics_port = metrics_port
        self._comparison = comparison
        self._watch = watch
        self._background = background
        self._drain_timeout_s = drain_timeout_s

    async def stop(self) -> None:
        """Takes no new requests, lets the running ones end, and closes the catalogue."""
        # The health check first: it turns the callers away before the door is shut.
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._parts.health.stop()
        self._parts.intake.stop()
        self._parts.catalogue.end_changes()
        await self._grpc_server.stop(self._drain_timeout_s)
        await self._comparison.close()
        # What callers and the watch have left there: closing the connection would cancel it.
        await asyncio.gather(
            self._parts.embedder.close(self._drain_timeout_s),
            self._watch.close(self._drain_timeout_s),
        )
        await self._parts.catalogue.close()
        await asyncio.to_thread(self._parts.thumbnails.close)
        if self._metrics_port is not None:
            await asyncio.to_thread(self._metrics_port.stop)
        await asyncio.to_thread(self._parts.tracing.close, _TRACES_TIMEOUT_S)
        self._parts.audit_log.close()
        logger.info("stopped")


async def create_server(config: ServerConfig, *encoders: Encoder) -> tuple[MatchingServer, int]:
    """Starts the matching service.

    Args:
        config: What the operator chose.
        encoders: Who embeds, one or two; they stay the caller's to close.

    Returns:
        The running server and the port that it listens on.

    Raises:
        AccessSetupError: If keys or certificates cannot be used, or the address needs them.
        CatalogueFileError: If the catalogue cannot be opened.
        OSError: If an address cannot be bound.
    """
    check_exposure(
        config.address,
        has_tls=bool(config.tls_cert),
        has_keys=bool(config.keys),
        is_insecure_allowed=config.insecure,
    )
    parts = make_parts(config, encoders)
    metrics_port: MetricsPort | None = None
    try:
        grpc_server = grpc.aio.server(
            interceptors=_interceptors(parts, config),
            options=channel_options(config),
            maximum_concurrent_rpcs=config.call_count,
        )
        workers = make_workers(parts, config)
        _add_services(grpc_server, parts, workers, config)
        port = _bind(grpc_server, config)
        if config.metrics_address:
            metrics_port = MetricsPort(parts.metrics, config.metrics_address)
        await grpc_server.start()
    except BaseException:
        if metrics_port is not None:
            metrics_port.stop()
        await parts.catalogue.close()
        raise
    watch = EncoderWatch(
        encoder=parts.encoders,
        catalogue=parts.catalogue,
        health=parts.health,
        pulse=parts.pulse,
        metrics=parts.metrics,
        interval_s=config.watch_interval_s,
        canary_interval_s=config.canary_interval_s,
    )
    server = MatchingServer(
        grpc_server=grpc_server,
        parts=parts,
        comparison=workers.comparison,
        watch=watch,
        background=[asyncio.ensure_future(each.run()) for each in (watch, workers.reindexer)],
        metrics_port=metrics_port,
        drain_timeout_s=config.drain_timeout_s,
    )
    return server, port


def _interceptors(parts: Parts, config: ServerConfig) -> list[grpc.aio.ServerInterceptor]:
    def expect_answer_s() -> float:
        """Returns how long a small offer takes; raises when the encoder is lost or has no room."""
        if not parts.encoders.beside():  # which a call may name
            parts.pulse.check()
        return parts.admission.expected_answer_s()

    def check_caller() -> None:
        """Refuses callers of streams whose keys have ended meanwhile."""
        for each in access:
            each.check_again()

    calls = CallInterceptor(
        intake=parts.intake,
        budget=parts.budget,
        doors={
            method: Door(method=method, expect_answer_s=expect_answer_s, observer=parts.observer)
            for method in (MATCH_METHOD, INFER_METHOD)
        },
        check_caller=check_caller,
        observer=parts.observer,
        send_timeout_s=config.send_timeout_s,
        open_call_limit=max(1, config.call_count // 2),
    )
    access: list[AccessInterceptor] = []
    if config.keys:
        access.append(
            AccessInterceptor(
                keys=KeyRing(Path(config.keys)),
                rate_limit=RateLimit(),
                audit_log=parts.audit_log,
                refuse=calls.refuse,
            )
        )
    return [*access, calls]


def _add_services(
    grpc_server: grpc.aio.Server, parts: Parts, workers: Workers, config: ServerConfig
) -> None:
    matching_service_pb2_grpc.add_MatchingServiceServicer_to_server(
        _matching_servicer(parts, workers), grpc_server
    )
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(
        _catalog_servicer(parts, workers), grpc_server
    )
    group_service_pb2_grpc.add_GroupServiceServicer_to_server(
        GroupServicer(catalogue=parts.catalogue, audit_log=parts.audit_log), grpc_server
    )
    encoder_service_pb2_grpc.add_EncoderServiceServicer_to_server(
        EncoderServicer(
            catalogue=parts.catalogue,
            encoders=parts.encoders,
            reindexer=workers.reindexer,
            comparison=workers.comparison,
            bounds=workers.bounds,
            observer=parts.observer,
            audit_log=parts.audit_log,
        ),
        grpc_server,
    )
    KserveServicer(
        matcher=workers.matcher,
        comparison=workers.comparison,
        encoders=parts.encoders,
        health=parts.health,
        observer=parts.observer,
        match_count_limit=workers.limits.match_count,
    ).add_to(grpc_server)
    health_pb2_grpc.add_HealthServicer_to_server(parts.health, grpc_server)
    if config.reflection:
        names = (*SERVICES, SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, grpc_server)


def _matching_servicer(parts: Parts, workers: Workers) -> MatchingServicer:
    return MatchingServicer(
        matcher=workers.matcher,
        comparison=workers.comparison,
        pair_scorer=workers.pair_scorer,
        category_predictor=CategoryPredictor(
            encoders=parts.encoders, matcher=workers.matcher, limits=workers.limits
        ),
        bounds=workers.bounds,
        observer=parts.observer,
    )


def _catalog_servicer(parts: Parts, workers: Workers) -> CatalogServicer:
    return CatalogServicer(
        embedder=workers.product_embedder,
        updater=ProductUpdater(
            encoders=parts.encoders,
            catalogue=parts.catalogue,
            limits=workers.limits,
            embedder=workers.product_embedder,
            thumbnails=parts.thumbnails,
        ),
        catalogue=parts.catalogue,
        encoders=parts.encoders,
        limits=workers.limits,
        thumbnails=parts.thumbnails,
        bounds=workers.bounds,
        observer=parts.observer,
        audit_log=parts.audit_log,
    )


def channel_options(config: ServerConfig) -> list[tuple[str, int]]:
    """Returns how gRPC is to speak with callers."""
    # Above the limits: what is somewhat too large must reach our checks and be answered by a
    # sentence. What is larger still gRPC refuses by its length, before it is read.
    receive_limit = config.image_limit_bytes + config.text_limit_bytes + 4 * MIB
    return [
        ("grpc.max_receive_message_length", receive_limit),
        ("grpc.max_send_message_length", -1),
        # Of a message that nobody reads gRPC takes no more than this. Else it takes as much as the
        # line carries: of a near caller all of it, whether it will be read or refused.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", UNREAD_BYTES),
        # Bit 0, no compression: gRPC inflates a message before it looks at its length, so that a
        # few hundred kilobytes of a stranger would fill the memory.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        # Without this a second server could take half of the requests of the same port.
        ("grpc.so_reuseport", 0),
        # Whoever connects again sees the servers that were added since; calls under way go on.
        ("grpc.max_connection_age_ms", _CONNECTION_AGE_MS),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Callers who wait see by pings that this machine has vanished; gRPC would hang up on who
        # sends more than one in five minutes.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]


def _bind(grpc_server: grpc.aio.Server, config: ServerConfig) -> int:
    address = config.address
    try:
        if config.tls_cert:
            tls = ServerTls(
                cert_file=Path(config.tls_cert),
                key_file=Path(config.tls_key),
                client_ca_file=Path(config.tls_client_ca) if config.tls_client_ca else None,
            )
            port = grpc_server.add_secure_port(address, server_credentials(tls))
        else:
            port = grpc_server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}") from None
    if port == 0:
        raise OSError(f"cannot listen on {address}")
    return port
