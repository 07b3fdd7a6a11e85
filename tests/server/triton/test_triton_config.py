"""Tests of the settings of a Triton of ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from twinshelf.server.triton.triton_config import UNIX_ABSTRACT, TritonConfig, free_ports, listen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grpc_port": 65536}, "grpc_port must be 0 to 65535, got 65536"),
        ({"metrics_port": -1}, "metrics_port must be 0 to 65535"),
        ({"grpc_host": "unix:/run/x"}, "grpc_host must be empty or unix-abstract: and a name"),
        ({"grpc_host": "unix-abstract:"}, "grpc_host must be empty or unix-abstract: and a name"),
        ({"ready_timeout_s": 0.0}, "ready_timeout_s must be above 0"),
        ({"stop_timeout_s": float("nan")}, "stop_timeout_s must be above 0"),
        ({"version": 0}, "version must be 1 or more"),
        ({"models": ()}, "models must name one model or more"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TritonConfig(model_repository=Path(), **changes)


def test_free_ports_differ_and_stated_ones_are_kept() -> None:
    ports = free_ports("127.0.0.1", (0, 12345, 0, 0))

    assert ports[1] == 12345
    assert len(set(ports)) == 4
    assert all(ports)


def test_a_port_that_is_listened_on_is_taken() -> None:
    with listen("127.0.0.1", 0) as holder, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", holder.getsockname()[1])
    host = f"{UNIX_ABSTRACT}test-{os.getpid()}"
    with listen(host, 1), listen(host, 2), pytest.raises(OSError, match="in use"):
        listen(host, 1)
