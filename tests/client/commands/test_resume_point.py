"""What names a run: the same files, unchanged."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from twinshelf.client.commands.resume_point import run_digest
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions


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
