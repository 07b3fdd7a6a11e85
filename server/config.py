"""The configuration of the matching service: one field is one flag, one variable, one default."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

KIB, MIB = 1024, 1024 * 1024
ENVIRONMENT_PREFIX = "TWINSHELF_"
ENCODERS = ("triton", "local")
_METAVARS = {str: "TEXT", int: "COUNT", float: "SECONDS", Path: "FOLDER"}
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _option(
    default: object,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declares a field together with its documentation and its range."""
    metadata = {"doc": doc, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Everything that an operator can choose; `--help` prints the meaning of each field.

    Raises:
        ValueError: If a value is out of its range.
    """

    address: str = _option("127.0.0.1:50051", "host:port to serve on; port 0 picks a free one")
    encoder: str = _option(
        "triton",
        "who embeds: triton asks a Triton server, local runs the model repository in this process",
        choices=ENCODERS,
    )
    triton: str = _option("127.0.0.1:8001", "host:port of Triton's gRPC service")
    model_repository: Path = _option(
        Path("model_repository"), "folder of the model repository; read by the local encoder only"
    )
    version: int = _option(
        0,
        "encoder version to insist on; 0 takes what Triton serves, or the newest local one",
        low=0,
    )
    catalogue: Path = _option(Path(".cache/catalogue"), "folder that keeps the catalogue")
    image_limit_bytes: int = _option(8 * MIB, "largest photo", low=1, high=256 * MIB)
    text_limit_bytes: int = _option(
        64 * KIB, "largest text, all fields of an offer or product together", low=1, high=16 * MIB
    )
    match_count_limit: int = _option(
        1000, "most matches that a request may ask for", low=1, high=100_000
    )
    attribute_count_limit: int = _option(
        256, "most attributes of an offer or product", low=0, high=100_000
    )
    in_flight_limit: int = _option(
        256,
        "most work that the encoder is given at once: 1 is a short text or a small photo; how much "
        "of it is used follows the latency that is measured",
        low=1,
        high=100_000,
    )
    waiting_count: int = _option(
        1024, "offers that may wait for a place; more are refused", low=0, high=1_000_000
    )
    wait_limit_s: float = _option(
        0.5, "longest expected wait for a place; who would wait longer is refused", low=0, high=3600
    )
    call_count: int = _option(1024, "calls that are open at once, all kinds", low=1, high=100_000)
    held_limit_bytes: int = _option(
        128 * MIB,
        "memory for messages that are being answered; half of it is for streams",
        low=MIB,
        high=1024 * 1024 * MIB,
    )
    slow_message_count: int = _option(
        16, "messages that are read at once and take more than a moment", low=1, high=10_000
    )
    message_timeout_s: float = _option(
        10.0, "longest time that one message may take to arrive", low=0.01, high=3600
    )
    stream_count: int = _option(32, "streams that are open at once", low=1, high=10_000)
    stream_in_flight_count: int = _option(
        32, "unanswered messages of one stream; the stream is read no further", low=1, high=10_000
    )
    stream_idle_timeout_s: float = _option(
        300.0, "a stream that sends nothing for so long is ended", low=0.01, high=86_400
    )
    send_timeout_s: float = _option(
        10.0, "a stream whose caller reads nothing for so long is ended", low=0.01, high=3600
    )
    encode_timeout_s: float = _option(
        6.0, "longest wait for the encoder; less than the 10 s of the clients", low=0.01, high=3600
    )
    stuck_after_s: float = _option(
        2.0,
        "an encoder that answers nothing for so long, while it has work, is taken for stuck",
        low=0.05,
        high=3600,
    )
    canary_interval_s: float = _option(
        0.5, "silence after which a small photo and text are sent to the encoder", low=0.01, high=60
    )
    watch_interval_s: float = _option(
        1.0, "time between two looks at the encoder's contract", low=0.01, high=3600
    )
    drain_timeout_s: float = _option(
        15.0, "time that running requests are given when the server stops", low=0, high=3600
    )
    reader_count: int = _option(4, "threads that search and read the catalogue", low=1, high=256)
    encoder_thread_count: int = _option(
        0, "threads of the local encoder; 0 uses every core", low=0, high=1024
    )
    tls_cert: str = _option("", "file of the server's certificate chain (PEM); turns TLS on")
    tls_key: str = _option("", "file of the certificate's private key (PEM)")
    tls_client_ca: str = _option(
        "", "file of the authority whose certificates callers must have (PEM): mutual TLS"
    )
    keys: str = _option("", "file of API keys, made by `twinshelf keys`; callers then need one")
    insecure: bool = _option(
        False, "serve on a public address without TLS and keys: whoever reaches it may do all"
    )
    reflection: bool = _option(True, "let callers list services and messages (gRPC reflection)")
    audit_log: str = _option("", "file for the audit log of writes; empty: the ordinary log")
    metrics_address: str = _option(
        "127.0.0.1:50052", "host:port of the Prometheus metrics; empty for none, port 0 a free one"
    )
    trace_endpoint: str = _option(
        "", "host:port of an OpenTelemetry collector (OTLP over gRPC); empty for no traces"
    )
    slow_call_s: float = _option(
        5.0, "a call that takes longer is logged as slow", low=0.001, high=86_400
    )
    log_level: str = _option("info", "least severity that is logged", choices=LOG_LEVELS)
    log_format: str = _option(
        "text", "lines of the log: for people, or JSON for programs", choices=LOG_FORMATS
    )

    def __post_init__(self) -> None:
        """Checks the values."""
        for option in fields(self):
            check_range(option, getattr(self, option.name))
        for name in ("address", "triton", "metrics_address", "trace_endpoint"):
            value = getattr(self, name)
            is_optional = name in ("metrics_address", "trace_endpoint")
            if not value.rpartition(":")[2].isdigit() and not (is_optional and not value):
                raise ValueError(f"{name} must be host:port, got {value!r}")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key must be given together")
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError("tls_client_ca needs tls_cert and tls_key")


def _kind(option: Field[Any]) -> type:
    """The type of a field: str, bool, int, float or Path, which is that of its default."""
    default: object = option.default
    return Path if isinstance(default, Path) else type(default)


def check_range(option: Field[Any], value: Any) -> None:
    """Checks one value against the range that its field declares.

    Raises:
        ValueError: If the value is out of range; the message names the field and the range.
    """
    low, high = option.metadata["low"], option.metadata["high"]
    choices = option.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{option.name} must be one of {', '.join(choices)}, got {value!r}")
    if low is not None and not value >= low:
        raise ValueError(f"{option.name} must be {low} or more, got {value}")
    if high is not None and not value <= high:
        raise ValueError(f"{option.name} must be {high} or less, got {value}")


def environment_name(field_name: str) -> str:
    """Returns the environment variable of a field."""
    return ENVIRONMENT_PREFIX + field_name.upper()


def build_parser() -> argparse.ArgumentParser:
    """Builds the command line from the fields of `ServerConfig`."""
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="Serves twinshelf.v1: matches offers to the products of a catalogue.",
        epilog="A flag wins over its environment variable, and that over the default.",
        allow_abbrev=False,
    )
    for option in fields(ServerConfig):
        doc = option.metadata["doc"].replace("%", "%%")
        flag = "--" + option.name.replace("_", "-")
        default = "none" if option.default == "" else option.default
        text = f"{doc} [{environment_name(option.name)}; default: {default}]"
        if _kind(option) is bool:
            parser.add_argument(
                flag,
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=text,
            )
            continue
        parser.add_argument(
            flag,
            dest=option.name,
            type=_kind(option),
            choices=option.metadata["choices"] or None,
            metavar=None if option.metadata["choices"] else _METAVARS[_kind(option)],
            default=argparse.SUPPRESS,
            help=text,
        )
    return parser


def read_config(arguments: Sequence[str], environment: Mapping[str, str]) -> ServerConfig:
    """Reads the configuration from a command line and an environment.

    Args:
        arguments: The command line without the program's name.
        environment: Environment variables; those of other programs are ignored.

    Raises:
        ValueError: If a value cannot be read or is out of range.
        SystemExit: If the command line is wrong (2) or asks for help (0), as argparse does.
    """
    values: dict[str, object] = {}
    for option in fields(ServerConfig):
        name = environment_name(option.name)
        if text := environment.get(name, ""):
            try:
                values[option.name] = _read_value(_kind(option), text)
            except ValueError:
                kind = _kind(option).__name__
                raise ValueError(f"{name} must be a value of type {kind}, got {text!r}") from None
    values.update(vars(build_parser().parse_args(arguments)))
    return ServerConfig(**values)  # type: ignore[arg-type]


def _read_value(kind: type, text: str) -> object:
    if kind is not bool:
        return kind(text)
    if text.lower() not in _TRUTHS:
        raise ValueError
    return _TRUTHS[text.lower()]


def config_from_process(arguments: Sequence[str]) -> ServerConfig:
    """Reads the configuration of this process; a wrong one ends it with a readable sentence.

    Raises:
        SystemExit: If the configuration is wrong.
    """
    try:
        return read_config(arguments, os.environ)
    except ValueError as error:
        build_parser().error(str(error))
