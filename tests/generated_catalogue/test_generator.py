"""The generated catalogue: real pictures, groups of offers, byte-for-byte repeatable."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.generated_catalogue.__main__ import TABLE, main
from tests.generated_catalogue.generator import generate_catalogue
from twinshelf.client.files.product_row import ProductRow
from twinshelf.client.files.product_rows import ProductFiles, ReadOptions
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import make_product

PRODUCT_COUNT = 12
OFFERS = 4
ROOT = Path(__file__).parents[2]


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "images").iterdir())
    }


def _generate(folder: Path, seed: int = 3) -> list[Product]:
    return list(
        generate_catalogue(
            folder, product_count=PRODUCT_COUNT, offers_per_product=OFFERS, seed=seed
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generated")


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[Product]:
    return _generate(folder)


@pytest.mark.slow
def test_every_group_has_its_offers_and_ids_are_unique(rows: list[Product]) -> None:
    assert set(Counter(row.group for row in rows).values()) == {OFFERS}
    assert len({row.product_id for row in rows}) == PRODUCT_COUNT * OFFERS


def test_the_makers_row_comes_first_and_is_complete(rows: list[Product]) -> None:
    for first in rows[::OFFERS]:
        assert first.seller == first.brand
        assert first.title.startswith(first.brand)
        assert first.category and first.description and len(first.attributes) == 2


def test_sellers_of_one_product_differ(rows: list[Product]) -> None:
    for start in range(0, len(rows), OFFERS):
        assert len({row.seller for row in rows[start : start + OFFERS]}) == OFFERS


def test_titles_come_in_both_languages(rows: list[Product]) -> None:
    russian = [row for row in rows if any("а" <= letter <= "я" for letter in row.title.lower())]
    assert 0 < len(russian) < len(rows)


def test_pictures_are_jpeg_files_of_varied_shapes(rows: list[Product]) -> None:
    sizes = set()
    for row in rows:
        with Image.open(row.images[0]) as photo:
            photo.load()
            assert photo.format == "JPEG" and photo.mode == "RGB"
            sizes.add(photo.size)
    ratios = {round(width / height, 2) for width, height in sizes}
    assert min(ratios) < 0.8 and max(ratios) > 1.2 and len(ratios) >= 4


@pytest.mark.slow
def test_another_process_with_another_hash_seed_makes_equal_bytes(
    folder: Path, rows: list[Product], tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path;"
        "from tests.generated_catalogue.generator import generate_catalogue;"
        f"rows = list(generate_catalogue(Path(sys.argv[1]), product_count={PRODUCT_COUNT},"
        f" offers_per_product={OFFERS}, seed=3));"
        "sys.stdout.buffer.write('\\n'.join(row.title for row in rows).encode())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT, env=environment, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.decode().split("\n") == [row.title for row in rows]
    assert _digests(tmp_path) == _digests(folder)


@pytest.mark.slow
def test_another_seed_makes_another_catalogue(rows: list[Product], tmp_path: Path) -> None:
    others = _generate(tmp_path, seed=4)
    assert {row.title for row in rows}.isdisjoint({row.title for row in others[::OFFERS]})


@pytest.mark.slow
def test_a_second_run_keeps_whole_pictures_and_redraws_damaged_ones(tmp_path: Path) -> None:
    _generate(tmp_path)
    before = _digests(tmp_path)
    whole, damaged, missing = (tmp_path / "images" / name for name in sorted(before)[:3])
    os.utime(whole, (1, 1))
    damaged.write_bytes(b"not a photo")
    missing.unlink()
    _generate(tmp_path)
    assert whole.stat().st_mtime == 1
    assert _digests(tmp_path) == before


@pytest.mark.slow
def test_the_command_writes_a_table_that_is_read_as_anybodys(
    rows: list[Product], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = [f"--product-count={PRODUCT_COUNT}", f"--offers-per-product={OFFERS}", "--seed=3"]
    assert main(["--out", str(tmp_path), *counts]) == 0
    files = ProductFiles([tmp_path / TABLE], ReadOptions())
    read = [make_product(row) for row in files.rows() if isinstance(row, ProductRow)]
    named = [replace(row, images=(tmp_path / "images" / row.images[0].name,)) for row in rows]
    assert read == named and not files.findings.sentences()
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path), "--product-count=0"])
    assert "--product-count must be 1 or more, got 0" in capsys.readouterr().err


@pytest.mark.parametrize(("product_count", "offers"), [(0, 3), (3, 0), (-1, 1)])
def test_counts_below_one_are_refused_at_once(
    tmp_path: Path, product_count: int, offers: int
) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        generate_catalogue(tmp_path, product_count=product_count, offers_per_product=offers, seed=1)
