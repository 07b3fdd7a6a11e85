"""The configuration of the matching service: one field is one flag, one variable, one default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from twinshelf.server.command_line import check_ranges, is_ipv6, read_command_line

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Serves twinshelf.v1: matches offers to the products of a catalogue.

    Attributes:
        address: host:port to serve on; port 0 picks a free one.
        encoder: Who embeds: triton asks a Triton server, local runs the model repository in this
            process.
        triton: host:port of Triton's gRPC service.
        other_triton: host:port of a second Triton, with the encoder to change to or to go back to;
            the catalogue knows which of the two serves.
        model_repository: Folder of the model repository; read by the local encoder only.
        version: Encoder version to insist on; 0 takes what Triton serves, or the newest local one.
        other_version: Encoder version to insist on at the second Triton, or to load beside the
            local one; 0 takes what that Triton serves, or loads none.
        shadow_share: Share of the matches that the second encoder answers as well, once it has
            embedded every product, so that the two can be compared.
        catalogue: Folder that keeps the catalogue; or milvus://host:port/name, which several
            servers share, or milvus-lite:///path.db, a file for trying that out.
        image_limit_bytes: Largest photo.
        text_limit_bytes: Largest text, all fields of an offer or product together.
        match_count_limit: Most matches that a request may ask for.
        attribute_count_limit: Most attributes of an offer or product.
        in_flight_limit: Most work that the encoder is given at once: 1 is a short text or a small
            photo; how much of it is used follows the latency that is measured.
        embedding_cache_count: Photos and texts whose embeddings are remembered, so that a repeated
            one costs nothing; 0 for none.
        waiting_count: Offers that may wait for a place, those of streams not counted; more are
            refused.
        wait_limit_s: Longest expected wait for a place, and longest wait for the turn in which a
            message that may be large is read; who would wait longer is refused.
        call_count: Calls that are open at once, all kinds.
        held_limit_bytes: Memory for messages that are being answered; half of it is for streams.
        slow_message_count: Messages that are read at once and take more than a moment.
        message_timeout_s: Longest time that one message may take to arrive.
        stream_count: Streams that are open at once; one key may have half of them.
        stream_in_flight_count: Unanswered messages of one stream; the stream is read no further.
        stream_idle_timeout_s: A stream that sends nothing for so long is ended.
        send_timeout_s: A stream whose caller reads nothing for so long is ended.
        encode_timeout_s: Longest wait for the encoder; less than the 10 s of the clients.
        stuck_after_s: An encoder that answers nothing for so long, while it has work, is taken for
            stuck.
        canary_interval_s: Silence after which a small photo and text are sent to the encoder.
        watch_interval_s: Time between two looks at the encoder's contract.
        drain_timeout_s: Time that running requests are given when the server stops.
        reader_count: Threads that search and read the catalogue.
        snapshot_interval_s: Time between two snapshots of the search index; one more at the end, if
            10 s do for it.
        groups: Keep the products in groups of the same item, beside the writes (GroupService).
        keep_thumbnails: Keep a thumbnail of each product's photo, with so many pixels on its longer
            side (GetThumbnail); 0 keeps none.
        encoder_thread_count: Threads of the local encoder; 0 uses every core.
        tls_cert: File of the server's certificate chain (PEM); turns TLS on.
        tls_key: File of the certificate's private key (PEM).
        tls_client_ca: File of the authority whose certificates callers must have (PEM): mutual TLS.
        keys: File of API keys, made by `twinshelf keys`; callers then need one.
        insecure: Serve on a public address without TLS and keys: whoever reaches it may do all.
        reflection: Let callers list services and messages (gRPC reflection).
        audit_log: File for the audit log of writes; empty: the ordinary log.
        metrics_address: host:port of the Prometheus metrics; empty for none, port 0 a free one.
        trace_endpoint: host:port of an OpenTelemetry collector (OTLP over gRPC); empty for no
            traces.
        slow_call_s: A call that takes longer is logged as slow.
        log_level: Least severity that is logged.
        log_format: Lines of the log: for people, or JSON for programs.

    Raises:
        ValueError: If a value is out of its range.
    """

    address: str = "127.0.0.1:50051"
    encoder: Literal["triton", "local"] = "triton"
    triton: str = "127.0.0.1:8001"
    other_triton: str = ""
    model_repository: Path = Path("model_repository")
    version: Annotated[int, "0 or more"] = 0
    other_version: Annotated[int, "0 or more"] = 0
    shadow_share: Annotated[float, "0 to 1"] = 0.1
    catalogue: Path = Path(".cache/catalogue")
    image_limit_bytes: Annotated[int, f"1 to {256 * MIB}"] = 8 * MIB
    text_limit_bytes: Annotated[int, f"1 to {16 * MIB}"] = 64 * KIB
    match_count_limit: Annotated[int, "1 to 100000"] = 1000
    attribute_count_limit: Annotated[int, "0 to 100000"] = 256
    in_flight_limit: Annotated[int, "1 to 100000"] = 256
    embedding_cache_count: Annotated[int, "0 to 10000000"] = 10_000
    waiting_count: Annotated[int, "0 to 1000000"] = 1024
    wait_limit_s: Annotated[float, "0 to 3600"] = 0.5
    call_count: Annotated[int, "1 to 100000"] = 1024
    held_limit_bytes: Annotated[int, f"{MIB} to {1024 * 1024 * MIB}"] = 128 * MIB
    slow_message_count: Annotated[int, "1 to 10000"] = 16
    message_timeout_s: Annotated[float, "0.01 to 3600"] = 10.0
    stream_count: Annotated[int, "1 to 10000"] = 32
    stream_in_flight_count: Annotated[int, "1 to 10000"] = 32
    stream_idle_timeout_s: Annotated[float, "0.01 to 86400"] = 300.0
    send_timeout_s: Annotated[float, "0.01 to 3600"] = 10.0
    encode_timeout_s: Annotated[float, "0.01 to 3600"] = 6.0
    stuck_after_s: Annotated[float, "0.05 to 3600"] = 1.7
    canary_interval_s: Annotated[float, "0.01 to 60"] = 0.3
    watch_interval_s: Annotated[float, "0.01 to 3600"] = 1.0
    drain_timeout_s: Annotated[float, "0 to 3600"] = 15.0
    reader_count: Annotated[int, "1 to 256"] = 4
    snapshot_interval_s: Annotated[float, "1 to 86400"] = 300.0
    groups: bool = True
    keep_thumbnails: Annotated[int, "0 to 1024"] = 0
    encoder_thread_count: Annotated[int, "0 to 1024"] = 0
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    keys: str = ""
    insecure: bool = False
    reflection: bool = True
    audit_log: str = ""
    metrics_address: str = "127.0.0.1:50052"
    trace_endpoint: str = ""
    slow_call_s: Annotated[float, "0.001 to 86400"] = 5.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    def __post_init__(self) -> None:
        """Checks the values."""
        check_ranges(self)
        for name in ("address", "triton", "other_triton", "metrics_address", "trace_endpoint"):
            value = getattr(self, name)
            if not value and name not in ("address", "triton"):
                continue
            host, _, port = value.rpartition(":")
            # To serve on, no host is every host.
            has_host = bool(host) or name == "address"
            if not (has_host and port.isdecimal() and int(port) < 65536):
                raise ValueError(f"{name} must be host:port, got {value!r}")
            if is_ipv6(value) or is_ipv6(host):
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
    """Reads the configuration from a command line and an environment, as `read_command_line` does.

    Raises:
        SystemExit: After the help (0), or when the configuration cannot be used (2).
    """
    return read_command_line(ServerConfig, "twinshelf.server", arguments, environment)
