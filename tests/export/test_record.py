"""Records: an unchanged version is recognised, a damaged one is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.export.tiny_run import make_run
from tests.training.catalogues.photos import write_photo
from twinshelf.export.encoder_models import record_path
from twinshelf.export.precision import Precision
from twinshelf.export.record import (
    CATEGORIES,
    PublicationRecord,
    RunError,
    find_unchanged,
    read_record,
    source_digest,
)
from twinshelf.export.repository import COMMITTED
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.categories.category_config import CategoryOptions
from twinshelf.training.categories.category_results import RESULTS

pytestmark = pytest.mark.slow


def test_a_record_is_read_as_it_was_written(published: Path) -> None:
    record = read_record(published, 1)
    assert record is not None
    assert PublicationRecord.from_json(record.to_json()) == record
    assert record.metrics["recall@1 both"][0] == record.metrics["recall@1 both"][1]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"digest": 1}'])
def test_what_is_no_record_is_none(repository: Path, text: str) -> None:
    record_path(repository, 1).write_text(text)
    assert read_record(repository, 1) is None


def test_the_same_run_is_found_under_any_number(run: Path, published: Path) -> None:
    source = source_digest(run, published, COMMITTED)
    for version in (None, 1):
        found = find_unchanged(published, version, source)
        assert found is not None
        assert found[0] == 1
    assert find_unchanged(published, 2, source) is None
    assert find_unchanged(published, None, "0" * 64) is None


@pytest.mark.parametrize(
    "name",
    [
        "text_tower/1/model.onnx",
        "text_preprocess/1/model.py",
        "image_encoder/configs/v1.pbtxt",
        "image_preprocess/1/preprocessing/images.py",
    ],
)
def test_a_damaged_version_is_not_taken_for_unchanged(
    run: Path, repository: Path, name: str
) -> None:
    source = source_digest(run, repository, COMMITTED)
    with (repository / name).open("ab") as file:
        file.write(b" ")
    assert find_unchanged(repository, 1, source) is None
    (repository / name).unlink()
    assert find_unchanged(repository, 1, source) is None


def test_bytecode_that_triton_leaves_is_no_damage(run: Path, repository: Path) -> None:
    cache = repository / "image_preprocess" / "1" / "__pycache__"
    cache.mkdir()
    (cache / "model.cpython-311.pyc").touch()
    assert find_unchanged(repository, 1, source_digest(run, repository, COMMITTED)) is not None


CALIBRATED = ["calibration.json", CATEGORIES]


def test_the_votes_that_are_published_are_those_of_the_runs_categories() -> None:
    options = CategoryOptions(run=Path("run"))
    assert Path("run") / CATEGORIES == options.results_folder / RESULTS


@pytest.mark.parametrize("name", ["weights.safetensors", *CALIBRATED, "tokenizer.json"])
def test_the_source_changes_with_the_run(
    run: Path, published: Path, tmp_path: Path, name: str
) -> None:
    other = shutil.copytree(run, tmp_path / "run")
    same = source_digest(run, published, COMMITTED)
    assert source_digest(other, published, COMMITTED) == same
    (other / name).parent.mkdir(parents=True, exist_ok=True)
    with (other / name).open("ab") as file:
        file.write(b" ")
    assert source_digest(other, published, COMMITTED) != same


def test_the_source_of_int8_changes_with_the_photos_that_it_is_measured_on(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    photo, table = write_photo(tmp_path / "a.jpg", seed=1), tmp_path / "data" / "train.parquet"
    write_table(table, [Product(product_id="a", images=(photo,))])
    precisions: tuple[Precision, ...] = ("fp32", "int8", "int8-vnni")

    def sources() -> list[str]:
        return [source_digest(run, COMMITTED, COMMITTED, precision) for precision in precisions]

    before = sources()
    write_photo(photo, seed=2)
    replaced = sources()
    table.unlink()
    for ours, theirs in ((before, replaced), (replaced, sources())):
        assert [one == other for one, other in zip(ours, theirs, strict=True)] == [
            True, False, False
        ]  # fmt: skip


def test_the_source_changes_with_the_repositorys_own_configuration(
    run: Path, repository: Path
) -> None:
    before = source_digest(run, repository, COMMITTED)
    with (repository / "image_tower" / "config.pbtxt").open("a") as file:
        file.write("# tuned\n")
    assert source_digest(run, repository, COMMITTED) != before


def test_a_run_that_is_not_there_or_not_finished_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no run .*nowhere; train one with"):
        source_digest(tmp_path / "nowhere", tmp_path, COMMITTED)
    other = shutil.copytree(run, tmp_path / "run")
    (other / "weights.safetensors").unlink()
    with pytest.raises(RunError, match="has no weights.safetensors: has its training finished"):
        source_digest(other, tmp_path, COMMITTED)
