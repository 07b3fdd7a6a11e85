"""An address that other machines reach needs TLS and keys, or an explicit flag."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from twinshelf.server.access.exposure import check_exposure, is_loopback
from twinshelf.server.access.setup_error import AccessSetupError

LOCAL = [
    "127.0.0.1:50051",
    "127.0.0.1:0",
    "127.8.9.1:1",
    "[::1]:50051",
    "localhost:50051",
    "unix:/run/twinshelf.sock",
    "unix:///run/twinshelf.sock",
    "unix-abstract:twinshelf",
    "ipv4:127.0.0.1:1",
    "dns:///localhost:1",
    "[::ffff:127.0.0.1]:1",
]
PUBLIC = [
    "0.0.0.0:50051",
    "[::]:50051",
    "::50051",
    ":50051",
    "0:50051",
    "*:50051",
    "10.1.2.3:50051",
    "192.168.0.1:1",
    "[2001:db8::1]:1",
    "[::ffff:10.0.0.1]:1",
    "no-such-host.invalid:1",
    "ipv4:0.0.0.0:1",
]


@pytest.mark.parametrize("address", LOCAL)
def test_loopback_needs_nothing(address: str) -> None:
    assert is_loopback(address)
    check_exposure(address, has_tls=False, has_keys=False, is_insecure_allowed=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_without_tls_and_keys_is_refused(address: str) -> None:
    assert not is_loopback(address)
    with pytest.raises(AccessSetupError, match="--tls-cert.*--keys.*--insecure"):
        check_exposure(address, has_tls=False, has_keys=False, is_insecure_allowed=False)
    check_exposure(address, has_tls=False, has_keys=False, is_insecure_allowed=True)
    check_exposure(address, has_tls=True, has_keys=True, is_insecure_allowed=False)


def test_only_what_is_missing_is_asked_for() -> None:
    with pytest.raises(AccessSetupError) as raised:
        check_exposure("0.0.0.0:1", has_tls=True, has_keys=False, is_insecure_allowed=False)
    assert "--keys" in str(raised.value) and "--tls-cert" not in str(raised.value)
    with pytest.raises(AccessSetupError) as raised:
        check_exposure("0.0.0.0:1", has_tls=False, has_keys=True, is_insecure_allowed=False)
    assert "(--keys)" not in str(raised.value) and "--tls-cert" in str(raised.value)


def test_a_name_with_one_address_that_is_not_loopback_is_public(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[Any] = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in ("127.0.0.1", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert not is_loopback("shelf:1")
    found.pop()
    assert is_loopback("shelf:1")
