"""Where a part of a deployment listens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A host and a port.

    Attributes:
        host: Name or number.
        port: 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, address: str) -> Endpoint:
        """Reads host:port, with gRPC's "dns:///" before it or not.

        Raises:
            ValueError: If it is nothing of the kind.
        """
        bare = address.removeprefix("dns:").lstrip("/")
        host, _, port = bare.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"must be host:port, got {address!r}")
        return cls(host=host, port=int(port))

    @classmethod
    def parse_all(cls, address: str) -> tuple[Endpoint, ...]:
        """Reads the places of one service: host:port, or gRPC's list "ipv4:10.0.0.1:50051,...".

        Raises:
            ValueError: If one is nothing of the kind.
        """
        scheme, _, listed = address.partition(":")
        if scheme not in ("ipv4", "ipv6"):
            return (cls.parse(address),)
        return tuple(map(cls.parse, listed.split(",")))

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine by a name that only this machine reaches."""
        return self.host == "localhost" or self.host == "::1" or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
