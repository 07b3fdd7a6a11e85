"""Whether an address can be reached from other machines, and what such a service must have."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from twinshelf.server.access.setup_error import AccessSetupError

_LOCAL_SCHEMES: Final = ("unix:", "unix-abstract:")
_NET_SCHEMES: Final = ("ipv4:", "ipv6:", "dns:")


def check_exposure(
    address: str, *, has_tls: bool, has_keys: bool, is_insecure_allowed: bool
) -> None:
    """Refuses to serve the open network without TLS and keys.

    Args:
        address: Where to serve, as gRPC takes it: host:port or unix:path.
        has_tls: Whether callers speak TLS.
        has_keys: Whether callers need API keys.
        is_insecure_allowed: Whether the operator takes the risk.

    Raises:
        AccessSetupError: If other machines can reach the address and something is missing; the
            message names what to set.
    """
    if is_insecure_allowed or (has_tls and has_keys) or is_loopback(address):
        return
    missing = []
    if not has_tls:
        missing.append("TLS (--tls-cert and --tls-key)")
    if not has_keys:
        missing.append("API keys (--keys)")
    raise AccessSetupError(
        f"{address} can be reached from other machines, which needs {' and '.join(missing)}: "
        "set that, serve on 127.0.0.1, or take the risk with --insecure"
    )


def is_loopback(address: str) -> bool:
    """Tells whether only this machine can reach an address.

    A name counts as loopback when it resolves, and to nothing else.

    Args:
        address: host:port, or unix:path.
    """
    if address.startswith(_LOCAL_SCHEMES):
        return True
    for scheme in _NET_SCHEMES:
        address = address.removeprefix(scheme)
    # dns://authority/host:port and dns:///host:port
    host = address.rpartition("/")[2].rpartition(":")[0].strip("[]")
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_loopback_ip(str(each[4][0])) for each in found)


def _is_loopback_ip(text: str) -> bool:
    ip = ipaddress.ip_address(text)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_loopback
