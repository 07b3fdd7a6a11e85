"""`twinshelf load --import-folder` against a real Milvus: it answers as after a load by writes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.conftest import MILVUS
from tests.server.catalogue.products import (
    CONTRACT,
    SETTLED_S,
    last_change,
    new_product,
    query_of,
    random_embedding,
)
from tests.server.catalogue.random_facets import random_filter, random_record
from tests.server.fake_encoder import contract_json
from twinshelf.client.cli import main
from twinshelf.client.commands.options import FAILED
from twinshelf.server.bulk import import_folder
from twinshelf.server.bulk.embedded_folder import EmbeddedOutput, write_contract
from twinshelf.server.bulk.embedded_table import EmbeddedRow, make_table
from twinshelf.server.catalogue.milvus.address import MilvusAddress
from twinshelf.server.catalogue.milvus.connection import MilvusConnection
from twinshelf.server.catalogue.milvus.milvus_catalogue import MilvusCatalogue
from twinshelf.server.catalogue.product_record import ProductRecord
from twinshelf.server.catalogue.ranking import HitPage
from twinshelf.server.encoders.modalities import Pattern

pytestmark = [pytest.mark.milvus, pytest.mark.slow]
COUNT = 400
PATTERNS = (Pattern.BOTH, Pattern.TEXT, Pattern.IMAGE)
# More than a piece of a body holds, in characters of several bytes.
LONG_TEXT = "Kräuter – 茶 " * 9000


def make_row(number: int) -> EmbeddedRow:
    """Makes an embedded product, some with further photos, thumbnails, or no facets at all."""
    rng = np.random.default_rng(number)
    pattern = PATTERNS[number % 3]
    record = random_record(rng, f"p{number}")
    if number == 7:
        record = replace(record, description=LONG_TEXT, price=-0.0)
    if number == 8:
        record = ProductRecord(product_id="p8", title="no facets")
    further = [random_embedding(rng).image for _ in range(number % 4 if pattern.has_image else 0)]
    return EmbeddedRow(
        row_number=number + 1,
        record=record,
        embedding=random_embedding(rng, pattern),
        further_images=np.array(further, np.float16).reshape(-1, CONTRACT.image_dimension),
        thumbnail=(None, b"", b"jpeg \xff of " + str(number).encode() * 20)[number % 3],
    )


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """What `twinshelf embed` might have written, one identifier of it twice."""
    folder = tmp_path / "embedded"
    output = EmbeddedOutput(folder=folder / "all", run="run")
    rows = [make_row(number) for number in range(COUNT)]
    rows.append(replace(make_row(3), row_number=COUNT + 1))
    for part, start in enumerate(range(0, len(rows), 150)):
        output.write_part(part, [make_table(rows[start : start + 150], CONTRACT)])
    output.finish(part + 1, CONTRACT)
    write_contract(folder, contract_json())
    return folder


def load(folder: Path, place: str, *options: str) -> int:
    return main(["load", str(folder), "--catalogue", place, *options])


def opened(place: str) -> MilvusCatalogue:
    address = MilvusAddress.parse(place)
    assert address is not None
    return MilvusCatalogue(address, reader_count=2, config=MILVUS)


def shown(page: HitPage) -> list[tuple[object, float]]:
    return [(hit.product.record, hit.ranked.score) for hit in page.hits]


async def answers(catalogue: MilvusCatalogue) -> dict[str, object]:
    """Returns what a catalogue says of everything, but for its times."""
    await catalogue.use_encoder(CONTRACT)
    told: dict[str, object] = {}
    for number in range(COUNT):
        product_id = f"p{number}"
        found = await catalogue.changeable(product_id)
        assert found is not None
        (made,) = found.vectors.values()
        told[product_id] = (
            *(found.product.record, found.product.pattern, found.product.digest),
            *(made.vector.tobytes(), made.further_images.tobytes()),
            await catalogue.thumbnail(product_id),
        )
    rng = np.random.default_rng(0)
    for turn in range(60):
        condition = random_filter(rng) if turn % 2 else None
        query = query_of(random_embedding(rng, PATTERNS[turn % 3]), condition=condition)
        told[f"search {turn}"] = shown(await catalogue.search(query))
    sequence = await last_change(catalogue)
    changes = await catalogue.changes_after(0, 2 * COUNT)
    assert [each.sequence for each in changes] == sorted({each.sequence for each in changes})
    assert changes[-1].sequence == sequence
    told["changes"] = sorted(each.product_id for each in changes)
    told["stats"] = replace(await catalogue.stats(CONTRACT.digest), change_sequence=0)
    told["listed"] = [each.record for each in await catalogue.products_after("", 2 * COUNT)]
    return told


async def change_some(catalogue: MilvusCatalogue) -> dict[str, object]:
    """Writes and removes products that are there; returns what is told of them."""
    embedding = random_embedding(np.random.default_rng(1))
    sequence = await last_change(catalogue)
    written = await catalogue.upsert(new_product("p5", embedding))
    removed = await catalogue.delete(["p2", "p6", "nobody"])
    (best, *_) = shown(await catalogue.search(query_of(embedding)))
    await asyncio.sleep(SETTLED_S)
    changes = await catalogue.changes_after(sequence, COUNT)
    return {
        "replaced": written.replaced,
        "removed": (len(removed.removed), removed.missing),
        "best": best,
        "changes": [(each.product_id, each.is_deletion) for each in changes],
        "left": [await catalogue.product("p2"), await catalogue.thumbnail("p5")],
        "thumbnail": await catalogue.thumbnail("p2"),
        "stats": replace(await catalogue.stats(CONTRACT.digest), change_sequence=0),
    }


async def compare(place: str, other: str) -> None:
    catalogue, expected = opened(place), opened(other)
    try:
        assert await answers(catalogue) == await answers(expected)
        assert await change_some(catalogue) == await change_some(expected)
    finally:
        await catalogue.close()
        await expected.close()


def test_a_catalogue_answers_as_one_that_was_loaded_by_writes(
    embedded: Path,
    milvus_place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(import_folder, "_MOST_ROWS", 150)
    imports = tmp_path / "imports"
    written = f"{milvus_place}_written"
    assert load(embedded, written) == FAILED  # one identifier stands there twice
    told = capsys.readouterr()
    assert load(embedded, milvus_place, "--import-folder", str(imports)) == FAILED
    by_import = capsys.readouterr()
    assert by_import.out.splitlines()[0] == told.out.splitlines()[0]
    assert f"{COUNT} products stored" in by_import.out
    assert "stands in row 4 of all too" in by_import.out + by_import.err
    assert not list(imports.iterdir())
    # All is there just so, which of further photos is never said: those are written anew.
    for place in (milvus_place, written):
        assert load(embedded, place, "--json") == FAILED
        *_, totals = capsys.readouterr().out.splitlines()
        anew_count = sum(len(make_row(number).further_images) > 0 for number in range(COUNT))
        assert json.loads(totals)["stored_count"] == anew_count
        assert json.loads(totals)["resumed_count"] == COUNT - anew_count
    asyncio.run(compare(milvus_place, written))
    assert load(embedded, milvus_place, "--import-folder", str(imports)) == FAILED
    assert "never held a product" in capsys.readouterr().err
    assert not list(imports.iterdir())


def test_a_load_that_was_cut_off_is_made_again_and_the_reason_is_told(
    embedded: Path,
    milvus_place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    imports = tmp_path / "imports"
    begin = MilvusConnection.begin_import

    def break_products(connection: MilvusConnection, collection: str, path: str) -> int:
        if collection.endswith("_products"):
            Path(path).write_bytes(b"no Parquet")
        return begin(connection, collection, path)

    with monkeypatch.context() as patch:
        patch.setattr(MilvusConnection, "begin_import", break_products)
        assert load(embedded, milvus_place, "--import-folder", str(imports)) == FAILED
    told = capsys.readouterr().err
    assert "Milvus failed to import into" in told and "_products: " in told
    assert not list(imports.iterdir())
    # Vectors and thumbnails are there, and no product names them.
    assert load(embedded, milvus_place, "--import-folder", str(imports)) == FAILED
    assert f"{COUNT} products stored" in capsys.readouterr().out

    async def check() -> None:
        catalogue = opened(milvus_place)
        await catalogue.use_encoder(CONTRACT)
        row = make_row(9)
        assert row.embedding is not None
        page = await catalogue.search(query_of(row.embedding))
        names = [hit.product.record.product_id for hit in page.hits]
        assert names[0] == "p9" and len(set(names)) == len(names)
        assert await catalogue.thumbnail("p2") == make_row(2).thumbnail
        collection = catalogue._collections.thumbnails
        keys = catalogue._connection.query(collection, 'key > ""', ["key"], level="Strong")
        assert len(keys) == sum(bool(make_row(number).thumbnail) for number in range(COUNT))
        tasks = catalogue._connection.import_tasks(catalogue._collections.products)
        assert sorted(each.is_completed for each in tasks) == [False, True]
        assert sorted(each.is_failed for each in tasks) == [False, True]
        await catalogue.close()

    asyncio.run(check())
