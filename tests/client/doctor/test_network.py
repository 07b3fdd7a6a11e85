"""Who answers at an address, and in which language."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.client.fake_deployment import FakeWeb, make_authority, serve, serve_web
from tests.client.fake_service import FakeService
from twinshelf.client.credentials import ClientTls
from twinshelf.client.doctor.endpoint import Endpoint
from twinshelf.client.doctor.network import Language, answers, certificate_trouble, language


def test_several_places_of_one_service_are_read() -> None:
    places = Endpoint.parse_all("ipv4:10.0.0.1:50051,10.0.0.2:50052")
    assert list(map(str, places)) == ["10.0.0.1:50051", "10.0.0.2:50052"]
    assert list(map(str, Endpoint.parse_all("ipv6:[::1]:1,[::2]:2"))) == ["[::1]:1", "[::2]:2"]
    assert Endpoint.parse_all("dns:///matching:1") == (Endpoint.parse("matching:1"),)


@pytest.mark.parametrize(
    ("address", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:1", "127.0.0.1", 1, True),
        ("localhost:50051", "localhost", 50051, True),
        ("[::1]:80", "::1", 80, True),
        ("dns:///shop.example:443", "shop.example", 443, False),
    ],
)
def test_addresses_are_read(address: str, host: str, port: int, is_loopback: bool) -> None:
    endpoint = Endpoint.parse(address)
    assert endpoint == Endpoint(host=host, port=port) and endpoint.is_loopback is is_loopback
    assert str(endpoint) == address.removeprefix("dns:///")


@pytest.mark.parametrize("address", ["", "localhost", "localhost:", "a:b", ":1", "a:0", "a:65536"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Endpoint.parse(address)


def test_grpc_in_clear_is_told_from_tls_and_http(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with serve(FakeService()) as clear:
        assert language(Endpoint.parse(clear), 2) is Language.HTTP2
    with serve(FakeService(), credentials=authority.credentials) as secure:
        assert language(Endpoint.parse(secure), 2) is Language.TLS
    with serve_web(FakeWeb()) as web:
        assert language(Endpoint.parse(web), 2) is Language.HTTP1


@pytest.mark.slow
def test_a_port_that_says_nothing_is_told_from_others_in_bounded_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(host="127.0.0.1", port=silent.getsockname()[1])
        assert language(endpoint, 0.1) is Language.SILENCE
        assert answers(endpoint, 0.1)


def test_where_nothing_listens_nothing_answers() -> None:
    endpoint = Endpoint(host="127.0.0.1", port=1)
    assert not answers(endpoint, 1)
    with pytest.raises(OSError, match="refused"):
        language(endpoint, 1)


def test_a_certificate_is_good_only_with_its_authority_its_name_and_in_time(tmp_path: Path) -> None:
    good = make_authority(tmp_path / "good")
    other = make_authority(tmp_path / "other")
    with serve(FakeService(), credentials=good.credentials) as address:
        endpoint = Endpoint.parse(address)
        assert certificate_trouble(endpoint, ClientTls(ca_file=good.ca_file), 2) == ""
        trouble = certificate_trouble(endpoint, ClientTls(ca_file=other.ca_file), 2)
        assert "signature" in trouble or "issuer" in trouble or "self" in trouble
        named = ClientTls(ca_file=good.ca_file, server_name="shop.example")
        assert "shop.example" in certificate_trouble(endpoint, named, 2)
    old = make_authority(tmp_path / "old", days=-1)
    with serve(FakeService(), credentials=old.credentials) as address:
        trouble = certificate_trouble(Endpoint.parse(address), ClientTls(ca_file=old.ca_file), 2)
        assert "expired" in trouble
