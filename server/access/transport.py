"""TLS and mutual TLS: the server's certificate, taken anew when its files change."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from twinshelf.server.access.setup_error import AccessSetupError

logger = logging.getLogger(__name__)

_ENCRYPTED: Final = b"ENCRYPTED"
# Options of the service that name the files.
_CERT, _KEY, _CLIENT_CA = "--tls-cert", "--tls-key", "--tls-client-ca"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """The files of TLS, all in PEM.

    Attributes:
        cert_file: The server's certificate, then those between it and its authority.
        key_file: The certificate's private key, not encrypted.
        client_ca_file: Authorities of whose certificates callers must show one (mutual TLS); None
            asks callers for none.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file."""
        always = (self.cert_file, self.key_file)
        return always if self.client_ca_file is None else (*always, self.client_ca_file)


def server_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Makes the credentials of a port, which follow their files.

    At each new connection the files are looked at; when they changed and fit together, that
    connection has the new ones. When they do not, the old ones stay and the log says why.

    Args:
        tls: The files.

    Raises:
        AccessSetupError: If a file cannot be used; the message names it.
    """
    certificate = _Certificate(tls)
    return grpc.dynamic_ssl_server_credentials(
        certificate.initial,
        certificate.changed,  # type: ignore[arg-type]  # the stub forgets that it may return None
        require_client_authentication=tls.client_ca_file is not None,
    )


class _Certificate:
    """The files as they were read last."""

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls
        self._traits = _traits_of(tls)
        self._problem = ""
        self.initial = _read(tls)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Returns what the files hold now; None when that is nothing new that can be used.

        gRPC calls it from its own threads, before each handshake.
        """
        traits = _traits_of(self._tls)
        if traits == self._traits:
            self._problem = ""
            return None
        try:
            configuration = _read(self._tls)
        except AccessSetupError as error:
            if str(error) != self._problem:  # it is met at every handshake until it has passed
                self._problem = str(error)
                logger.error("the certificate read before stays in use: %s", error)
            return None
        self._traits, self._problem = traits, ""
        logger.info("read the certificate %s anew", self._tls.cert_file)
        return configuration


def _read(tls: ServerTls) -> grpc.ServerCertificateConfiguration:
    cert, key = _read_bytes(tls.cert_file, _CERT), _read_bytes(tls.key_file, _KEY)
    if _ENCRYPTED in key:
        raise AccessSetupError(f"the private key {tls.key_file} of {_KEY} is encrypted: decrypt it")
    _check_pair(tls)
    authorities = None
    if tls.client_ca_file is not None:
        authorities = _read_bytes(tls.client_ca_file, _CLIENT_CA)
        _check_authorities(tls.client_ca_file, _CLIENT_CA)
    return grpc.ssl_server_certificate_configuration([(key, cert)], authorities)


def _read_bytes(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, option, error) from None


def _unreadable(path: Path, option: str, error: OSError) -> AccessSetupError:
    return AccessSetupError(f"the TLS file {path} of {option} cannot be read: {error.strerror}")


def _check_pair(tls: ServerTls) -> None:
    """Lets OpenSSL judge: gRPC itself would say no more than that the port cannot be opened."""
    _check_authorities(tls.cert_file, _CERT)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert_file, tls.key_file)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            reason = f"belongs to another certificate than {tls.cert_file}"
        else:
            reason = f"is no private key in PEM ({error.reason or 'unreadable'})"
        raise AccessSetupError(f"the private key {tls.key_file} of {_KEY} {reason}") from None
    except OSError as error:
        raise _unreadable(tls.key_file, _KEY, error) from None


def _check_authorities(path: Path, option: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as error:
        raise AccessSetupError(
            f"{path} of {option} holds no certificate in PEM ({error.reason or 'unreadable'})"
        ) from None
    except OSError as error:
        raise _unreadable(path, option, error) from None


def _traits_of(tls: ServerTls) -> tuple[tuple[int, int, int] | None, ...]:
    return tuple(_traits_of_file(path) for path in tls.files)


def _traits_of_file(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns
