"""Server and client agree: keys made by `twinshelf keys`, and clients that use them over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.server.access.certificates import make_authority, make_certificate
from tests.server.access.guarded_service import StubService, serving
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.cli import main
from twinshelf.client.credentials import ClientTls
from twinshelf.client.errors import (
    PermissionDeniedError,
    ServiceUnavailableError,
    TwinshelfError,
    UnauthenticatedError,
)
from twinshelf.client.records import Product
from twinshelf.client.retries import RetryPolicy
from twinshelf.client.sync_client import Client
from twinshelf.server.access import key_ring
from twinshelf.server.access.audit import AuditLog
from twinshelf.server.access.key_file import read_key_file
from twinshelf.server.access.key_ring import KeyRing
from twinshelf.server.access.scopes import Scope
from twinshelf.server.access.transport import ServerTls, server_credentials

Run = Callable[..., str]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("TWINSHELF_KEYS", str(path))
    return path


@pytest.fixture
def run(keys: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_keys(*arguments: str) -> str:
        assert main(["keys", *arguments]) == 0
        return capsys.readouterr().out.strip()

    return run_keys


def test_the_server_reads_what_the_command_writes(keys: Path, run: Run) -> None:
    token = run("add", "--scope", "write", "--label", "shop", "--requests-per-second", "2")
    limited = KeyRing(keys).recognise(token)
    assert (limited.scope, limited.label) == (Scope.WRITE, "shop")
    assert (limited.requests_per_second, limited.burst_count) == (2.0, 2)
    run("add", "--scope", "read", "--expires", "1h")
    run("rotate", limited.key_id)
    run("revoke", limited.key_id)
    assert len(read_key_file(keys)) == 3


async def error_of(address: str, **options: Any) -> TwinshelfError | None:
    once = RetryPolicy(attempt_count=1)
    async with AsyncClient(address, retry_policy=once, **options) as client:
        try:
            await client.stats()
        except TwinshelfError as error:
            return error
    return None


@pytest.mark.slow
async def test_a_rotation_takes_effect_while_the_server_runs(
    keys: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_ring, "LOOK_INTERVAL_S", 0.0)
    old = run("add", "--scope", "read")
    async with serving(StubService(), keys=keys, audit_log=AuditLog()) as address:
        assert await error_of(address, api_key=old) is None
        new = run("rotate", old.split("_")[1], "--overlap", "1h")
        assert await error_of(address, api_key=old) is None
        assert await error_of(address, api_key=new) is None
        run("revoke", old.split("_")[1])
        assert isinstance(await error_of(address, api_key=old), UnauthenticatedError)
        assert await error_of(address, api_key=new) is None
        assert isinstance(await error_of(address), UnauthenticatedError)


async def test_both_clients_speak_mutual_tls_with_a_key(
    keys: Path, run: Run, tmp_path: Path
) -> None:
    authority, other = make_authority(tmp_path, "authority"), make_authority(tmp_path, "other")
    own, shown = (make_certificate(tmp_path, name, authority) for name in ("server", "client"))
    token = run("add", "--scope", "read")
    credentials = server_credentials(
        ServerTls(
            cert_file=own.cert_file, key_file=own.key_file, client_ca_file=authority.cert_file
        )
    )
    tls = ClientTls(ca_file=authority.cert_file, cert_file=shown.cert_file, key_file=shown.key_file)

    def call_sync(address: str) -> None:
        with Client(address, api_key=token, tls=tls) as client:
            client.stats()
            with pytest.raises(PermissionDeniedError, match="needs scope write"):
                list(client.upsert([Product(product_id="tea", title="tea")]))

    async with serving(
        StubService(), keys=keys, audit_log=AuditLog(), credentials=credentials
    ) as address:
        assert await error_of(address, api_key=token, tls=tls) is None
        await asyncio.to_thread(call_sync, address)
        named = replace(tls, server_name="localhost")
        assert await error_of(address, api_key=token, tls=named) is None
        wrong: list[tuple[ClientTls | None, str]] = [
            (
                replace(tls, ca_file=other.cert_file),
                "no TLS connection .*verify failed",
            ),
            (replace(tls, server_name="shelf.example"), "no TLS connection .*Hostname"),
            (ClientTls(ca_file=authority.cert_file), "asks for TLS, or for a certificate"),
            (None, "asks for TLS, or for a certificate"),
        ]
        for refused, words in wrong:
            error = await error_of(address, api_key=token, tls=refused)
            assert isinstance(error, ServiceUnavailableError)
            with pytest.raises(ServiceUnavailableError, match=words):
                raise error
