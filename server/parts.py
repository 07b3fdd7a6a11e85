"""What the services of one server are made of, put together from its configuration."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinshelf.server.access.audit import AuditLog
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.groups.formation import GroupGuards
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.one_machine.upkeep import UpkeepConfig
from twinshelf.server.config import ServerConfig
from twinshelf.server.encoders.embedding_cache import EmbeddingCache
from twinshelf.server.encoders.encoder import Encoder
from twinshelf.server.services.calls.byte_budget import ByteBudget
from twinshelf.server.services.calls.call_observer import CallObserver
from twinshelf.server.services.calls.intake import Intake, IntakeConfig
from twinshelf.server.services.calls.streams import StreamBounds
from twinshelf.server.services.embedding.admission import Admission, AdmissionConfig
from twinshelf.server.services.embedding.embedder import Embedder
from twinshelf.server.services.embedding.encoder_pulse import EncoderPulse
from twinshelf.server.services.embedding.routed_embedder import Lanes, RoutedEmbedder
from twinshelf.server.services.embedding.serving_encoders import ServingEncoders
from twinshelf.server.services.health import OVERALL, HealthServicer
from twinshelf.server.services.kserve.kserve_service import KSERVE_METHODS, KSERVE_SERVICE
from twinshelf.server.services.matching.encoder_comparison import EncoderComparison
from twinshelf.server.services.matching.matcher import Matcher
from twinshelf.server.services.pairs.pair_scorer import PairScorer
from twinshelf.server.services.pairs.pair_sides import PairSides
from twinshelf.server.services.products.product_embedder import ProductEmbedder
from twinshelf.server.services.products.reindexer import PHOTO_PX, Reindexer, no_photo
from twinshelf.server.services.products.thumbnails import Thumbnails
from twinshelf.server.services.requests import Limits
from twinshelf.server.telemetry.metrics import Metrics, Tracked
from twinshelf.server.telemetry.tracing import Tracing
from twinshelf.v1 import (
    catalog_service_pb2,
    encoder_service_pb2,
    group_service_pb2,
    matching_service_pb2,
)

# A filter, excluded products and a mask of fields, at their longest, have 400 KiB.
_REST_BYTES: Final = 512 * 1024
MATCHING_SERVICE = matching_service_pb2.DESCRIPTOR.services_by_name["MatchingService"].full_name
CATALOG_SERVICE = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name
GROUP_SERVICE = group_service_pb2.DESCRIPTOR.services_by_name["GroupService"].full_name
ENCODER_SERVICE = encoder_service_pb2.DESCRIPTOR.services_by_name["EncoderService"].full_name
SERVICES = (MATCHING_SERVICE, CATALOG_SERVICE, GROUP_SERVICE, ENCODER_SERVICE, KSERVE_SERVICE)
_METHODS: Final = KSERVE_METHODS + tuple(
    method.name
    for file, name in (
        (matching_service_pb2, "MatchingService"),
        (catalog_service_pb2, "CatalogService"),
        (group_service_pb2, "GroupService"),
        (encoder_service_pb2, "EncoderService"),
    )
    for method in file.DESCRIPTOR.services_by_name[name].methods
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a server has once, and all its services use."""

    catalogue: Catalogue
    health: HealthServicer
    intake: Intake
    admission: Admission
    encoders: ServingEncoders
    embedder: RoutedEmbedder
    pulse: EncoderPulse
    cache: EmbeddingCache
    thumbnails: Thumbnails
    budget: ByteBudget
    stream_budget: ByteBudget
    metrics: Metrics
    tracing: Tracing
    observer: CallObserver
    audit_log: AuditLog


