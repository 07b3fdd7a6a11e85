"""The input of perf_analyzer holds the photos and titles of the products, byte for byte."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import pytest

from tests.benchmarks.perf_input import read_offers, write_input


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8photo")
    path = tmp_path / "queries.csv"
    path.write_text("product_id,title,images\n1,Чай,a.jpg\n2,no photo,\n3,,a.jpg\n4,tea,a.jpg\n")
    return path


def decode(tensor: dict) -> bytes:
    assert tensor["shape"] == [1]
    raw = base64.b64decode(tensor["content"]["b64"])
    (length,) = struct.unpack("<I", raw[:4])
    assert length == len(raw) - 4
    return raw[4:]


def test_only_products_with_photo_and_title_are_taken(table: Path) -> None:
    assert [offer.title for offer in read_offers(table)] == ["Чай", "tea"]
    assert len(read_offers(table, 1)) == 1


@pytest.mark.parametrize(
    ("model", "tensors"),
    [
        ("product_encoder", {"IMAGE": b"\xff\xd8photo", "TEXT": "Чай".encode()}),
        ("product_matcher", {"IMAGE": b"\xff\xd8photo", "TEXT": "Чай".encode()}),
        ("image_encoder", {"IMAGE": b"\xff\xd8photo"}),
        ("text_encoder", {"TEXT": "Чай".encode()}),
    ],
)
def test_each_model_gets_its_tensors(
    table: Path, tmp_path: Path, model: str, tensors: dict[str, bytes]
) -> None:
    path = tmp_path / "perf" / "input.json"
    write_input(path, model, read_offers(table))
    requests = json.loads(path.read_text())["data"]
    assert len(requests) == 2
    assert {name: decode(value) for name, value in requests[0].items()} == tensors


def test_a_table_without_usable_products_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queries.csv"
    path.write_text("product_id,title\n1,tea\n")
    with pytest.raises(ValueError, match="no product with a photo and a title"):
        read_offers(path)
