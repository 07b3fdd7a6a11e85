"""What the log looks like, and what cannot get into it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from twinshelf.server.telemetry import logs
from twinshelf.server.telemetry.logs import LogFormat, configure_logging, escape, log_call
from twinshelf.server.telemetry.request_context import key_id, request_id, trace_id

logger = logging.getLogger("tests.telemetry")
PATH = "/twinshelf.v1.MatchingService/MatchProduct"
HOSTILE = "tea\n2026-01-01 ERROR server: all is lost\r\x1b[31m\u2028\u202e\x00\ud800"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Leaves the loggers as they were."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    tokens = [variable.set("") for variable in (request_id, key_id, trace_id)]
    yield
    for variable, token in zip((request_id, key_id, trace_id), tokens, strict=True):
        variable.reset(token)
    root.setLevel(level)
    root.handlers[:] = handlers


def open_log(log_format: LogFormat, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level, log_format, stream)
    return stream


def json_line(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    value: dict[str, Any] = json.loads(line)
    return value


def test_a_line_of_text_looks_as_ever() -> None:
    stream = open_log("text")
    logger.info("listening on %s", "127.0.0.1:1")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO tests.telemetry: listening on 127.0.0.1:1\n",
        stream.getvalue(),
    )


def test_a_line_of_text_names_the_request() -> None:
    stream = open_log("text")
    request_id.set("abc")
    logger.info("refused")
    assert stream.getvalue().endswith("refused [request abc]\n")


def test_a_line_of_json_says_when_in_utc_and_for_whom() -> None:
    stream = open_log("json")
    request_id.set("abc")
    key_id.set("key1")
    trace_id.set("f" * 32)
    logger.warning("%d refused", 3)
    value = json_line(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value.pop("time"))
    assert value == {
        "level": "WARNING",
        "logger": "tests.telemetry",
        "message": "3 refused",
        "request_id": "abc",
        "key_id": "key1",
        "trace_id": "f" * 32,
    }


def test_what_is_not_known_is_left_out_of_json() -> None:
    stream = open_log("json")
    logger.info("started")
    assert set(json_line(stream)) == {"time", "level", "logger", "message"}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_callers_text_makes_no_line_of_its_own(log_format: LogFormat) -> None:
    stream = open_log(log_format)
    logger.info("refused %s", HOSTILE)
    request_id.set(HOSTILE)
    logger.info("refused")
    text = stream.getvalue()
    text.encode()  # has no halves of characters
    assert len(text.splitlines()) == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", text)


def test_a_callers_text_in_a_traceback_stays_behind_the_bar() -> None:
    stream = open_log("text")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logger.exception("failed")
    first, *others = stream.getvalue().splitlines()
    assert first.endswith("ERROR tests.telemetry: failed") and "Traceback" in others[0]
    assert others and all(line.startswith("  | ") for line in others)


def test_an_exception_is_one_value_of_json() -> None:
    stream = open_log("json")
    try:
        raise ValueError("of no use")
    except ValueError:
        logger.exception("failed")
    assert json_line(stream)["exception"].endswith("ValueError: of no use")


def test_ordinary_letters_of_all_languages_stay() -> None:
    assert escape("Чай «Зелёный», 緑茶 ☕") == "Чай «Зелёный», 緑茶 ☕"
    assert escape("a\nb\x1b\u202e") == r"a\nb\x1b\u202e"


def test_an_unknown_format_or_level_is_refused() -> None:
    with pytest.raises(ValueError, match="text, json"):
        configure_logging("info", "xml")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("loud", "text")


def test_configuring_again_takes_the_place_of_what_was() -> None:
    first = open_log("text")
    second = open_log("text")
    logger.info("once")
    assert first.getvalue() == "" and second.getvalue().count("once") == 1


def test_libraries_stay_quiet_at_debug_and_at_error() -> None:
    stream = open_log("text", "debug")
    logging.getLogger("grpc._cython.cygrpc").debug("a turn of the loop")
    logger.debug("ours")
    assert "ours" in stream.getvalue() and "turn" not in stream.getvalue()
    stream = open_log("text", "error")
    logging.getLogger("asyncio").warning("of no matter")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("code", "duration_s", "is_stream", "level"),
    [
        ("OK", 0.1, False, "DEBUG"),
        ("INVALID_ARGUMENT", 0.1, False, "DEBUG"),
        ("INTERNAL", 0.1, False, "WARNING"),
        ("OK", 3.0, False, "WARNING"),
        ("OK", 3.0, True, "DEBUG"),
        ("INTERNAL", 3.0, True, "WARNING"),
    ],
)
def test_a_call_is_loud_when_it_failed_inside_or_was_slow(
    code: str, duration_s: float, is_stream: bool, level: str
) -> None:
    stream = open_log("json", "debug")
    log_call(PATH, code, duration_s, slow_call_s=2.0, reason="WHY", is_stream=is_stream)
    value = json_line(stream)
    assert value["level"] == level and value["logger"] == logs.__name__
    assert (value["method"], value["code"], value["reason"]) == (PATH, code, "WHY")
    assert value["duration_s"] == duration_s


def test_an_ordinary_call_is_not_logged_at_info() -> None:
    stream = open_log("text")
    log_call(PATH, "OK", 0.1, slow_call_s=2.0)
    assert stream.getvalue() == ""
    log_call(PATH, "OK", 2.5, slow_call_s=2.0)
    assert f"{PATH} ended OK after 2.500 s, which is slow" in stream.getvalue()


def test_grpc_tells_nothing_of_a_caller_who_left_before_the_answer() -> None:
    class ExecuteBatchError(Exception):
        """As gRPC's own is called."""

    stream = io.StringIO()
    configure_logging("info", "text", stream)
    core = logging.getLogger("grpc._cython.cygrpc")
    for error in (ExecuteBatchError(), ValueError("told")):
        core.error("raised in core", exc_info=error)
    assert "ExecuteBatchError" not in stream.getvalue() and "told" in stream.getvalue()
