"""What the page must know before it starts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from twinshelf.client.channel import DEFAULT_TIMEOUT_S, check_address
from twinshelf.client.credentials import ClientTls, call_metadata, channel_credentials
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.retries import RetryPolicy

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_HOST: Final = re.compile(r"\[[0-9a-fA-F:.]+\]|(\*\.)?[\w.-]+|\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageConfig:
    """Where the service is, and what of this machine the page may use.

    Attributes:
        address: host:port of the matching service.
        judgements: SQLite file of what people judged; made when missing.
        image_root: Folder below which photos of products lie; None shows none.
        timeout_s: Longest wait for an answer of the service, seconds.
        api_key: Key to show to the service for every visitor; None asks a visitor for one when the
            service wants it.
        tls: How to speak TLS to the service; None speaks in clear.
        retry_policy: How calls are repeated; None takes the client's own.
        hosts: Names under which a browser may ask for the page; any other is refused, so that no
            web site can reach it by a name of its own.
        other_addresses: host:port of further services, to compare with; all take the same keys.
        metrics: host:port of the service's metrics; None looks at the usual place.
        views_attribute: Attribute of a product that holds how often it was viewed.

    Raises:
        ValueError: If the address of a service has no port, the key or a file of TLS cannot be
            used, or a name of a host has a port or a path.
    """

    address: str
    judgements: Path
    image_root: Path | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    api_key: str | None = field(default=None, repr=False)
    tls: ClientTls | None = None
    retry_policy: RetryPolicy | None = None
    hosts: tuple[str, ...] = LOOPBACK_NAMES
    other_addresses: tuple[str, ...] = ()
    metrics: Endpoint | None = None
    views_attribute: str = "views"

    def __post_init__(self) -> None:
        """Checks what clients are made with: they are made when somebody looks at the page."""
        for address in self.addresses:
            check_address(address)
            call_metadata(self.api_key, address=address, tls=self.tls)
        if self.tls is not None:
            channel_credentials(self.tls)
        for name in self.hosts:
            if not _HOST.fullmatch(name):
                raise ValueError(f"a host must be a name alone, such as shop.example; got {name!r}")

    @property
    def addresses(self) -> tuple[str, ...]:
        """All services, the one of the page first."""
        return tuple(dict.fromkeys((self.address, *self.other_addresses)))
