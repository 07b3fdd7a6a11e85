"""`twinshelf categorise --output` against a service on either engine: all, then what is new."""

from __future__ import annotations

import asyncio
import io
from itertools import islice
from pathlib import Path

import pandas
import pytest
from rich.console import Console

from tests.server.fake_encoder import FakeEncoder
from twinshelf.client.category_records import CategoryOptions
from twinshelf.client.commands.categorise_catalogue import CategoryReport, categorise_catalogue
from twinshelf.client.records import Product
from twinshelf.client.sync_client import Client
from twinshelf.server.config import ServerConfig
from twinshelf.server.serving import create_server

TABLE = "categories.csv"


def product(product_id: str, shown: str, category: str) -> Product:
    """Makes one whose only text is its category, which the fake encoder reads as well."""
    return Product(product_id=product_id, image=shown.encode(), category=category)


def ask(client: Client, table: Path, from_sequence: int | None) -> tuple[CategoryReport, list[str]]:
    """Returns what became of the products, and which of them there are in the table."""
    options = CategoryOptions(neighbour_count=3)
    console = Console(file=io.StringIO())
    report = categorise_catalogue(client, table, options, from_sequence, console)
    return report, sorted(pandas.read_csv(table)["product_id"])


def wait_until_told(client: Client, sequence: int, count: int) -> None:
    """Waits for changes after one: on Milvus each is told some seconds after it was made."""
    assert len(list(islice(client.watch(sequence), count))) == count


def work(address: str, table: Path) -> None:
    with Client(address, timeout_s=30) as client:
        rows = [
            product(f"{name}{n}", name, f"All/{name}" if n else "")
            for name in ("tea", "mug")
            for n in range(4)
        ]
        assert all(answer.error is None for answer in client.upsert(rows))
        wait_until_told(client, 0, len(rows))
        report, names = ask(client, table, None)
        assert names == sorted(row.product_id for row in rows)
        assert (report.predicted_count, report.differing_count, report.failed_count) == (8, 0, 0)
        found = pandas.read_csv(table, index_col="product_id")["predicted_category"]
        assert (found["tea0"], found["mug0"]) == ("All/tea", "All/mug")

        changed = product("tea1", "mug", "All/jug")
        assert all(answer.error is None for answer in client.upsert([changed]))
        client.delete(["mug3"])
        wait_until_told(client, report.change_sequence, 2)
        after, names = ask(client, table, report.change_sequence)
        assert names == ["tea1"]
        assert (after.predicted_count, after.differing_count) == (1, 1)
        assert ask(client, table, after.change_sequence)[1] == []


@pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("milvus", marks=[pytest.mark.milvus, pytest.mark.slow])]
)
async def test_the_job_asks_for_all_and_then_for_what_was_written(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = tmp_path / "catalogue"
    if engine == "milvus":
        place = Path(request.getfixturevalue("milvus_place"))
    config = ServerConfig(
        address="127.0.0.1:0",
        catalogue=place,
        metrics_address="",
        canary_interval_s=60,
        watch_interval_s=0.05,
    )
    server, port = await create_server(config, FakeEncoder())
    try:
        await asyncio.to_thread(work, f"127.0.0.1:{port}", tmp_path / TABLE)
    finally:
        await server.stop()
