"""How a Milvus is reached that asks who comes, and when what was removed is gone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.server.access.certificates import make_authority, make_certificate
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.collections import ANCHOR, NO_ANCHOR, Collections
from twinshelf.server.catalogue.milvus.connection import MilvusConnection
from twinshelf.server.catalogue.rows.schema import CatalogueFileError

pytestmark = pytest.mark.milvus


@contextmanager
def guarded(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Starts what looks like a Milvus with TLS; yields its host:port and what callers told it."""
    from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc

    told: list[str] = []

    class Milvus(milvus_pb2_grpc.MilvusServiceServicer):
        def Connect(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
            del request
            told.append(str(dict(context.invocation_metadata()).get("authorization")))
            return milvus_pb2.ConnectResponse(identifier=1)

        def GetVersion(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
            del request, context
            return milvus_pb2.GetVersionResponse(version="v2.6.10")

    certified = make_certificate(folder, "milvus", make_authority(folder, "authority"))
    pairs = [(certified.key_file.read_bytes(), certified.cert_file.read_bytes())]
    server = grpc.server(ThreadPoolExecutor(2))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Milvus(), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pairs))
    server.start()
    yield f"127.0.0.1:{port}", told
    server.stop(None).wait()


def connect(text: str) -> MilvusConnection:
    address = MilvusAddress.parse(text)
    assert address is not None
    return MilvusConnection(address)


def test_a_milvus_is_reached_by_tls_and_told_the_token_of_the_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("root:Milvus\n")
    with guarded(tmp_path) as (host, told):
        options = f"ca_file={tmp_path / 'authority.pem'}&token_file={token}"
        connection = connect(f"milvus://{host}/shop?{options}")
        assert connection.version == (2, 6, 10)
        connection.close()
    assert set(told) == {"cm9vdDpNaWx2dXM="}  # in base64


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with guarded(tmp_path) as (host, told):
        with pytest.raises(CatalogueFileError, match="no-token"):
            connect(f"milvus://{host}/shop?tls=1&token_file={tmp_path / 'no-token'}")
        assert not told


def test_what_was_removed_is_not_found_by_whoever_asks_next(milvus_place: str) -> None:
    connection = connect(milvus_place)
    collections = Collections(connection)
    collections.make_thumbnails()
    for turn in range(100):
        row = {"key": "p", "jpeg": [str(turn)], ANCHOR: NO_ANCHOR}
        connection.upsert(collections.thumbnails, [row])
        connection.delete(collections.thumbnails, ["p"])
        assert not connection.query(collections.thumbnails, 'key == "p"', ["jpeg"])
    connection.close()
