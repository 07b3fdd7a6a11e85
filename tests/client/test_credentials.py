"""What the clients show: the key with every call, and files of TLS that are checked first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.fake_service import FakeService, make_status
from tests.client.test_sync_client import products
from tests.server.access.certificates import make_authority, make_certificate
from twinshelf.client.async_client import AsyncClient
from twinshelf.client.cli import main
from twinshelf.client.credentials import ClientTls, call_metadata, channel_credentials, read_api_key
from twinshelf.client.errors import PermissionDeniedError, UnauthenticatedError
from twinshelf.client.records import Offer
from twinshelf.client.sync_client import Client

KEY = "ts_1a2b3c4d_" + "0" * 64


def test_the_key_goes_with_every_call_and_stream(address: str, service: FakeService) -> None:
    with Client(address, api_key=KEY) as client:
        list(client.upsert(products(2)))
        list(client.match_many([Offer(title="tea")]))
        client.match(Offer(title="tea"))
        client.get("p000")
        list(client.list_all())
        client.stats()
        client.delete(["p000"])
    assert service.authorizations == [f"Bearer {KEY}"] * 7


async def test_the_key_goes_with_every_asyncio_call_and_stream(
    address: str, service: FakeService
) -> None:
    async with AsyncClient(address, api_key=KEY) as client:
        _ = [each async for each in client.upsert(products(2))]
        _ = [each async for each in client.match_many([Offer(title="tea")])]
        await client.stats()
    assert service.authorizations == [f"Bearer {KEY}"] * 3


def test_without_a_key_none_is_sent(address: str, service: FakeService) -> None:
    with Client(address) as client:
        client.stats()
        list(client.upsert(products(1)))
    assert service.authorizations == ["", ""]


@pytest.mark.parametrize(("code", "kind"), [(16, UnauthenticatedError), (7, PermissionDeniedError)])
def test_a_refused_key_has_an_error_of_its_own_and_is_not_repeated(
    client: Client, service: FakeService, code: int, kind: type[Exception]
) -> None:
    status = make_status(code, "the API key is unknown")
    service.failures, service.stream_failures = [status], [status]
    with pytest.raises(kind, match="unknown"):
        client.stats()
    with pytest.raises(kind, match="unknown"):
        list(client.upsert(products(100)))
    assert service.calls["GetCatalogStats"] == service.calls["UpsertProducts"] == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "a\nb", "ключ", "a\x7f"])
def test_what_is_no_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as raised:
        Client(api_key=key)
    assert not key.strip() or key not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "tls", "warns"),
    [
        ("127.0.0.1:50051", None, False),
        ("localhost:1", None, False),
        ("[::1]:1", None, False),
        ("unix:/run/x", None, False),
        ("10.0.0.1:1", None, True),
        ("localhost.example.com:1", None, True),
        ("10.0.0.1:1", ClientTls(), False),
    ],
)
def test_a_key_that_others_can_read_on_its_way_is_warned_of(
    address: str, tls: ClientTls | None, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    call_metadata(KEY, address=address, tls=tls)
    assert ("in clear text" in caplog.text) is warns
    assert KEY not in caplog.text


def test_the_command_shows_the_key_of_the_file_or_else_of_the_variable(
    address: str,
    service: FakeService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "key"
    file.write_text("ts_of_file\n")
    at = ["--address", address]
    assert main([*at, "stats"]) == 0
    monkeypatch.setenv("TWINSHELF_API_KEY", "ts_of_variable\n")
    assert main([*at, "stats"]) == 0
    assert main([*at, "stats", "--api-key-file", str(file)]) == 0
    assert service.authorizations == ["", "Bearer ts_of_variable", "Bearer ts_of_file"]
    assert main([*at, "stats", "--api-key-file", "no"]) == 2
    assert "API key file no cannot be read" in capsys.readouterr().err


def test_a_key_file_that_is_no_text_or_empty_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="holds no API key"):
        read_api_key(file)
    file.write_bytes(b"\n")
    with pytest.raises(ValueError, match=f"the API key file {file} is empty"):
        read_api_key(file)


def test_each_file_of_tls_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "authority")
    own, other = (make_certificate(tmp_path, name, authority) for name in ("own", "other"))
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    good = ClientTls(ca_file=authority.cert_file, cert_file=own.cert_file, key_file=own.key_file)
    assert channel_credentials(good)
    assert channel_credentials(ClientTls())
    rows = [
        (ClientTls(ca_file=tmp_path / "no.pem"), "no.pem cannot be read: No such file"),
        (ClientTls(ca_file=junk), "junk.pem cannot be used"),
        (ClientTls(cert_file=junk, key_file=own.key_file), "junk.pem cannot be used"),
        (ClientTls(cert_file=own.cert_file, key_file=junk), "junk.pem cannot be used"),
        (ClientTls(cert_file=own.cert_file, key_file=other.key_file), "other.key .*KEY_VALUES"),
    ]
    for tls, words in rows:
        with pytest.raises(ValueError, match=words):
            channel_credentials(tls)
    with pytest.raises(ValueError, match="given together"):
        ClientTls(cert_file=own.cert_file)


@pytest.mark.slow
def test_a_service_that_speaks_no_tls_is_one_line(address: str) -> None:
    command = [sys.executable, "-m", "twinshelf.client.cli", "stats", "--tls"]
    ended = subprocess.run([*command, "--address", address], capture_output=True, text=True)
    assert "(wrong version number): check that it speaks TLS" in ended.stderr
    assert ended.stderr.count("\n") == 1 and ended.returncode == 1


def test_the_command_names_a_file_of_tls_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["stats", "--ca-file", "no.pem"]) == 2
    assert "twinshelf: the TLS file no.pem cannot be read" in capsys.readouterr().err
    assert main(["stats", "--cert-file", "no.pem"]) == 2
    assert "given together" in capsys.readouterr().err
