"""TLS and mutual TLS, through a real server: who gets a connection, and what files are refused."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import serialization

from tests.server.access.certificates import CertifiedKey, make_authority, make_certificate
from tests.server.access.guarded_calls import CALLS, bearer, outcome_of
from tests.server.access.guarded_service import StubService, serving
from tests.server.access.keys import make_key, token_of, write_keys
from twinshelf.server.access.audit import AuditLog
from twinshelf.server.access.setup_error import AccessSetupError
from twinshelf.server.access.transport import ServerTls, server_credentials

ADMIN = bearer(token_of("admin"))
UNSHARED = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """The authorities and certificates of one test."""

    authority: CertifiedKey
    other_authority: CertifiedKey
    server: CertifiedKey
    client: CertifiedKey
    stranger: CertifiedKey


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority, other = make_authority(folder, "authority"), make_authority(folder, "other")
    return Papers(
        authority=authority,
        other_authority=other,
        server=make_certificate(folder, "server", authority),
        client=make_certificate(folder, "client", authority),
        stranger=make_certificate(folder, "stranger", other),
    )


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return write_keys(tmp_path / "keys.json", make_key("admin", "ADMIN"))


def tls_of(papers: Papers, *, is_mutual: bool) -> ServerTls:
    return ServerTls(
        cert_file=papers.server.cert_file,
        key_file=papers.server.key_file,
        client_ca_file=papers.authority.cert_file if is_mutual else None,
    )


@pytest.fixture
async def tls_address(papers: Papers, keys: Path) -> AsyncIterator[str]:
    credentials = server_credentials(tls_of(papers, is_mutual=False))
    async with serving(
        StubService(), keys=keys, audit_log=AuditLog(), credentials=credentials
    ) as address:
        yield address


@pytest.fixture
async def mutual_address(papers: Papers, keys: Path) -> AsyncIterator[str]:
    credentials = server_credentials(tls_of(papers, is_mutual=True))
    async with serving(
        StubService(), keys=keys, audit_log=AuditLog(), credentials=credentials
    ) as address:
        yield address


def secure_channel(
    address: str, *, ca: CertifiedKey, shown: CertifiedKey | None = None
) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        ca.cert_file.read_bytes(),
        shown.key_file.read_bytes() if shown else None,
        shown.cert_file.read_bytes() if shown else None,
    )
    return grpc.aio.secure_channel(address, credentials, options=UNSHARED)


async def outcomes(channel: grpc.aio.Channel, *, key: bool = True) -> set[str]:
    async with channel:
        return {await outcome_of(method, channel, ADMIN if key else ()) for method in CALLS}


async def test_tls_lets_every_method_through_with_a_key(tls_address: str, papers: Papers) -> None:
    assert await outcomes(secure_channel(tls_address, ca=papers.authority)) == {"OK"}


async def test_tls_is_no_key(tls_address: str, papers: Papers) -> None:
    channel = secure_channel(tls_address, ca=papers.authority)
    assert await outcomes(channel, key=False) == {"OK", "UNAUTHENTICATED"}


async def test_a_plain_channel_to_a_tls_port_reaches_no_method(tls_address: str) -> None:
    channel = grpc.aio.insecure_channel(tls_address, options=UNSHARED)
    assert await outcomes(channel) == {"UNAVAILABLE"}


async def test_a_client_that_trusts_another_authority_does_not_connect(
    tls_address: str, papers: Papers
) -> None:
    channel = secure_channel(tls_address, ca=papers.other_authority)
    assert await outcomes(channel) == {"UNAVAILABLE"}


async def test_mutual_tls_lets_a_certified_client_through(
    mutual_address: str, papers: Papers
) -> None:
    channel = secure_channel(mutual_address, ca=papers.authority, shown=papers.client)
    assert await outcomes(channel) == {"OK"}


async def test_a_certificate_is_no_key(mutual_address: str, papers: Papers) -> None:
    channel = secure_channel(mutual_address, ca=papers.authority, shown=papers.client)
    assert await outcomes(channel, key=False) == {"OK", "UNAUTHENTICATED"}


async def test_mutual_tls_refuses_clients_without_a_certificate_or_with_a_strange_one(
    mutual_address: str, papers: Papers
) -> None:
    without = secure_channel(mutual_address, ca=papers.authority)
    assert await outcomes(without) == {"UNAVAILABLE"}
    strange = secure_channel(mutual_address, ca=papers.authority, shown=papers.stranger)
    assert await outcomes(strange) == {"UNAVAILABLE"}
    plain = grpc.aio.insecure_channel(mutual_address, options=UNSHARED)
    assert await outcomes(plain) == {"UNAVAILABLE"}


async def test_a_new_certificate_is_taken_up_without_a_restart_and_a_broken_one_is_not(
    papers: Papers,
    keys: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = "/grpc.health.v1.Health/Check"
    tls = ServerTls(cert_file=tmp_path / "now.pem", key_file=tmp_path / "now.key")

    def install(cert: bytes, key: bytes) -> None:
        for path, content in ((tls.cert_file, cert), (tls.key_file, key)):
            new = path.with_suffix(".new")
            new.write_bytes(content)
            os.replace(new, path)

    read = Path.read_bytes

    def read_others(path: Path) -> bytes:
        if path in tls.files:
            raise OSError(errno.EMFILE, "Too many open files")
        return read(path)

    async def outcome_for(address: str, ca: CertifiedKey) -> str:
        async with secure_channel(address, ca=ca) as channel:
            return await outcome_of(method, channel)

    old, new = papers.server, papers.stranger
    install(old.cert_file.read_bytes(), old.key_file.read_bytes())
    async with serving(
        StubService(), keys=keys, audit_log=AuditLog(), credentials=server_credentials(tls)
    ) as address:
        assert await outcome_for(address, papers.authority) == "OK"
        install(new.cert_file.read_bytes(), new.key_file.read_bytes())
        assert await outcome_for(address, papers.other_authority) == "OK"
        assert await outcome_for(address, papers.authority) == "UNAVAILABLE"
        install(old.cert_file.read_bytes(), new.key_file.read_bytes())
        for _ in range(3):
            assert await outcome_for(address, papers.other_authority) == "OK"
        # Files that cannot be read for a moment are read at the next connection.
        with monkeypatch.context() as patch:
            install(old.cert_file.read_bytes(), old.key_file.read_bytes())
            patch.setattr(Path, "read_bytes", read_others)
            for _ in range(2):
                assert await outcome_for(address, papers.other_authority) == "OK"
        assert await outcome_for(address, papers.authority) == "OK"
    errors = [each for each in caplog.messages if "stays in use" in each]
    assert len(errors) == 2
    assert "belongs to another certificate" in errors[0] and "Too many open" in errors[1]


def test_each_file_that_cannot_be_used_is_named_with_the_reason(
    papers: Papers, tmp_path: Path
) -> None:
    cert, key = papers.server.cert_file, papers.server.key_file
    junk, missing = tmp_path / "junk.pem", tmp_path / "missing.pem"
    junk.write_text("no certificate")
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        papers.server.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    rows: list[tuple[tuple[Path, Path, Path | None], str]] = [
        ((missing, key, None), "missing.pem of --tls-cert cannot be read: No such file"),
        ((cert, missing, None), "missing.pem of --tls-key cannot be read: No such file"),
        ((cert, key, missing), "missing.pem of --tls-client-ca cannot be read: No such file"),
        ((junk, key, None), "junk.pem of --tls-cert holds no certificate in PEM"),
        ((cert, junk, None), "junk.pem of --tls-key is no private key in PEM"),
        ((cert, key, junk), "junk.pem of --tls-client-ca holds no certificate in PEM"),
        ((cert, cert, None), "server.pem of --tls-key is no private key in PEM"),
        (
            (cert, papers.client.key_file, None),
            "client.key of --tls-key belongs to another certificate",
        ),
        ((cert, locked, None), "locked.key of --tls-key is encrypted"),
        ((tmp_path, key, None), "cannot be read: Is a directory"),
    ]
    for (cert_file, key_file, ca_file), words in rows:
        tls = ServerTls(cert_file=cert_file, key_file=key_file, client_ca_file=ca_file)
        with pytest.raises(AccessSetupError, match=words):
            server_credentials(tls)
