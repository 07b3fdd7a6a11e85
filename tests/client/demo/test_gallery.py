"""The catalogue comes to hold the gallery, and what is there already is not sent again."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

from tests.client.fake_service import REFUSED, FakeService
from twinshelf.client.demo.gallery import store_gallery
from twinshelf.client.demo.held_out import DemoError
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client


@pytest.fixture(autouse=True)
def _nothing_is_stale(service: FakeService) -> None:
    service.stale_product_count = 0


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    columns = {
        "product_id": ["p1", "p2"],
        "title": ["tea", "mug"],
        "images": ["a.jpg", ""],
        "price": [1.5, None],
        "group": ["tea", "mug"],
    }
    path = tmp_path / "gallery.parquet"
    pandas.DataFrame(columns).to_parquet(path)
    return path


def titles(client: Client) -> dict[str, str]:
    return {each.product_id: each.title for each in client.list_all()}


def test_what_is_stored_is_left_alone(client: Client, gallery: Path, service: FakeService) -> None:
    assert store_gallery(client, gallery) == "2 products stored"
    calls = service.calls["UpsertProducts"]
    assert store_gallery(client, gallery) == "unchanged"
    assert service.calls["UpsertProducts"] == calls


def test_changed_products_are_sent_and_others_removed(client: Client, gallery: Path) -> None:
    store_gallery(client, gallery)
    list(client.upsert([Product(product_id="p2", title="cup"), Product(product_id="p9")]))
    assert store_gallery(client, gallery) == "1 products stored"
    assert titles(client) == {"p1": "tea", "p2": "mug"}


def test_what_another_encoder_embedded_is_sent_again(
    client: Client, gallery: Path, service: FakeService
) -> None:
    store_gallery(client, gallery)
    service.stale_product_count = 2
    assert store_gallery(client, gallery) == "2 products stored"


def test_a_refused_product_ends_the_demonstration(
    client: Client, gallery: Path, service: FakeService
) -> None:
    service.row_failures = {"p2": [REFUSED]}
    with pytest.raises(DemoError, match="p2 was refused: the photo is not an image"):
        store_gallery(client, gallery)
