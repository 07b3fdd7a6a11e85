"""Copies of a catalogue: taken while it is served, verified, and brought back."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, new_product, query_of, random_embedding
from twinshelf.server.catalogue.__main__ import main
from twinshelf.server.catalogue.one_machine import backup
from twinshelf.server.catalogue.one_machine.backup import back_up, restore, verify
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.catalogue.rows.schema import CatalogueFileError

RNG_SEED = 5


@pytest.mark.slow
async def test_a_copy_taken_while_writing_is_whole_and_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(RNG_SEED)
    embeddings = [random_embedding(rng) for _ in range(400)]
    catalogue = SqliteCatalogue(tmp_path / "served", reader_count=2)
    await catalogue.use_encoder(CONTRACT)
    writes = [
        asyncio.ensure_future(catalogue.upsert(new_product(f"p{i}", each)))
        for i, each in enumerate(embeddings)
    ]
    await writes[0]
    copy = tmp_path / "copy.sqlite"
    await asyncio.to_thread(back_up, tmp_path / "served" / DATABASE, copy)
    await asyncio.gather(*writes)
    await catalogue.close()
    assert verify(copy).is_clean

    restore(copy, tmp_path / "served")
    catalogue = SqliteCatalogue(tmp_path / "served", reader_count=2)
    await catalogue.use_encoder(CONTRACT)
    count = catalogue.product_count
    assert 1 <= count <= 400
    hits = (await catalogue.search(query_of(embeddings[0], count=400))).hits
    assert len(hits) == catalogue.indexed_vector_count == count
    assert hits[0].product.record.product_id == "p0"
    await catalogue.close()


async def fill(folder: Path) -> None:
    catalogue = SqliteCatalogue(folder, reader_count=1)
    rng = np.random.default_rng(RNG_SEED)
    for name in ("a", "b"):
        await catalogue.upsert(new_product(name, random_embedding(rng)))
    await catalogue.close()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE products SET title = 'x' WHERE product_id = 'b'",
        "UPDATE product_vectors SET vector = zeroblob(64) WHERE product_number = 2",
    ],
)
async def test_a_damaged_copy_is_verified_by_row_and_not_restored(
    tmp_path: Path, harm: str
) -> None:
    await fill(tmp_path)
    path = tmp_path / DATABASE
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(harm)
        connection.commit()
    assert list(verify(path).damaged) == [2]
    with pytest.raises(CatalogueFileError, match="not restored: 1 damaged products"):
        restore(path, tmp_path / "other")


async def test_a_catalogue_that_is_served_is_not_overwritten(tmp_path: Path) -> None:
    await fill(tmp_path / "copied")
    catalogue = SqliteCatalogue(tmp_path / "served", reader_count=1)
    with pytest.raises(CatalogueFileError, match="served by another process"):
        restore(tmp_path / "copied" / DATABASE, tmp_path / "served")
    await catalogue.close()


@pytest.mark.parametrize("is_served", [True, False])
async def test_what_stands_in_the_log_of_a_catalogue_is_restored_from_its_file(
    tmp_path: Path, is_served: bool
) -> None:
    catalogue = SqliteCatalogue(tmp_path / "served", reader_count=1)
    await catalogue.upsert(new_product("p", random_embedding(np.random.default_rng(RNG_SEED))))
    source = tmp_path / "served"
    if not is_served:  # as a machine leaves it that lost its power
        source = shutil.copytree(source, tmp_path / "left")
    restore(source / DATABASE, tmp_path / "restored")
    await catalogue.close()
    found = verify(tmp_path / "restored" / DATABASE)
    assert (found.is_clean, found.product_count) == (True, 1)


async def test_no_copy_takes_the_place_of_a_catalogue_in_use(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path / "served", reader_count=1)
    served = tmp_path / "served" / DATABASE
    await fill(tmp_path / "other")
    other = tmp_path / "other" / DATABASE
    for path in (served, other):
        with pytest.raises(CatalogueFileError, match="is not replaced"):
            back_up(path, served)
    (tmp_path / "link").symlink_to(other)
    with pytest.raises(CatalogueFileError, match="is not replaced"):
        back_up(other, tmp_path / "link")
    await catalogue.upsert(new_product("p", random_embedding(np.random.default_rng(RNG_SEED))))
    back_up(served, other)  # this one is not
    assert verify(other).product_count == 1
    await catalogue.close()


@pytest.mark.parametrize("harm", ["copying", "renewing"])
async def test_a_copy_that_fails_leaves_nothing_on_a_disk_that_it_may_have_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    served, other = tmp_path / "served", tmp_path / "other"
    await fill(served)
    await fill(other)
    before = sorted(tmp_path.rglob("*"))
    if harm == "copying":
        monkeypatch.setattr(backup, "_move_synced", fails)
        with pytest.raises(sqlite3.OperationalError):
            back_up(served / DATABASE, tmp_path / "copy.sqlite")
    else:
        monkeypatch.setattr(backup, "renew_catalogue_id", fails)
    with pytest.raises(sqlite3.OperationalError):
        restore(served / DATABASE, other)
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.undo()
    assert verify(other / DATABASE).product_count == 2


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE products SET title = 'x' WHERE product_id = 'b'",
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'products_by_change'",
    ],
)
async def test_a_damaged_copy_takes_the_place_of_no_sound_one(tmp_path: Path, harm: str) -> None:
    served, copy = tmp_path / "served", tmp_path / "copy.sqlite"
    await fill(served)
    assert back_up(served / DATABASE, copy).is_clean
    with closing(sqlite3.connect(served / DATABASE)) as connection:
        connection.executescript(harm)
    with pytest.raises(CatalogueFileError, match="is not replaced by a damaged one"):
        back_up(served / DATABASE, copy)
    assert verify(copy).is_clean
    assert sorted(tmp_path.iterdir()) == [copy, served]
    # Where none stands, a damaged one is better than none.
    assert not back_up(served / DATABASE, tmp_path / "other.sqlite").is_clean


def test_a_file_with_nothing_in_it_is_not_called_sound(tmp_path: Path) -> None:
    (tmp_path / DATABASE).touch()
    found = verify(tmp_path / DATABASE)
    assert not found.is_clean and "no catalogue was made yet" in found.details


def test_what_is_not_there_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(CatalogueFileError, match="there is no catalogue"):
        verify(tmp_path / "absent")


async def test_the_command_verifies_copies_and_restores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(tmp_path / "served")
    copy, other = tmp_path / "copy.sqlite", tmp_path / "other"
    served = ["--catalogue", str(tmp_path / "served")]
    assert main(served) == main([*served, "--back-up", str(copy)]) == 0
    assert capsys.readouterr().out.endswith(f"{copy} is sound, 2 products\n")
    assert main(["--catalogue", str(other), "--restore", str(copy)]) == 0
    assert verify(other / DATABASE).product_count == 2

    content = bytearray(copy.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    copy.write_bytes(content)
    assert main(["--catalogue", str(other), "--restore", str(copy)]) == 1
    assert "is not restored" in capsys.readouterr().err
    assert verify(other / DATABASE).is_clean
    assert main(["--catalogue", str(tmp_path / "absent")]) == 1
    assert "there is no catalogue" in capsys.readouterr().err