def make_parts(config: ServerConfig, encoders: Sequence[Encoder]) -> Parts:
    """Opens the catalogue and makes all else around it.

    Args:
        config: What the operator chose.
        encoders: Who embeds, one or two.

    Raises:
        CatalogueFileError: If the catalogue cannot be opened.
        CatalogueUnavailableError: If Milvus, which keeps it, ceases to answer.
    """
    metrics = Metrics(_METHODS)
    tracing = Tracing.to(config.trace_endpoint)
    audit_log = AuditLog(Path(config.audit_log) if config.audit_log else None)
    pulse = EncoderPulse(config.stuck_after_s)
    cache = EmbeddingCache(config.embedding_cache_count)
    admission = _make_admission(config)
    intake = Intake(
        IntakeConfig(
            slow_message_limit=config.slow_message_count,
            stream_limit=config.stream_count,
            message_timeout_s=config.message_timeout_s,
            turn_timeout_s=config.wait_limit_s,
            stream_idle_timeout_s=config.stream_idle_timeout_s,
        )
    )
    catalogue = _open_catalogue(config)
    serving = ServingEncoders(encoders, catalogue)
    embedder = RoutedEmbedder(
        encoders=serving,
        serving=_make_lanes(serving, admission, pulse, cache, config, metrics),
        beside=_make_lanes(
            serving,
            _make_admission(config),
            EncoderPulse(config.stuck_after_s),
            cache,
            config,
            metrics,
        ),
    )
    parts = Parts(
        catalogue=catalogue,
        encoders=serving,
        health=HealthServicer((OVERALL, *SERVICES), max(1, config.call_count // 4)),
        intake=intake,
        admission=admission,
        embedder=embedder,
        pulse=pulse,
        cache=cache,
        thumbnails=Thumbnails(config.keep_thumbnails),
        budget=ByteBudget(config.held_limit_bytes // 2),
        stream_budget=ByteBudget(config.held_limit_bytes // 2),
        metrics=metrics,
        tracing=tracing,
        observer=CallObserver(metrics=metrics, tracing=tracing, slow_call_s=config.slow_call_s),
        audit_log=audit_log,
    )
    _track(parts)
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """What does the work of several services."""

    limits: Limits
    bounds: StreamBounds
    pair_scorer: PairScorer
    matcher: Matcher
    product_embedder: ProductEmbedder
    reindexer: Reindexer
    comparison: EncoderComparison


def make_workers(parts: Parts, config: ServerConfig) -> Workers:
    """Makes what does the work on the parts of a server; the metrics read it from then on."""
    limits = Limits(
        image_bytes=config.image_limit_bytes,
        text_bytes=config.text_limit_bytes,
        match_count=config.match_count_limit,
        attribute_count=config.attribute_count_limit,
    )
    pair_scorer = PairScorer(
        encoders=parts.encoders,
        embedder=parts.embedder,
        catalogue=parts.catalogue,
        sides=PairSides(embedder=parts.embedder, catalogue=parts.catalogue, limits=limits),
    )
    matcher = Matcher(
        encoders=parts.encoders,
        catalogue=parts.catalogue,
        limits=limits,
        embedder=parts.embedder,
        pair_scorer=pair_scorer,
        metrics=parts.metrics,
    )
    product_embedder = ProductEmbedder(
        encoders=parts.encoders,
        embedder=parts.embedder,
        beside_timeout_s=config.encode_timeout_s,
    )
    workers = Workers(
        limits=limits,
        bounds=StreamBounds(
            in_flight_count=config.stream_in_flight_count,
            budget=parts.stream_budget,
            limit_bytes=config.held_limit_bytes // 2,
            rest_limit_bytes=config.text_limit_bytes + _REST_BYTES,
        ),
        pair_scorer=pair_scorer,
        matcher=matcher,
        product_embedder=product_embedder,
        reindexer=Reindexer(
            encoders=parts.encoders,
            catalogue=parts.catalogue,
            embedder=product_embedder,
            limits=limits,
            photo_of=parts.catalogue.thumbnail if config.keep_thumbnails >= PHOTO_PX else no_photo,
        ),
        comparison=EncoderComparison(
            matcher=matcher,
            encoders=parts.encoders,
            catalogue=parts.catalogue,
            share=config.shadow_share,
            randomness=random.Random(),
        ),
    )
    _track_encoders(parts, workers.comparison)
    return workers


def _open_catalogue(config: ServerConfig) -> Catalogue:
    address = MilvusAddress.parse(str(config.catalogue))
    guards = GroupGuards() if config.groups else None
    if address is not None:
        return MilvusCatalogue(address, reader_count=config.reader_count, guards=guards)
    return SqliteCatalogue(
        config.catalogue,
        reader_count=config.reader_count,
        upkeep=UpkeepConfig(snapshot_interval_s=config.snapshot_interval_s),
        guards=guards,
    )


def _make_admission(config: ServerConfig) -> Admission:
    return Admission(
        AdmissionConfig(
            in_flight_limit=config.in_flight_limit,
            waiting_limit=config.waiting_count,
            wait_limit_s=config.wait_limit_s,
        )
    )


def _make_lanes(
    encoders: ServingEncoders,
    admission: Admission,
    pulse: EncoderPulse,
    cache: EmbeddingCache,
    config: ServerConfig,
    metrics: Metrics,
) -> Lanes:
    rows, pairs = (
        Embedder(
            encoder=encoders,
            admission=each,
            pulse=pulse,
            cache=cache,
            encode_timeout_s=config.encode_timeout_s,
            metrics=metrics,
            asked=asked,
        )
        for asked, each in (("encoder", admission), ("pair scorer", _make_admission(config)))
    )
    return Lanes(rows=rows, pairs=pairs)


def _track(parts: Parts) -> None:
    track = parts.metrics.track
    track(Tracked.BYTES_HELD, lambda: parts.budget.held_bytes + parts.stream_budget.held_bytes)
    track(Tracked.PLACES_IN_USE, lambda: parts.admission.in_flight)
    track(Tracked.PLACE_LIMIT, lambda: parts.admission.limit)
    track(Tracked.WAITING_COUNT, lambda: parts.admission.waiting_count)
    track(Tracked.CACHE_HITS, lambda: parts.cache.hit_count)
    track(Tracked.CACHE_MISSES, lambda: parts.cache.miss_count)
    track(Tracked.INDEX_SIZE, lambda: parts.catalogue.indexed_vector_count)
    track(Tracked.PRODUCT_COUNT, lambda: parts.catalogue.product_count)
    track(Tracked.LIVE_RECALL, lambda: parts.catalogue.live_recall)


def _track_encoders(parts: Parts, comparison: EncoderComparison) -> None:
    def count_missing() -> int:
        """Counts the products that kept encoders lack."""
        kept = parts.catalogue.encoders.kept - {parts.catalogue.encoders.current}
        return sum(map(parts.catalogue.encoders.count_missing, kept))

    track = parts.metrics.track
    track(Tracked.REINDEX_MISSING, count_missing)
    track(Tracked.SHADOW_QUERIES, lambda: comparison.sums.query_count)
    track(Tracked.SHADOW_OVERLAP, lambda: comparison.sums.mean_overlap)
    track(Tracked.SHADOW_SCORE_SHIFT, lambda: comparison.sums.mean_score_shift)
