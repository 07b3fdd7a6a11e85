"""Who answers at an address, in which language, and what it says: from a socket, below gRPC."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from enum import Enum
from typing import Final

from twinshelf.client.credentials import ClientTls
from twinshelf.client.doctor.endpoint import Endpoint

# How an HTTP/2 client begins: its greeting, and settings that change nothing.
_HTTP2_GREETING: Final = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
)
_HTTP1_GREETING: Final = b"GET / HTTP/1.0\r\n\r\n"
_NO_CLIENT_CERTIFICATE: Final = (
    "it asks for a certificate of the client, and takes none that it got"
)
_SETTINGS_FRAME: Final = 4
_HEAD_BYTES: Final = 9
# More than any answer that is wanted here.
_LONGEST_ANSWER_BYTES: Final = 8 * 1024 * 1024
# The servers are ours and near: a proxy that is set for the web must not be asked for them.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Language(Enum):
    """What is spoken at a port."""

    HTTP2 = "gRPC in clear"
    TLS = "TLS"
    HTTP1 = "HTTP/1.1"
    SILENCE = "nothing at all"
    UNKNOWN = "neither gRPC nor TLS"


def connect(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    """Opens a connection.

    Args:
        endpoint: Where to.
        timeout_s: For each step, seconds.

    Raises:
        OSError: If it cannot be opened.
    """
    return socket.create_connection((endpoint.host, endpoint.port), timeout_s)


def answers(endpoint: Endpoint, timeout_s: float) -> bool:
    """Tells whether anything listens at an address.

    Args:
        endpoint: Where.
        timeout_s: How long to try, seconds.
    """
    try:
        connect(endpoint, timeout_s).close()
    except OSError:
        return False
    return True


def language(endpoint: Endpoint, timeout_s: float) -> Language:
    """Finds out what is spoken at an address.

    Args:
        endpoint: Where; something listens there.
        timeout_s: For each step, seconds.

    Raises:
        OSError: If it cannot be reached.
    """
    answer = _exchange(endpoint, _HTTP2_GREETING, timeout_s)
    if answer and len(answer) == _HEAD_BYTES and answer[3] == _SETTINGS_FRAME:
        return Language.HTTP2
    # A server that speaks TLS answers the greeting with an alert, or not at all.
    if _takes_tls(endpoint, timeout_s):
        return Language.TLS
    if answer is None:
        return Language.SILENCE
    is_http = (_exchange(endpoint, _HTTP1_GREETING, timeout_s) or b"").startswith(b"HTTP/1.")
    return Language.HTTP1 if is_http else Language.UNKNOWN


def certificate_trouble(endpoint: Endpoint, tls: ClientTls, timeout_s: float) -> str:
    """Says what is wrong with the certificates of both sides; empty when they are good.

    Args:
        endpoint: A server that speaks TLS.
        tls: How the client speaks TLS.
        timeout_s: For each step, seconds.
    """
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    context.set_alpn_protocols(["h2"])
    try:
        with (
            connect(endpoint, timeout_s) as connection,
            context.wrap_socket(
                connection, server_hostname=tls.server_name or endpoint.host
            ) as secured,
        ):
            # Only with the first word does it say that it wants a certificate of ours.
            return "" if secured.recv(1) else _NO_CLIENT_CERTIFICATE
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not good: {error.verify_message}"
    except (ssl.SSLError, ConnectionError):
        return _NO_CLIENT_CERTIFICATE
    except OSError as error:
        return str(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        text: Body; what is no UTF-8 is replaced.
    """

    status: int
    text: str


def ask(url: str, timeout_s: float, *, body: bytes | None = None) -> HttpAnswer:
    """Sends a request: GET, or POST when there is a body.

    Args:
        url: Where to, "http://…".
        timeout_s: For each step, seconds.
        body: What to send.

    Raises:
        OSError: If there is no answer.
    """
    request = urllib.request.Request(url, data=body)
    try:
        try:
            answer = _OPENER.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            answer = error  # an answer as good as any other: its status tells
        with answer:
            text = answer.read(_LONGEST_ANSWER_BYTES).decode("utf-8", "replace")
            return HttpAnswer(status=answer.status, text=text)
    except urllib.error.URLError as error:
        said = getattr(error.reason, "strerror", None) or error.reason
        raise OSError(str(said)) from None
    except http.client.HTTPException as error:
        raise OSError(f"what answers does not speak HTTP ({type(error).__name__})") from None


def _exchange(endpoint: Endpoint, greeting: bytes, timeout_s: float) -> bytes | None:
    """Sends a greeting; returns the first bytes of the answer, None when all stays silent."""
    answer = b""
    with connect(endpoint, timeout_s) as connection:
        try:
            connection.sendall(greeting)
            while len(answer) < _HEAD_BYTES:
                received = connection.recv(_HEAD_BYTES - len(answer))
                if not received:
                    break
                answer += received
        except TimeoutError:
            return answer or None
        except OSError:
            return answer  # it hung up
    return answer


def _takes_tls(endpoint: Endpoint, timeout_s: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with connect(endpoint, timeout_s) as connection, context.wrap_socket(connection):
            return True
    except ssl.SSLError as error:
        # Refused for want of a certificate of ours: that, too, is said in TLS.
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
