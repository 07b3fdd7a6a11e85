"""The configuration of the matching service: one field is one flag, one variable, one default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twinshelf.server.command_line import check_ranges, is_ipv6, option, read_options

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Serves twinshelf.v1: matches offers to the products of a catalogue.

    Raises:
        ValueError: If a value is out of its range.
    """

    address: str = option("127.0.0.1:50051", "host:port to serve on; port 0 picks a free one")
    encoder: Literal["triton", "local"] = option(
        "triton",
        "who embeds: triton asks a Triton server, local runs the model repository in this process",
    )
    triton: str = option("127.0.0.1:8001", "host:port of Triton's gRPC service")
    other_triton: str = option(
        "",
        "host:port of a second Triton, with the encoder to change to or to go back to; the "
        "catalogue knows which of the two serves",
    )
    model_repository: Path = option(
        Path("model_repository"), "folder of the model repository; read by the local encoder only"
    )
    version: int = option(
        0,
        "encoder version to insist on; 0 takes what Triton serves, or the newest local one",
        low=0,
    )
    other_version: int = option(
        0,
        "encoder version to insist on at the second Triton, or to load beside the local one; 0 "
        "takes what that Triton serves, or loads none",
        low=0,
    )
    shadow_share: float = option(
        0.1,
        "share of the matches that the second encoder answers as well, once it has embedded every "
        "product, so that the two can be compared",
        low=0,
        high=1,
    )
    catalogue: Path = option(
        Path(".cache/catalogue"),
        "folder that keeps the catalogue; or milvus://host:port/name, which several servers share, "
        "or milvus-lite:///path.db, a file for trying that out",
    )
    image_limit_bytes: int = option(8 * MIB, "largest photo", low=1, high=256 * MIB)
    text_limit_bytes: int = option(
        64 * KIB, "largest text, all fields of an offer or product together", low=1, high=16 * MIB
    )
    match_count_limit: int = option(
        1000, "most matches that a request may ask for", low=1, high=100_000
    )
    attribute_count_limit: int = option(
        256, "most attributes of an offer or product", low=0, high=100_000
    )
    in_flight_limit: int = option(
        256,
        "most work that the encoder is given at once: 1 is a short text or a small photo; how much "
        "of it is used follows the latency that is measured",
        low=1,
        high=100_000,
    )
    embedding_cache_count: int = option(
        10_000,
        "photos and texts whose embeddings are remembered, so that a repeated one costs nothing; "
        "0 for none",
        low=0,
        high=10_000_000,
    )
    waiting_count: int = option(
        1024,
        "offers that may wait for a place, those of streams not counted; more are refused",
        low=0,
        high=1_000_000,
    )
    wait_limit_s: float = option(
        0.5, "longest expected wait for a place; who would wait longer is refused", low=0, high=3600
    )
    call_count: int = option(1024, "calls that are open at once, all kinds", low=1, high=100_000)
    held_limit_bytes: int = option(
        128 * MIB,
        "memory for messages that are being answered; half of it is for streams",
        low=MIB,
        high=1024 * 1024 * MIB,
    )
    slow_message_count: int = option(
        16, "messages that are read at once and take more than a moment", low=1, high=10_000
    )
    message_timeout_s: float = option(
        10.0, "longest time that one message may take to arrive", low=0.01, high=3600
    )
    stream_count: int = option(
        32, "streams that are open at once; one key may have half of them", low=1, high=10_000
    )
    stream_in_flight_count: int = option(
        32, "unanswered messages of one stream; the stream is read no further", low=1, high=10_000
    )
    stream_idle_timeout_s: float = option(
        300.0, "a stream that sends nothing for so long is ended", low=0.01, high=86_400
    )
    send_timeout_s: float = option(
        10.0, "a stream whose caller reads nothing for so long is ended", low=0.01, high=3600
    )
    encode_timeout_s: float = option(
        6.0, "longest wait for the encoder; less than the 10 s of the clients", low=0.01, high=3600
    )
    stuck_after_s: float = option(
        1.7,
        "an encoder that answers nothing for so long, while it has work, is taken for stuck",
        low=0.05,
        high=3600,
    )
    canary_interval_s: float = option(
        0.3, "silence after which a small photo and text are sent to the encoder", low=0.01, high=60
    )
    watch_interval_s: float = option(
        1.0, "time between two looks at the encoder's contract", low=0.01, high=3600
    )
    drain_timeout_s: float = option(
        15.0, "time that running requests are given when the server stops", low=0, high=3600
    )
    reader_count: int = option(4, "threads that search and read the catalogue", low=1, high=256)
    snapshot_interval_s: float = option(
        300.0,
        "time between two snapshots of the search index; one more at the end, if 10 s do for it",
        low=1,
        high=86_400,
    )
    groups: bool = option(
        True, "keep the products in groups of the same item, beside the writes (GroupService)"
    )
    keep_thumbnails: int = option(
        0,
        "keep a thumbnail of each product's photo, with so many pixels on its longer side "
        "(GetThumbnail); 0 keeps none",
        low=0,
        high=1024,
    )
    encoder_thread_count: int = option(
        0, "threads of the local encoder; 0 uses every core", low=0, high=1024
    )
    tls_cert: str = option("", "file of the server's certificate chain (PEM); turns TLS on")
    tls_key: str = option("", "file of the certificate's private key (PEM)")
    tls_client_ca: str = option(
        "", "file of the authority whose certificates callers must have (PEM): mutual TLS"
    )
    keys: str = option("", "file of API keys, made by `twinshelf keys`; callers then need one")
    insecure: bool = option(
        False, "serve on a public address without TLS and keys: whoever reaches it may do all"
    )
    reflection: bool = option(True, "let callers list services and messages (gRPC reflection)")
    audit_log: str = option("", "file for the audit log of writes; empty: the ordinary log")
    metrics_address: str = option(
        "127.0.0.1:50052", "host:port of the Prometheus metrics; empty for none, port 0 a free one"
    )
    trace_endpoint: str = option(
        "", "host:port of an OpenTelemetry collector (OTLP over gRPC); empty for no traces"
    )
    slow_call_s: float = option(
        5.0, "a call that takes longer is logged as slow", low=0.001, high=86_400
    )
    log_level: Literal["debug", "info", "warning", "error"] = option(
        "info", "least severity that is logged"
    )
    log_format: Literal["text", "json"] = option(
        "text", "lines of the log: for people, or JSON for programs"
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        check_ranges(self)
        for name in ("address", "triton", "other_triton", "metrics_address", "trace_endpoint"):
            value = getattr(self, name)
            is_optional = name not in ("address", "triton")
            if not value.rpartition(":")[2].isdigit() and not (is_optional and not value):
                raise ValueError(f"{name} must be host:port, got {value!r}")
            if is_ipv6(value) or is_ipv6(value.rpartition(":")[0]):
                raise ValueError(
                    f"{name} must be host:port, an IPv6 host in brackets such as [::1]:50051, "
                    f"got {value!r}"
                )
        if self.other_version and self.encoder == "triton" and not self.other_triton:
            raise ValueError("other_version must be 0 without other_triton")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key must be given together")
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError("tls_client_ca needs tls_cert and tls_key")


def read_config(arguments: Sequence[str], environment: Mapping[str, str]) -> ServerConfig:
    """Reads the configuration from a command line and an environment, as `read_options` does.

    Raises:
        SystemExit: After the help (0), or when the configuration cannot be used (2).
    """
    return read_options(ServerConfig, "twinshelf.server", arguments, environment)
