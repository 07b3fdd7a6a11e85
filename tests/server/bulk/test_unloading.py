"""The products of a catalogue, written into files and loaded into another one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.server.bulk.bulk_files import BulkFiles
from twinshelf.client.cli import main
from twinshelf.client.commands.options import FAILED, UNUSABLE_INPUT
from twinshelf.server.bulk import unloading
from twinshelf.server.bulk.embedded_folder import read_outputs
from twinshelf.server.bulk.loading import load_outputs
from twinshelf.server.bulk.unloading import find_document, unload_products
from twinshelf.server.catalogue.catalogue import Catalogue
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.catalogue.product_record import (
    ChangeableProduct,
    NewProduct,
    ProductRecord,
    ProductVector,
)
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.local_encoder import LocalEncoder
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import CatalogueDamagedError

COUNT = 25


def make_product(number: int, contract: EncoderContract) -> NewProduct:
    generator = np.random.default_rng(number)
    vector = np.zeros(contract.dimension)
    image = generator.normal(size=contract.image_dimension)
    vector[: len(image)] = image / np.linalg.norm(image)
    further = generator.normal(size=(number % 3, contract.image_dimension))
    further /= np.linalg.norm(further, axis=1, keepdims=True)
    return NewProduct(
        record=ProductRecord(
            product_id=f"p{number}",
            title=f"title {number}",
            price=None if number % 2 else number / 2,
            attributes={"size": str(number)},
        ),
        vectors=(
            ProductVector(
                digest=contract.digest,
                pattern=Pattern.IMAGE,
                vector=vector.astype(np.float16),
                further_images=further.astype(np.float16),
            ),
        ),
        thumbnail=b"" if number % 5 else b"a small photo",
    )


async def fill(folder: Path, contract: EncoderContract) -> None:
    catalogue = SqliteCatalogue(folder, reader_count=1)
    await catalogue.use_encoder(contract)
    for number in range(COUNT):
        await catalogue.upsert(make_product(number, contract))
    await catalogue.close()


@pytest.mark.slow
async def test_damaged_products_are_not_left_out_in_silence(
    tmp_path: Path, encoder: LocalEncoder, repository: Path
) -> None:
    await fill(tmp_path / "from", encoder.contract)
    with closing(sqlite3.connect(tmp_path / "from" / DATABASE)) as file, file:
        file.execute("UPDATE products SET title = 'no' WHERE product_id = 'p7'")
    catalogue = SqliteCatalogue(tmp_path / "from", reader_count=1)
    document = find_document(catalogue, repository)
    with pytest.raises(CatalogueDamagedError, match="1 products are damaged"):
        await unload_products(catalogue, document, tmp_path / "out", lambda: None)
    await catalogue.close()


async def stored(catalogue: Catalogue, number: int) -> tuple[object, ...]:
    found = await catalogue.changeable(f"p{number}")
    assert found is not None
    made = found.shown
    return (
        *(found.product.record, made.digest, made.pattern),
        *(made.vector.tolist(), made.further_images.tolist()),
        await catalogue.thumbnail(f"p{number}"),
    )


@pytest.mark.slow
async def test_another_catalogue_holds_the_same_after_unload_and_load(
    tmp_path: Path, encoder: LocalEncoder, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unloading, "_AT_ONCE", 7)
    monkeypatch.setattr(unloading, "PART_ROWS", 14)
    contract = encoder.contract
    await fill(tmp_path / "from", contract)
    before = SqliteCatalogue(tmp_path / "from", reader_count=1)
    after = SqliteCatalogue(tmp_path / "to", reader_count=1)
    try:
        document = find_document(before, repository)
        advanced: list[None] = []
        changeable, alone = before.changeable, []

        async def read_alone(product_id: str) -> ChangeableProduct | None:
            alone.append(product_id)
            return await changeable(product_id)

        monkeypatch.setattr(before, "changeable", read_alone)
        whole = await unload_products(
            before, document, tmp_path / "out", lambda: advanced.append(None)
        )
        assert (whole.row_count, whole.embedded_count, len(advanced)) == (COUNT, COUNT, COUNT)
        assert whole.part_count == 2
        # A call for each product of a large catalogue would take days.
        assert sorted(alone) == sorted(f"p{number}" for number in range(COUNT) if number % 3)
        outputs = read_outputs(tmp_path / "out", contract)
        report = await load_outputs(outputs, contract, after, advance=lambda: None)
        assert report.stored_count == COUNT
        # One more photo of the first, and no thumbnail of the second: both are brought back.
        (further,) = make_product(1, contract).vectors
        (bare,) = make_product(3, contract).vectors
        more = replace(bare, further_images=further.further_images)
        await after.upsert(replace(make_product(3, contract), vectors=(more,)))
        await after.upsert(replace(make_product(15, contract), thumbnail=b""))
        await load_outputs(outputs, contract, after, advance=lambda: None)
        for number in range(COUNT):
            assert await stored(before, number) == await stored(after, number)
    finally:
        await before.close()
        await after.close()


async def test_what_the_encoder_has_not_embedded_is_a_row_with_its_error(
    tmp_path: Path, encoder: LocalEncoder, repository: Path
) -> None:
    old = replace(encoder.contract, digest="sha256:" + 64 * "0")
    catalogue = SqliteCatalogue(tmp_path / "from", reader_count=1)
    try:
        await catalogue.use_encoder(old)
        await catalogue.upsert(make_product(1, old))
        await catalogue.use_encoder(encoder.contract)
        await catalogue.upsert(make_product(2, encoder.contract))
        document = find_document(catalogue, repository)
        whole = await unload_products(catalogue, document, tmp_path / "out", lambda: None)
        assert (whole.row_count, whole.embedded_count) == (2, 1)
    finally:
        await catalogue.close()


@pytest.mark.slow
def test_the_command_says_how_many_were_written(
    bulk: BulkFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    bulk.embed()
    catalogue, out = bulk.folder / "catalogue", bulk.folder / "unloaded"
    assert main(["load", str(bulk.out), "--catalogue", str(catalogue)]) == 0
    unload = ["unload", str(out), "--model-repository", str(bulk.repository), "--catalogue"]
    capsys.readouterr()
    assert main([*unload, str(catalogue)]) == 0
    assert "97 products written to" in capsys.readouterr().out
    assert main(["load", str(out), "--catalogue", str(bulk.folder / "second")]) == 0
    assert main([*unload, str(bulk.folder / "absent")]) == UNUSABLE_INPUT
    (bulk.folder / "empty").mkdir()
    assert main([*unload, str(bulk.folder / "empty")]) == FAILED
    said = capsys.readouterr().err
    assert "is no folder" in said and "the catalogue is empty" in said
