"""What `make fuzz` sends to a Triton and a service that it starts, and when it starts none."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.fuzz import __main__ as fuzzing
from tests.fuzz import deployed
from tests.fuzz.tally import CallTally
from tests.soak.deployment import Stop

NO_INPUTS = ("--photos", "0", "--texts", "0")


@pytest.mark.triton
@pytest.mark.slow
def test_where_no_server_is_named_calls_go_to_a_triton_and_a_service_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzzing.main([*NO_INPUTS, "--calls", "200", "--keep", str(tmp_path)]) == 0

    told = capsys.readouterr().out
    assert "200 calls to Triton; 0 failures" in told
    assert "200 calls to the service; 0 failures" in told
    assert "product_encoder: answered" in told and "UpsertProducts: OK" in told


@pytest.mark.parametrize(
    ("arguments", "targets"),
    [
        (("--calls", "0"), {}),
        (("--triton", "127.0.0.1:1"), {"Triton": "127.0.0.1:1"}),
        (("--service", "127.0.0.1:2"), {"the service": "127.0.0.1:2"}),
    ],
)
def test_where_servers_are_named_or_no_calls_wanted_none_is_started(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], targets: dict[str, str]
) -> None:
    asked: dict[str, str] = {}

    def note(target: str, address: str, *_: object) -> CallTally:
        asked[target] = address
        return CallTally()

    for name, target in (("fuzz_triton", "Triton"), ("fuzz_service", "the service")):
        monkeypatch.setattr(fuzzing, name, partial(note, target))
    monkeypatch.setattr(fuzzing, "fuzz_deployment", Mock(side_effect=AssertionError))

    assert fuzzing.main([*NO_INPUTS, *arguments]) == 0
    assert asked == targets


@pytest.mark.parametrize(
    ("ends", "reason", "expected"),
    [
        ({}, "", {"Triton": [], "the service": []}),
        ({"triton": 2}, "", {"Triton": ["Triton died"], "the service": []}),
        ({"status": 1}, "", {"Triton": [], "the service": ["the service died"]}),
        ({}, "it hung", {"Triton": ["no clean stop: it hung"], "the service": []}),
    ],
)
def test_who_does_not_live_through_the_calls_is_a_finding(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: dict[str, int],
    reason: str,
    expected: dict[str, list[str]],
) -> None:
    started, fuzz_service = Mock(), Mock(side_effect=lambda *_: CallTally())
    type(started).tritonserver = property(
        lambda _: ends.get("triton", 1) if fuzz_service.called else 1
    )
    started.service.poll.return_value = ends.get("status")
    started.stop_triton.return_value = Stop(seconds=1, is_clean=not reason, reason=reason)
    monkeypatch.setattr(deployed, "Deployment", lambda *_, **__: nullcontext(started))
    monkeypatch.setattr(deployed, "_publish", Mock())
    monkeypatch.setattr(deployed, "is_serving", Mock(return_value=True))
    monkeypatch.setattr(deployed, "fuzz_triton", lambda *_: CallTally())
    monkeypatch.setattr(deployed, "fuzz_service", fuzz_service)

    tallies = deployed.fuzz_deployment(tmp_path, 1, 10, 60)

    found = {target: [what for _, what in tally.failures] for target, tally in tallies.items()}
    assert found == expected
