"""Every entry is one JSON line with who did what; a file of its own is private."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twinshelf.server.access import audit
from twinshelf.server.access.audit import SHOWN_IDS, AuditEntry, AuditLog
from twinshelf.server.access.caller import Caller, caller
from twinshelf.server.access.scopes import Scope
from twinshelf.server.access.setup_error import AccessSetupError
from twinshelf.server.errors import GroupConflictError
from twinshelf.server.telemetry.request_context import peer, request_id

ENTRY = AuditEntry(method="/m", outcome="STORED", product_ids=["tea"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def log(path: Path) -> Iterator[AuditLog]:
    log = AuditLog(path)
    yield log
    log.close()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (GroupConflictError("no"), "GROUP_CONFLICT"),
        (KeyError("a fault"), "INTERNAL"),
        (asyncio.CancelledError(), "CANCELLED"),
    ],
)
def test_what_fails_is_noted_whatever_the_reason(
    path: Path, log: AuditLog, error: BaseException, outcome: str
) -> None:
    with pytest.raises(type(error)), log.noting_failure(replace(ENTRY, outcome="")):
        raise error
    (line,) = lines_of(path)
    assert (line["outcome"], line["product_ids"]) == (outcome, ["tea"])


def test_what_is_done_is_left_to_whoever_does_it(path: Path, log: AuditLog) -> None:
    with log.noting_failure(ENTRY):
        pass
    assert lines_of(path) == []


def test_a_line_names_the_encoder_that_it_is_about(path: Path, log: AuditLog) -> None:
    log.record(AuditEntry(method="/m", outcome="SWITCHED", encoder="version 2"))
    (line,) = lines_of(path)
    assert (line["outcome"], line["encoder"]) == ("SWITCHED", "version 2")
    assert "product_ids" not in line


def test_a_line_says_who_did_what_and_when(path: Path, log: AuditLog) -> None:
    tokens = (
        caller.set(Caller(key_id="abcd", label="shop", scope=Scope.WRITE)),
        request_id.set("r-1"),
        peer.set("ipv4:127.0.0.1:9"),
    )
    log.record(ENTRY)
    caller.reset(tokens[0])
    request_id.reset(tokens[1])
    peer.reset(tokens[2])
    (line,) = lines_of(path)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "key_id": "abcd",
        "label": "shop",
        "peer": "ipv4:127.0.0.1:9",
        "request_id": "r-1",
        "method": "/m",
        "outcome": "STORED",
        "product_count": 1,
        "product_ids": ["tea"],
        "missing_count": 0,
    }


def test_without_keys_the_caller_is_empty(path: Path, log: AuditLog) -> None:
    log.record(ENTRY)
    assert lines_of(path)[0]["key_id"] == ""


def test_of_many_ids_the_first_are_written_and_all_counted(path: Path, log: AuditLog) -> None:
    ids = [f"p{number}" for number in range(10_000)]
    log.record(AuditEntry(method="/m", outcome="DELETED", product_ids=ids))
    (line,) = lines_of(path)
    assert line["product_ids"] == ids[:SHOWN_IDS] and line["product_count"] == 10_000


@pytest.mark.parametrize("product_id", ["a\nb", "100%s", "ключ", "\u2028", '"}', "x" * 10_000])
def test_no_id_breaks_its_line(path: Path, log: AuditLog, product_id: str) -> None:
    log.record(AuditEntry(method="/m", outcome="STORED", product_ids=[product_id]))
    (line,) = lines_of(path)
    assert line["product_ids"] == [product_id[: audit.LONGEST_ID]]


def test_the_file_is_private_and_so_are_those_put_aside(
    path: Path, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.close()
    monkeypatch.setattr(audit, "FILE_LIMIT_BYTES", 1000)
    monkeypatch.setattr(audit, "OLD_FILE_COUNT", 3)
    small = AuditLog(path)
    for _ in range(100):
        small.record(ENTRY)
    small.close()
    files = sorted(path.parent.iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert all(each.stat().st_size <= 1000 for each in files)


def test_without_a_file_it_goes_to_the_ordinary_log_at_any_severity(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    caplog.handler.setLevel(logging.NOTSET)
    AuditLog().record(ENTRY)
    (record,) = caplog.records
    assert record.name == "twinshelf.audit"
    assert json.loads(record.getMessage())["product_ids"] == ["tea"]


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessSetupError, match=r"no/audit\.log cannot be opened: No such file"):
        AuditLog(tmp_path / "no" / "audit.log")
