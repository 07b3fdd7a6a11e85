"""Where a catalogue on Milvus lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.rows.schema import CatalogueFileError


def test_a_server_and_a_file_are_read_also_from_a_path() -> None:
    for text in ("milvus://db.example:19530/shop", str(Path("milvus://db.example:19530/shop"))):
        assert MilvusAddress.parse(text) == MilvusAddress(
            uri="http://db.example:19530", name="shop", is_lite=False
        )
    for text in ("milvus-lite:///data/shop.db", str(Path("milvus-lite:///data/shop.db"))):
        assert MilvusAddress.parse(text) == MilvusAddress(
            uri="/data/shop.db", name="catalogue", is_lite=True
        )


def test_replicas_are_read_and_one_is_the_default() -> None:
    for text, count in (("", 1), ("?replicas=1", 1), ("?replicas=12", 12)):
        address = MilvusAddress.parse(f"milvus://db:19530/shop{text}")
        assert address == MilvusAddress(
            uri="http://db:19530", name="shop", is_lite=False, replica_count=count
        )


def test_tls_and_the_file_of_the_token_are_read() -> None:
    def read(options: str) -> MilvusAddress | None:
        return MilvusAddress.parse(str(Path(f"milvus://db:19530/shop?{options}")))

    plain = MilvusAddress(uri="http://db:19530", name="shop", is_lite=False)
    sure = replace(plain, uri="https://db:19530")
    token, ca = Path("/run/a key"), Path("/etc/ca.pem")
    assert read("token_file=/run/a%20key") == replace(plain, token_file=token)
    assert read("tls=1&replicas=2") == replace(sure, replica_count=2)
    assert read("ca_file=/etc/ca.pem") == replace(sure, ca_file=ca)
    assert read("tls=1&token_file=/run/a%20key&ca_file=/etc/ca.pem") == replace(
        sure, ca_file=ca, token_file=token
    )


def test_a_folder_is_no_address() -> None:
    assert MilvusAddress.parse(".cache/catalogue") is None
    assert MilvusAddress.parse("/data/milvus") is None


@pytest.mark.parametrize(
    "text",
    [
        "milvus://db/shop",
        "milvus://db:1/",
        "milvus://db:1/9-lives",
        "milvus://db:1/shop?replicas=0",
        "milvus://db:1/shop?shards=2",
        "milvus://db:1/shop?",
        "milvus://db:1/shop?tls=0",
        "milvus://db:1/shop?tls",
        "milvus://db:1/shop?replicas=2&token_file=",
        "milvus://user:secret@db:1/shop",
    ],
)
def test_half_an_address_is_refused(text: str) -> None:
    with pytest.raises(CatalogueFileError, match="milvus://host:port/name"):
        MilvusAddress.parse(text)
