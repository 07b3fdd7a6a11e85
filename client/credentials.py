"""What a client shows and checks: the API key, and the certificates of TLS."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

logger = logging.getLogger(__name__)

# What metadata can carry, without the space that would end a token.
_KEY: Final = re.compile(r"[!-~]+")
_LOOPBACK: Final = re.compile(r"unix:.*|(localhost|127(\.\d+){3}|\[::1\]):\d+")

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How to speak TLS.

    Attributes:
        ca_file: Authorities that the service's certificate must come from, PEM; None takes those
            that gRPC knows.
        cert_file: The client's own certificate, PEM, where the service asks for one (mutual TLS).
        key_file: Its private key, PEM, not encrypted.
        server_name: Name to expect in the service's certificate; empty takes that of the address.

    Raises:
        ValueError: If only one of `cert_file` and `key_file` is given.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file of TLS must be given together")

    @property
    def channel_options(self) -> tuple[tuple[str, str], ...]:
        """Options of the channel that belong to it."""
        name = self.server_name
        return (("grpc.ssl_target_name_override", name),) if name else ()


def channel_credentials(tls: ClientTls) -> grpc.ChannelCredentials:
    """Reads the files of TLS.

    Args:
        tls: The files.

    Raises:
        ValueError: If a file cannot be used; the message names it and says why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca = cert = key = None
    # OpenSSL says what is wrong with a file; gRPC would only fail to connect.
    if tls.ca_file is not None:
        ca = _read(tls.ca_file, context.load_verify_locations)
    if tls.cert_file is not None and tls.key_file is not None:
        cert_file = tls.cert_file
        cert = _read(cert_file, context.load_verify_locations)
        # The password keeps OpenSSL from asking for one at the terminal.
        key = _read(tls.key_file, lambda path: context.load_cert_chain(cert_file, path, "none"))
    return grpc.ssl_channel_credentials(ca, key, cert)


def call_metadata(api_key: str | None, *, address: str, tls: ClientTls | None) -> Metadata:
    """Returns what goes with every call; warns of a key that others can read on its way.

    Args:
        api_key: The key; None sends none.
        address: host:port of the service.
        tls: How TLS is spoken; None when it is not.

    Raises:
        ValueError: If the key is empty or holds what no key does, such as spaces.
    """
    if api_key is None:
        return ()
    if not _KEY.fullmatch(api_key):  # not shown: it is a secret
        raise ValueError("the API key must be printable ASCII without spaces, such as ts_ID_SECRET")
    if tls is None and not _LOOPBACK.fullmatch(address):
        logger.warning("the API key goes to %s in clear text: use TLS", address)
    return (("authorization", f"Bearer {api_key}"),)


def read_api_key(path: Path) -> str:
    """Reads a key from a file that holds nothing else.

    Args:
        path: The file.

    Raises:
        ValueError: If the file cannot be read, or holds nothing.
    """
    try:
        key = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"the file {path} holds no API key") from None
    except OSError as error:
        raise ValueError(f"the API key file {path} cannot be read: {error.strerror}") from None
    if not key:
        raise ValueError(f"the API key file {path} is empty")
    return key


def _read(path: Path, check: Callable[[Path], None]) -> bytes:
    try:
        check(path)
        return path.read_bytes()
    except ssl.SSLError as error:
        reason = error.reason or "not PEM, or encrypted"
        raise ValueError(f"the TLS file {path} cannot be used ({reason})") from None
    except OSError as error:
        raise ValueError(f"the TLS file {path} cannot be read: {error.strerror}") from None
