"""Addresses: what names a port is taken, all else is refused before a call is made."""

from __future__ import annotations

import pytest

from twinshelf.client.async_client import AsyncClient
from twinshelf.client.channel import check_address
from twinshelf.client.sync_client import Client

WHOLE = ["localhost:50051", "10.0.0.1:1", "[::1]:50051", "my-host.example:443"]
RESOLVED = ["ipv4:10.0.0.1:1,10.0.0.2:1", "dns:///service:50051", "unix:/run/socket"]
BROKEN = ["", "localhost", ":50051", "localhost:", "::1:50051", "http://localhost:50051", "a:1,b:1"]


@pytest.mark.parametrize("address", [*WHOLE, *RESOLVED])
def test_an_address_with_a_port_is_taken(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize("address", BROKEN)
def test_any_other_is_refused_by_both_clients(address: str) -> None:
    for make in (Client, AsyncClient):
        with pytest.raises(ValueError, match="address must be HOST:PORT, such as"):
            make(address)
