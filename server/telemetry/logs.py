"""How the server logs: one line for each record, as text for people or as JSON for programs.

Whatever a caller chose may stand in a message, so control characters are escaped: nobody can write
lines of their own into the log, or colour an operator's terminal.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from twinshelf.server.telemetry.request_context import key_id, request_id, trace_id

LogFormat = Literal["text", "json"]
LOG_FORMATS: Final[tuple[LogFormat, ...]] = ("text", "json")
# Control characters; ends of lines, and turns of the writing direction, that Unicode has besides;
# halves of characters, which no stream can write.
_UNSAFE: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_FAILURES: Final = frozenset(("INTERNAL", "UNKNOWN", "DATA_LOSS"))
# At DEBUG they tell of each turn of their own loops, several for each call.
_TALKATIVE: Final = ("grpc", "asyncio")
_GRPC_CORE: Final = "grpc._cython.cygrpc"
_CALL_FIELDS: Final = "twinshelf_call"
logger = logging.getLogger(__name__)


def configure_logging(level: str, log_format: LogFormat, stream: TextIO | None = None) -> None:
    """Lets all loggers write to one stream, in place of what was set before.

    Args:
        level: Least severity that is logged, such as "info".
        log_format: "text" or "json".
        stream: Where to; None takes standard error.

    Raises:
        ValueError: If there is no such level or format.
    """
    if log_format not in LOG_FORMATS:
        raise ValueError(f"log_format must be one of {', '.join(LOG_FORMATS)}, got {log_format!r}")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.setLevel(level.upper())
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))
    logging.getLogger(_GRPC_CORE).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record of gRPC's says more than that a caller left before the answer came."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != "ExecuteBatchError"


def log_call(
    method: str,
    code: str,
    duration_s: float,
    *,
    slow_call_s: float,
    reason: str = "",
    is_stream: bool = False,
) -> None:
    """Logs a call that has ended: a line at DEBUG, at WARNING when it failed inside or was slow.

    Args:
        method: Its path, "/twinshelf.v1.MatchingService/MatchProduct".
        code: Name of its gRPC code.
        duration_s: How long it took, seconds.
        slow_call_s: What counts as slow, seconds.
        reason: That of the ErrorInfo it was answered with; empty without one.
        is_stream: Whether it is a stream, which may take as long as its caller likes.
    """
    is_slow = duration_s >= slow_call_s and not is_stream
    level = logging.WARNING if is_slow or code in _FAILURES else logging.DEBUG
    if not logger.isEnabledFor(level):
        return
    fields = {"method": method, "code": code, "duration_s": round(duration_s, 6)}
    if reason:
        fields["reason"] = reason
    logger.log(
        level,
        "%s ended %s%s after %.3f s%s",
        method,
        code,
        f" ({reason})" if reason else "",
        duration_s,
        ", which is slow" if is_slow else "",
        extra={_CALL_FIELDS: fields},
    )


def escape(text: str) -> str:
    """Returns a text with its control characters written as Python would write them."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


class TextFormatter(logging.Formatter):
    """A line for people; a traceback follows on lines of its own, marked by a bar."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and the lines of the traceback."""
        parts = [
            f"{self.formatTime(record)} {record.levelname} {record.name}: "
            f"{escape(record.getMessage())}"
        ]
        if current := request_id.get():
            parts[0] += f" [request {escape(current)}]"
        if trouble := _trouble(record):
            # A line of a traceback may be a caller's text: without the bar it could pass for ours.
            parts += [f"  | {escape(line)}" for line in trouble.split("\n")]
        return "\n".join(parts)


class JsonFormatter(logging.Formatter):
    """A JSON object on one line, with the time in UTC as RFC 3339 has it."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        values: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, variable in (
            ("request_id", request_id),
            ("key_id", key_id),
            ("trace_id", trace_id),
        ):
            if value := variable.get():
                values[name] = value
        values |= getattr(record, _CALL_FIELDS, {})
        if trouble := _trouble(record):
            values["exception"] = trouble
        return json.dumps(values)  # ASCII: it escapes whatever could harm


def _trouble(record: logging.LogRecord) -> str:
    """The traceback of a record, and the stack when it was asked for; empty without either."""
    plain = logging.Formatter()
    parts = []
    if record.exc_info:
        parts.append(plain.formatException(record.exc_info))
    if record.stack_info:
        parts.append(plain.formatStack(record.stack_info))
    return "\n".join(parts)
