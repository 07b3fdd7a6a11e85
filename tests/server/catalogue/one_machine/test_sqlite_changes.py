"""What the SQLite catalogue forgets of its changes, and what a restored one knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.catalogue.test_catalogue_changes import write
from twinshelf.server.catalogue.one_machine.backup import back_up, restore
from twinshelf.server.catalogue.one_machine.sqlite_catalogue import DATABASE, SqliteCatalogue
from twinshelf.server.errors import ChangesForgottenError


async def test_changes_after_forgotten_deletions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinshelf.server.catalogue.rows.product_store.REMEMBERED_CHANGES", 5)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    for product_id in "abcd":
        await write(catalogue, product_id, "title")
    await catalogue.delete(["a"])  # change 5
    for _ in range(5):
        await write(catalogue, "b", "title")
    assert (await catalogue.changes_after(4, 1))[0].is_deletion
    await catalogue.delete(["c"])  # change 11: forgets up to 6
    assert [each.sequence for each in await catalogue.changes_after(6, 9)] == [10, 11]
    with pytest.raises(ChangesForgottenError, match="after 5 .* up to change 6 .*again from 0"):
        await catalogue.changes_after(5, 9)
    with pytest.raises(ChangesForgottenError, match="the last change of this catalogue is 11"):
        await catalogue.changes_after(12, 9)
    assert [each.product_id for each in await catalogue.changes_after(0, 9)] == ["d", "b", "c"]
    await catalogue.close()


async def test_a_restored_catalogue_knows_no_change_of_another_history(
    tmp_path: Path,
) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    await write(catalogue, "p", "title")
    back_up(tmp_path / DATABASE, tmp_path / "copy")
    await catalogue.delete(["p"])
    history_id = (await catalogue.stats(None)).history_id
    await catalogue.close()
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    assert (await catalogue.stats(None)).history_id == history_id
    await catalogue.close()
    restore(tmp_path / "copy", tmp_path)
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    assert (await catalogue.stats(None)).history_id not in ("", history_id)
    for known in (1, 2):
        with pytest.raises(ChangesForgottenError, match="no longer known"):
            await catalogue.changes_after(known, 9)
    (change,) = await catalogue.changes_after(0, 9)
    assert change.product_id == "p"
    await write(catalogue, "q", "title")
    (second,) = await catalogue.changes_after(change.sequence, 9)
    assert second.product_id == "q"
    await catalogue.close()


async def test_a_first_copy_of_a_restored_catalogue_goes_on_from_where_it_broke_off(
    tmp_path: Path,
) -> None:
    catalogue = SqliteCatalogue(tmp_path, reader_count=1)
    for product_id in "abcda":
        await write(catalogue, product_id, "title")
    await catalogue.close()
    lasts = [5]
    for _ in range(2):
        restore(tmp_path / DATABASE, tmp_path)
        catalogue = SqliteCatalogue(tmp_path, reader_count=1)
        with pytest.raises(ChangesForgottenError):
            await catalogue.changes_after(lasts[-1], 9)
        last, told = 0, ""
        while len(told) < 4:
            (change,) = await catalogue.changes_after(last, 1)
            last, told = change.sequence, told + change.product_id
        assert told == "bcda"
        assert last == (await catalogue.stats(None)).change_sequence
        lasts.append(last)
        await catalogue.close()
    assert lasts[2] - lasts[1] < 1e9  # by the clock, μs
