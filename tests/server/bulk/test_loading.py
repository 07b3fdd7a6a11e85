"""Embedded files brought into a catalogue, without an encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.server.bulk.bulk_files import BulkFiles, write_products
from tests.server.fake_encoder import make_contract
from twinshelf.client.commands.index_command import IndexReport
from twinshelf.server.bulk.embedded_folder import EmbeddedFolderError, read_contract, read_outputs
from twinshelf.server.bulk.loading import load_outputs
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewProduct, Stored
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.errors import CatalogueUnavailableError, EncoderMismatchError

pytestmark = pytest.mark.slow


async def load(bulk: BulkFiles, catalogue: Catalogue) -> IndexReport:
    contract = read_contract(bulk.out)
    return await load_outputs(
        read_outputs(bulk.out, contract), contract, catalogue, advance=lambda: None
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "catalogue"


async def test_products_are_stored_as_they_were_embedded(
    bulk: BulkFiles, folder: Path, encoder: LocalEncoder
) -> None:
    embedded_count = bulk.embed().stored_count
    catalogue = SqliteCatalogue(folder, reader_count=1)
    try:
        report = await load(bulk, catalogue)
        assert report.stored_count == catalogue.product_count == embedded_count
        assert catalogue.encoders.current == encoder.contract.digest
        row = bulk.table().to_pylist()[0]
        found = (await catalogue.embedded_products(["p1"], encoder.contract))["p1"]
        assert found.product.record.title == row["title"]
        assert found.product.record.price == row["price"]
        assert found.product.record.attributes == dict(row["attributes"])
        assert found.embedding is not None and found.embedding.text is not None
        np.testing.assert_array_equal(
            found.embedding.text, np.asarray(row["text_embedding"], dtype=np.float32)
        )
        assert "not embedded" in report.findings[0]
    finally:
        await catalogue.close()


async def test_a_repeat_changes_nothing_and_an_interrupted_load_goes_on(
    bulk: BulkFiles, folder: Path
) -> None:
    bulk.embed()
    catalogue = SqliteCatalogue(folder, reader_count=1)
    try:
        first = await load(bulk, catalogue)
        sequence = (await catalogue.stats(None)).change_sequence
        again = await load(bulk, catalogue)
        assert (again.stored_count, again.resumed_count) == (0, first.stored_count)
        assert (await catalogue.stats(None)).change_sequence == sequence
        await catalogue.delete(["p1", "p2"])
        assert (await load(bulk, catalogue)).stored_count == 2
    finally:
        await catalogue.close()


async def test_what_has_changed_is_written_anew(bulk: BulkFiles, folder: Path) -> None:
    bulk.embed()
    catalogue = SqliteCatalogue(folder, reader_count=1)
    try:
        await load(bulk, catalogue)
        there = await catalogue.changeable("p2")
        assert there is not None
        # A service kept a thumbnail of the photo that somebody sent; embedding makes none.
        await catalogue.upsert(
            NewProduct(
                record=there.product.record,
                vectors=tuple(there.vectors.values()),
                thumbnail=b"small",
            )
        )
        path = bulk.folder / "products.csv"
        path.write_text(path.read_text().replace("p2,blue blue 2", "p2,blue box"))
        bulk.embed()
        report = await load(bulk, catalogue)
        assert (report.stored_count, report.replaced_count) == (1, 1)
        stored = await catalogue.product("p2")
        assert stored is not None and stored.record.title == "blue box"
        assert await catalogue.thumbnail("p2") == b"small"
    finally:
        await catalogue.close()


async def test_a_load_goes_on_when_the_catalogue_was_away_for_a_moment(
    bulk: BulkFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded_count = bulk.embed().stored_count
    catalogue = SqliteCatalogue(folder, reader_count=1)
    upsert, failures = catalogue.upsert, [CatalogueUnavailableError("Milvus is away")] * 3

    async def fail_at_first(product: NewProduct) -> Stored:
        if failures:
            raise failures.pop()
        return await upsert(product)

    monkeypatch.setattr(catalogue, "upsert", fail_at_first)
    monkeypatch.setattr("twinshelf.server.bulk.loading._WAITS_S", (0.0, 0.0))
    try:
        assert (await load(bulk, catalogue)).stored_count == embedded_count
        failures += [CatalogueUnavailableError("Milvus is away")] * 3 * embedded_count
        await catalogue.delete(["p1"])
        with pytest.raises(CatalogueUnavailableError):
            await load(bulk, catalogue)
    finally:
        await catalogue.close()


async def test_products_of_another_encoder_are_refused(bulk: BulkFiles, folder: Path) -> None:
    bulk.embed(version=1)
    catalogue = SqliteCatalogue(folder, reader_count=1)
    try:
        await load(bulk, catalogue)
        bulk.embed(version=2)
        with pytest.raises(EncoderMismatchError, match="embed them by that version"):
            await load(bulk, catalogue)
    finally:
        await catalogue.close()


async def test_of_two_files_with_one_product_the_first_is_stored(
    bulk: BulkFiles, folder: Path
) -> None:
    write_products(bulk.folder / "second.csv", row_count=3)
    bulk.embed(bulk.folder / "products.csv", bulk.folder / "second.csv")
    catalogue = SqliteCatalogue(folder, reader_count=1)
    try:
        report = await load(bulk, catalogue)
        assert [failure.product_id for failure in report.failures] == ["p1", "p2", "p3"]
        assert "row 1 of products.csv-" in report.failures[0].reason
    finally:
        await catalogue.close()


def test_what_is_not_whole_or_of_another_encoder_is_not_loaded(bulk: BulkFiles) -> None:
    bulk.embed()
    with pytest.raises(EmbeddedFolderError, match="was embedded by"):
        read_outputs(bulk.out, make_contract())
    (bulk.output / "part-00001.parquet").unlink()
    with pytest.raises(EmbeddedFolderError, match="is not whole"):
        read_outputs(bulk.out, read_contract(bulk.out))
    with pytest.raises(EmbeddedFolderError, match="no folder that"):
        read_contract(bulk.folder)
