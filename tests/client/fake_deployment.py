"""Parts of a deployment that do as they are told, for the doctor to look at."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.client.fake_service import ENCODER, FakeService
from twinshelf.v1 import catalog_service_pb2_grpc, matching_service_pb2_grpc

SERVICES = ("", "twinshelf.v1.MatchingService", "twinshelf.v1.CatalogService")
ENCODERS = ("image_encoder", "text_encoder", "product_encoder")


@contextmanager
def serve(
    service: FakeService | None = None,
    *,
    is_healthy: bool = True,
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[str]:
    """Serves a fake and its health, or just gRPC without one; yields the address."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    if service is not None:
        matching_service_pb2_grpc.add_MatchingServiceServicer_to_server(service, server)
        catalog_service_pb2_grpc.add_CatalogServiceServicer_to_server(service, server)
        states = health.HealthServicer()
        serving = health_pb2.HealthCheckResponse.SERVING
        ill = health_pb2.HealthCheckResponse.NOT_SERVING
        for name in SERVICES:
            states.set(name, serving if is_healthy else ill)
        health_pb2_grpc.add_HealthServicer_to_server(states, server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        if service is not None:
            service.released.set()
        server.stop(0).wait()


@dataclass
class FakeWeb:
    """An HTTP server that answers by path; other paths are 404.

    Attributes:
        answers: Status and body of each path.
        posted: Paths that were posted to.
    """

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    posted: list[str] = field(default_factory=list)


@contextmanager
def serve_web(web: FakeWeb) -> Iterator[str]:
    """Serves it on a free port; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the parent's name
            status, text = web.answers.get(self.path, (404, "nothing here"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:  # noqa: N802 - the parent's name
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            web.posted.append(self.path)
            self.do_GET()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the parent's
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def triton_answers(digest: str = ENCODER.digest) -> dict[str, tuple[int, str]]:
    """What Triton 2.51 answers over HTTP when all is well and model control is off."""
    contract = {"twinshelf_contract": {"string_value": json.dumps({"digest": digest})}}
    config = json.dumps({"parameters": contract})
    answers = {
        "/v2/health/live": (200, ""),
        "/v2/health/ready": (200, ""),
        "/v2": (200, json.dumps({"name": "triton", "version": "2.51.0"})),
        "/v2/repository/models/twinshelf_doctor_finds_no_such_model/load": (
            503,
            '{"error":"explicit model load / unload is not allowed if polling is enabled"}',
        ),
    }
    for name in ENCODERS:
        answers[f"/v2/models/{name}/ready"] = (200, "")
        answers[f"/v2/models/{name}/config"] = (200, config)
    return answers


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test, and a certificate of 127.0.0.1 that it signed.

    Attributes:
        ca_file: The authority, PEM.
        cert: The certificate, PEM.
        key: Its private key, PEM.
    """

    ca_file: Path
    cert: bytes
    key: bytes

    @property
    def credentials(self) -> grpc.ServerCredentials:
        """What a server needs."""
        return grpc.ssl_server_credentials([(self.key, self.cert)])

    @property
    def mutual_credentials(self) -> grpc.ServerCredentials:
        """What a server needs that asks its callers for certificates of this authority."""
        return grpc.ssl_server_credentials(
            [(self.key, self.cert)], self.ca_file.read_bytes(), require_client_auth=True
        )


def make_authority(folder: Path, *, days: int = 2, host: str = "127.0.0.1") -> Authority:
    """Makes an authority and a certificate that ends in so many days."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    start = now - timedelta(days=10)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])

    def build(subject: x509.Name, public: Any, end: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )

    def sign(builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(ca_key, hashes.SHA256())

    basic = x509.BasicConstraints(ca=True, path_length=None)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    authority = sign(
        build(ca_name, ca_key.public_key(), now + timedelta(days=9))
        .add_extension(basic, critical=True)
        .add_extension(usage, critical=True)
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twinshelf")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
    certificate = sign(
        build(name, key.public_key(), now + timedelta(days=days)).add_extension(
            names, critical=False
        )
    )
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return Authority(
        ca_file=ca_file,
        cert=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
