"""`twinshelf categorise --output TABLE`: who is asked for, what is written, where it goes on."""

from __future__ import annotations

import io
from pathlib import Path

import pandas
import pytest
from google.rpc import code_pb2
from rich.console import Console

from tests.client.fake_service import UNAVAILABLE, FakeService, make_status
from twinshelf.client.category_records import CategoryOptions
from twinshelf.client.cli import main
from twinshelf.client.commands.categorise_catalogue import CategoryReport, categorise_catalogue
from twinshelf.client.errors import ServiceUnavailableError
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client
from twinshelf.v1 import catalog_service_pb2, product_pb2

CATEGORIES = {"beans": "Grocery/Coffee", "mug": "", "tea": "Grocery/Tea", "tin": ""}


@pytest.fixture(autouse=True)
def _stocked(client: Client) -> None:
    rows = [Product(product_id=name, title=name, category=CATEGORIES[name]) for name in CATEGORIES]
    assert all(answer.error is None for answer in client.upsert(rows))


def run(client: Client, table: Path, from_sequence: int | None = None) -> CategoryReport:
    options = CategoryOptions(min_margin=0.1)
    return categorise_catalogue(client, table, options, from_sequence, Console(file=io.StringIO()))


def test_every_product_has_a_line_by_its_stored_vector(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    service.category_failures = {
        "mug": make_status(code_pb2.DATA_LOSS, "its vector cannot be read"),
        "tin": make_status(code_pb2.NOT_FOUND, "no such product", reason="PRODUCT_NOT_FOUND"),
    }
    report = run(client, tmp_path / "c.csv")
    assert report == CategoryReport(
        predicted_count=2, differing_count=1, failed_count=1, change_sequence=7
    )
    found = pandas.read_csv(tmp_path / "c.csv", keep_default_na=False)
    assert list(found["product_id"]) == ["beans", "mug", "tea"]  # the tin is gone by now
    assert list(found["predicted_category"]) == ["Grocery/Tea", "", "Grocery/Tea"]
    assert list(found["category"]) == ["Grocery/Coffee", "", "Grocery/Tea"]
    assert list(found["share"]) == ["0.75", "", "0.75"]
    assert list(found["probability"]) == ["0.875", "", "0.875"]
    assert found["error"][1] and service.last_category is not None
    assert not service.last_category.HasField("offer")


@pytest.mark.parametrize("from_sequence", [None, 1])
def test_a_run_that_was_stopped_asks_for_the_rest_alone(
    client: Client, service: FakeService, tmp_path: Path, from_sequence: int | None
) -> None:
    service.changes = [
        catalog_service_pb2.ProductChange(
            product_id=name,
            product=product_pb2.Product(product_id=name),
            kind="CHANGE_KIND_UPSERTED",
        )
        for name in ("gone", *CATEGORIES, "later", "later")
    ]
    service.category_failures = {"tea": UNAVAILABLE}
    table = tmp_path / "c.parquet"
    with pytest.raises(ServiceUnavailableError):
        run(client, table, from_sequence)
    assert not table.exists()
    service.category_failures, service.categorised = {}, []
    run(client, table, from_sequence)
    left = ["tea", "tin", *(["later", "later"] if from_sequence else [])]
    assert sorted(service.categorised) == sorted(left)
    found = list(pandas.read_parquet(table)["product_id"])
    assert found == ["beans", "mug", *left]


def test_only_what_changed_since_is_asked_for_and_not_what_is_gone(
    client: Client, service: FakeService, tmp_path: Path
) -> None:
    kinds = {"mug": "CHANGE_KIND_UPSERTED", "old": "CHANGE_KIND_DELETED"}
    names = ["beans", "tea", "beans", "mug", "old", "mug", "old", "later"]
    service.changes = [
        catalog_service_pb2.ProductChange(
            product_id=name, kind=kinds.get(name, "CHANGE_KIND_UPSERTED")
        )
        for name in names
    ]
    # The last change is 7: what comes later is for the next run.
    report = run(client, tmp_path / "c.csv", 4)
    assert service.categorised == ["mug"]
    assert report == CategoryReport(predicted_count=1, change_sequence=7)
    assert run(client, tmp_path / "c.csv", 7) == CategoryReport(change_sequence=7)


def test_the_command_says_where_the_next_run_goes_on(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--address", address, "categorise", "--output", str(tmp_path / "c.csv")]
    assert main([*arguments, "-k", "3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "4 products with an answer, 1 of them with another category than their own; 0 without; "
        "0 failed",
        "what changes from now on: --from 7",
    ]
    for wrong in (["--title", "tea"], ["--from", "x"]):
        assert main([*arguments, *wrong]) == 2
