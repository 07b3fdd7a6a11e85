"""Puts the parts of the matching service together, starts it, and stops it in good order."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from protos.twinshelf.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    matching_service_pb2,
    matching_service_pb2_grpc,
)
from server.catalogue.catalogue import Catalogue
from server.config import MIB, ServerConfig
from server.encoders.encoder import Encoder
from server.services.admission import Admission
from server.services.catalog_service import CatalogServicer
from server.services.encoder_watch import EncoderWatch
from server.services.error_interceptor import ErrorInterceptor
from server.services.health import OVERALL, SERVICE_NAME, HealthServicer
from server.services.matcher import Matcher
from server.services.matching_service import MatchingServicer
from server.services.requests import Limits

logger = logging.getLogger(__name__)
MATCHING_SERVICE = matching_service_pb2.DESCRIPTOR.services_by_name["MatchingService"].full_name
CATALOG_SERVICE = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name


class MatchingServer:
    """A running matching service."""

    def __init__(
        self,
        *,
        grpc_server: grpc.aio.Server,
        catalogue: Catalogue,
        health_servicer: HealthServicer,
        watch: asyncio.Task[None],
        drain_timeout_s: float,
    ) -> None:
        """Takes the parts, all of them started."""
        self._grpc_server = grpc_server
        self._catalogue = catalogue
        self._health = health_servicer
        self._watch = watch
        self._drain_timeout_s = drain_timeout_s

    async def stop(self) -> None:
        """Takes no new requests, lets the running ones end, and closes the catalogue."""
        # The health check first: it turns the callers away before the door is shut.
        self._watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watch
        self._health.stop()
        await self._grpc_server.stop(self._drain_timeout_s)
        await self._catalogue.close()
        logger.info("stopped")


async def create_server(config: ServerConfig, encoder: Encoder) -> tuple[MatchingServer, int]:
    """Starts the matching service.

    Args:
        config: What the operator chose.
        encoder: Who embeds; stays the caller's to close.

    Returns:
        The running server and the port that it listens on.

    Raises:
        CatalogueFileError: If the catalogue cannot be opened.
        OSError: If the address cannot be bound.
    """
    catalogue = Catalogue(config.catalogue, reader_count=config.reader_count)
    try:
        grpc_server = grpc.aio.server(
            interceptors=[ErrorInterceptor()], options=_channel_options(config)
        )
        health_servicer = HealthServicer((OVERALL, MATCHING_SERVICE, CATALOG_SERVICE))
        _add_services(grpc_server, health_servicer, config, encoder, catalogue)
        port = _bind(grpc_server, config.address)
        await grpc_server.start()
    except BaseException:
        await catalogue.close()
        raise
    watch = EncoderWatch(
        encoder=encoder,
        catalogue=catalogue,
        health=health_servicer,
        interval_s=config.watch_interval_s,
    )
    server = MatchingServer(
        grpc_server=grpc_server,
        catalogue=catalogue,
        health_servicer=health_servicer,
        watch=asyncio.ensure_future(watch.run()),
        drain_timeout_s=config.drain_timeout_s,
    )
    return server, port


def _add_services(
    grpc_server: grpc.aio.Server,
    health_servicer: HealthServicer,
    config: ServerConfig,
    encoder: Encoder,
    catalogue: Catalogue,
) -> None:
    matcher = Matcher(
        encoder=encoder,
        catalogue=catalogue,
        limits=Limits(
            image_bytes=config.image_limit_bytes,
            text_bytes=config.text_limit_bytes,
            match_count=config.match_count_limit,
            attribute_count=config.attribute_count_limit,
        ),
        admission=Admission(
            in_flight_count=config.in_flight_count, waiting_count=config.waiting_count
        ),
    )
    matching_service_pb2_grpc.add_MatchingServiceServicer_to_server(
        MatchingServicer(matcher, config.stream_in_flight_count), grpc_server
    )
    catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(
        CatalogServicer(
            matcher=matcher,
            catalogue=catalogue,
            encoder=encoder,
            stream_in_flight_count=config.stream_in_flight_count,
        ),
        grpc_server,
    )
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, grpc_server)
    names = (MATCHING_SERVICE, CATALOG_SERVICE, SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, grpc_server)


def _channel_options(config: ServerConfig) -> list[tuple[str, int]]:
    # Twice the limits and more: what is somewhat too large must reach our checks and be answered by
    # a sentence, instead of dying in the transport.
    receive_limit = 2 * (config.image_limit_bytes + config.text_limit_bytes) + 8 * MIB
    return [
        ("grpc.max_receive_message_length", receive_limit),
        ("grpc.max_send_message_length", -1),
        # Without this a second server could take half of the requests of the same port.
        ("grpc.so_reuseport", 0),
    ]


def _bind(grpc_server: grpc.aio.Server, address: str) -> int:
    try:
        port = grpc_server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}") from None
    if port == 0:
        raise OSError(f"cannot listen on {address}")
    return port
