"""How the clients reach the service: the default address and the options of the gRPC channel."""

from __future__ import annotations

import re

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT_S = 10.0
# To gRPC what lies too far ahead is over at once.
LONGEST_TIMEOUT_S = 1e8

# What gRPC itself may wait before it connects again; with its own defaults a repeated call would
# fail on the old connection's error without trying. Of two servers that are replaced one after the
# other, the first may have been away for long, and be back just when the second goes: it must be
# tried again before the last repeat.
_FIRST_RECONNECT_MS = 100
_LAST_RECONNECT_MS = 1000
# A machine that vanishes closes no connection: without pings calls would go on to it for a quarter
# of an hour, and a watch would wait for ever. The service allows pings this often.
_PING_EVERY_MS = 30_000
_PING_TIMEOUT_MS = 20_000

_HOST_PORT = re.compile(r"(\[[^\[\]]+\]|[^\[\]:/,\s]+):\d{1,5}")
_SCHEMES = ("dns:", "ipv4:", "ipv6:", "unix:", "unix-abstract:", "vsock:", "xds:")

CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    # A name may stand for several servers, as may ipv4:HOST:PORT,HOST:PORT: they take turns, and
    # one that is away is left out.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
    ("grpc.min_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
    ("grpc.max_reconnect_backoff_ms", _LAST_RECONNECT_MS),
    ("grpc.keepalive_time_ms", _PING_EVERY_MS),
    ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    # gRPC measures its line by pings of its own, and sends none of ours while one is out.
    ("grpc.http2.ping_timeout_ms", _PING_TIMEOUT_MS),
    # A watch sends nothing for as long as it lasts.
    ("grpc.http2.max_pings_without_data", 0),
    # The service bounds what it takes; a page of a thousand long products passes gRPC's 4 MiB.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # The service is ours and near: a proxy that is set for the web must not be asked for it.
    ("grpc.enable_http_proxy", 0),
    # Two clients of one process must not share a connection that one of them closes.
    ("grpc.use_local_subchannel_pool", 1),
)


def check_address(address: str) -> str:
    """Returns the address when it names a port; gRPC would take that of HTTPS for one without.

    Args:
        address: HOST:PORT, or a name that gRPC resolves, such as ipv4:HOST:PORT,HOST:PORT.

    Raises:
        ValueError: If it is neither.
    """
    if not (_HOST_PORT.fullmatch(address) or address.startswith(_SCHEMES)):
        raise ValueError(
            f"address must be HOST:PORT, such as {DEFAULT_ADDRESS} or [::1]:50051, or "
            f"ipv4:HOST:PORT,HOST:PORT of several servers; got {address!r}"
        )
    return address


def check_timeout(timeout_s: float) -> float:
    """Returns the timeout when it can be used.

    Args:
        timeout_s: Seconds; infinite for as long as it takes.

    Raises:
        ValueError: If it is not above zero.
    """
    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be above zero, got {timeout_s}")
    return min(timeout_s, LONGEST_TIMEOUT_S)
