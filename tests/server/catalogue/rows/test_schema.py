"""Files of earlier schemas are migrated, with everything that they hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.server.catalogue.products import CONTRACT, made_by, new_product, random_embedding
from tests.server.fake_encoder import make_contract
from twinshelf.server.catalogue.__main__ import main
from twinshelf.server.catalogue.one_machine.backup import verify
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.catalogue.product_record import NewVector
from twinshelf.server.catalogue.rows import schema
from twinshelf.server.catalogue.rows.product_store import ProductStore
from twinshelf.server.catalogue.rows.schema import APPLICATION_ID
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import ChangesForgottenError

VECTOR = np.arange(8, dtype=np.float16)
VERSION_1 = f"""
CREATE TABLE catalogue_state (change_sequence INTEGER NOT NULL) STRICT;
INSERT INTO catalogue_state VALUES (7);
CREATE TABLE encoders (
    encoder_number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO encoders VALUES (1, 'sha256:old');
CREATE TABLE products (
    product_number INTEGER PRIMARY KEY AUTOINCREMENT, product_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL, description TEXT NOT NULL, category TEXT NOT NULL, brand TEXT NOT NULL,
    seller TEXT NOT NULL, price REAL, attributes TEXT NOT NULL, image_uri TEXT NOT NULL,
    update_time_us INTEGER NOT NULL, change_sequence INTEGER NOT NULL
) STRICT;
INSERT INTO products VALUES
    (3, 'p', 'mug', '', 'Kitchen', '', '', 9.5, '{{"colour": "blue"}}', 'mug.jpg', 12, 7);
CREATE TABLE product_vectors (
    product_number INTEGER PRIMARY KEY REFERENCES products ON DELETE CASCADE,
    encoder_number INTEGER NOT NULL REFERENCES encoders, pattern INTEGER NOT NULL,
    vector_version INTEGER NOT NULL, vector BLOB NOT NULL
) STRICT;
INSERT INTO product_vectors VALUES (3, 1, 3, 4, x'{VECTOR.tobytes().hex()}');
CREATE INDEX product_vectors_by_encoder ON product_vectors (encoder_number, pattern);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the first schema."""
    path = tmp_path / "catalogue.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    return path


def test_a_file_of_the_first_schema_keeps_its_products_and_vectors(path: Path) -> None:
    store = ProductStore(path)
    product = store.reader.product("p")
    assert product is not None
    assert (product.record.title, product.record.price) == ("mug", 9.5)
    assert product.record.attributes == {"colour": "blue"}
    table = store.reader.vectors.table(np.array([3]), "sha256:old", Pattern.BOTH, 8)
    np.testing.assert_array_equal(table.vectors, [VECTOR])
    assert table.vector_versions.tolist() == [4]
    assert store.reader.change_sequence() == 8
    assert len(store.reader.catalogue_id) == 16
    store.close()
    assert verify(path).is_clean


def test_a_copy_of_an_earlier_schema_is_verified_as_it_is_restored(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--catalogue", str(tmp_path)]) == 0
    assert "is sound, 1 products\nits rows can be checked once" in capsys.readouterr().out
    restored = ["--catalogue", str(tmp_path / "restored"), "--restore", str(path)]
    assert main(restored) == 0
    assert verify(tmp_path / "restored" / DATABASE).is_clean
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE product_vectors SET vector = x'00'")
        connection.commit()
    assert main(restored) == 1
    assert f"{path} is not restored: 1 damaged products" in capsys.readouterr().err


def write_as(path: Path, version: int) -> None:
    """Writes a file of the present schema anew as one of an earlier one, with all that it held."""
    steps = (schema._TABLES, schema._TO_VERSION_2, *schema._STEPS[1 : version - 1])
    newer = path.rename(path.with_suffix(".newer"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            f"{''.join(steps)} PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {version};"
        )
        connection.execute("ATTACH ? AS newer", (str(newer),))
        tables = connection.execute(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for (table,) in tables:
            columns = connection.execute(f"PRAGMA main.table_info({table})").fetchall()
            names = ", ".join(column[1] for column in columns)
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(
                f"INSERT OR REPLACE INTO main.{table} ({names}) SELECT {names} FROM newer.{table}"
            )


@pytest.fixture
async def written(tmp_path: Path) -> Path:
    """A file with 200 products, one of them with three photos, and a snapshot of its index."""
    rng = np.random.default_rng(6)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    for number in range(200):
        further = [random_embedding(rng) for _ in range(2 if number == 3 else 0)]
        await catalogue.upsert(new_product(f"p{number}", random_embedding(rng), further=further))
    await catalogue.close()
    return tmp_path / DATABASE


@pytest.mark.slow
async def test_a_file_of_the_second_schema_keeps_its_snapshot_and_forgets_no_more_deletions(
    written: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_as(written, 2)
    catalogue = SqliteCatalogue(written.parent, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    assert catalogue.indexed_vector_count == 200
    assert "read anew" not in caplog.text
    with pytest.raises(ChangesForgottenError):
        await catalogue.changes_after(199, 10)
    all_changes = await catalogue.changes_after(0, 500)
    assert [each.product_id for each in all_changes] == [f"p{number}" for number in range(200)]
    assert await catalogue.changes_after(all_changes[49].sequence, 500) == all_changes[50:]
    await catalogue.delete(["p7"])
    (deletion,) = await catalogue.changes_after(all_changes[-1].sequence, 10)
    assert deletion.product_id == "p7"
    await catalogue.close()
    assert verify(written).is_clean


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
async def test_a_file_of_an_earlier_schema_keeps_what_it_held_and_takes_a_second_encoder(
    written: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    write_as(written, version)
    catalogue = SqliteCatalogue(written.parent, reader_count=1)
    await catalogue.use_encoder(CONTRACT)
    photo_count = 202 if version == 3 else 200
    assert catalogue.indexed_vector_count == photo_count
    assert (await catalogue.stats(CONTRACT.digest)).photo_count == photo_count
    assert "read anew" not in caplog.text
    other = make_contract("other")
    await catalogue.encoders.keep(other.digest)
    rng = np.random.default_rng(7)
    for missing in await catalogue.encoders.unembedded_after(0, other.digest, 500):
        further = [random_embedding(rng) for _ in range(missing.further_count)]
        made = made_by(other, random_embedding(rng), further)
        await catalogue.encoders.add(
            NewVector(
                product_id=missing.product.record.product_id,
                made=made,
                expected_change=missing.change_sequence,
            )
        )
    await catalogue.encoders.switch(other)
    assert catalogue.indexed_vector_count == photo_count
    await catalogue.close()
    assert verify(written).is_clean


def test_a_migration_happens_once(path: Path) -> None:
    identities = []
    for _ in range(2):
        store = ProductStore(path)
        identities.append(store.reader.catalogue_id)
        store.close()
    assert identities[0] == identities[1]


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError

    monkeypatch.setattr("twinshelf.server.catalogue.rows.schema.vector_checksum", fail)
    with pytest.raises(sqlite3.OperationalError):
        ProductStore(path)
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    store = ProductStore(path)
    assert store.reader.product("p") is not None
    store.close()
