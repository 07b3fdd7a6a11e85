"""What names a run: the same files, unchanged; and how far it is, which one process writes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image

from twinshelf.client.commands.match_table import StagedTable
from twinshelf.client.commands.resume_point import ResumePoint, run_digest
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.client.files.rows import ProductFileError


def digest(path: Path) -> str:
    return run_digest("localhost:50051", ProductFiles([path], ReadOptions()), ReadOptions())


def test_new_and_replaced_photos_below_a_folder_are_another_run(tmp_path: Path) -> None:
    shoes = tmp_path / "shoes"
    shoes.mkdir()
    Image.new("RGB", (8, 8)).save(shoes / "b.png")
    (shoes / "gone.png").symlink_to("nowhere.png")
    first = digest(tmp_path)
    (tmp_path / "notes.txt").write_text("no photo")
    assert digest(tmp_path) == first
    Image.new("RGB", (30, 8)).save(shoes / "b.png")
    replaced = digest(tmp_path)
    Image.new("RGB", (8, 8)).save(shoes / "a.png")
    assert len({first, replaced, digest(tmp_path)}) == 3


def test_one_process_at_a_time_goes_on_with_a_run_or_begins_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "run"
    first = ResumePoint(path)
    first.reach(0, "note")
    for begins_anew in (False, True):
        with pytest.raises(ProductFileError, match="another run is storing these files already"):
            ResumePoint(path, begins_anew=begins_anew)
    first.close(is_finished=False)
    again = ResumePoint(path)
    assert (again.done_count, again.notes) == (1, ["note"])
    again.close(is_finished=False)
    anew = ResumePoint(path, begins_anew=True)
    assert (anew.done_count, anew.notes) == (0, [])
    anew.close(is_finished=True)
    assert not path.exists()


def test_a_disk_that_is_full_names_the_file_and_what_is_kept_there_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    point = ResumePoint(path)
    point.reach(0)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as patch, pytest.raises(OSError, match=f"on device: '{path}'"):
        patch.setattr("os.pwrite", Mock(side_effect=full))
        point.reach(1)
    point.close(is_finished=False)
    assert ResumePoint(path).done_count == 1
    staged = StagedTable(tmp_path / "m.csv", "digest")
    with pytest.raises(OSError, match=f"on device: '{staged.path}'"), staged:
        staged.add([{}])
        os.dup2(os.open("/dev/full", os.O_RDWR), staged._file.fileno())
        staged.add([{}])
