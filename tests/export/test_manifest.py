"""The list of a version's files: every file once, with its checksum, as the server reads it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from twinshelf.export.encoder_models import MODELS
from twinshelf.export.manifest import covered_digest, digest_files, list_files
from twinshelf.export.record import read_record
from twinshelf.server.triton.manifest import check_files, file_digest, read_manifests
from twinshelf.server.triton.repository import ENCODERS, models_with_steps

pytestmark = pytest.mark.slow


def version_digest(repository: Path, version: int) -> str:
    return covered_digest(repository, digest_files(repository, version))


def test_a_published_version_lists_every_file_but_its_record(published: Path) -> None:
    record = read_record(published, 1)
    assert record is not None
    # Beside the version there are the committed configurations and thin models of each folder.
    committed = {"config.pbtxt", "model.py"}
    found = {
        path.relative_to(published).as_posix(): file_digest(path)
        for path in published.rglob("*")
        if path.is_file()
        and path.name != "published.json"
        and not (path.parent.parent == published and path.name in committed)
    }
    assert record.files == found


def test_the_server_takes_what_was_published(published: Path) -> None:
    names = models_with_steps(published, ENCODERS, 1)
    check_files(published, 1, names, read_manifests(published, 1))


def test_the_digest_of_a_record_is_that_of_its_files(published: Path) -> None:
    record = read_record(published, 1)
    assert record is not None
    assert record.digest == version_digest(published, 1)


def test_warm_up_comes_from_the_first_repository_that_has_it(
    published: Path, tmp_path: Path
) -> None:
    own = tmp_path / "image_preprocess" / "warmup" / "photo"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"our own")
    covered = digest_files(published, 1)

    listed = list_files(published, 1, MODELS, covered, warmup_from=[tmp_path, published])

    assert listed.files["image_preprocess/warmup/photo"] == file_digest(own)
    assert listed.files["text_preprocess/warmup/title"] == file_digest(
        published / "text_preprocess" / "warmup" / "title"
    )


def test_byte_code_is_not_listed(repository: Path) -> None:
    before = list_files(repository, 1, MODELS, (), warmup_from=[repository])
    cache = repository / "text_preprocess" / "1" / "preprocessing" / "__pycache__"
    cache.mkdir()
    (cache / "texts.cpython-311.pyc").touch()
    assert list_files(repository, 1, MODELS, (), warmup_from=[repository]) == before


def test_a_digest_has_its_form_and_is_stable(published: Path) -> None:
    digest = version_digest(published, 1)
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
    assert digest == version_digest(published, 1)


@pytest.mark.parametrize(
    "name",
    [
        "image_tower/1/model.onnx",
        "text_tower/1/model.onnx",
        "image_preprocess/1/settings.json",
        "image_preprocess/1/preprocessing/images.py",
        "text_preprocess/1/settings.json",
        "text_preprocess/1/preprocessing/texts.py",
        "text_preprocess/1/tokenizer.json",
    ],
)
def test_it_changes_with_what_embeds(repository: Path, name: str) -> None:
    before = version_digest(repository, 1)
    with (repository / name).open("ab") as file:
        file.write(b"\n")
    assert version_digest(repository, 1) != before


def test_it_changes_with_a_further_source_file(repository: Path) -> None:
    before = version_digest(repository, 1)
    (repository / "image_preprocess/1/preprocessing/zoom.py").touch()
    assert version_digest(repository, 1) != before


def test_it_does_not_change_with_number_fusion_weight_or_serving(repository: Path) -> None:
    before = version_digest(repository, 1)
    for model in MODELS:
        shutil.copytree(repository / model / "1", repository / model / "2")
    (repository / "image_preprocess/2/model.py").write_text("# another way of answering\n")
    (repository / "fusion/2/model.onnx").write_bytes(b"another weight")
    (repository / "image_preprocess/2/preprocessing/__pycache__").mkdir()
    (repository / "image_tower/configs/v1.pbtxt").write_text("max_batch_size: 8\n")
    assert version_digest(repository, 2) == before


def test_a_missing_file_is_an_error(repository: Path) -> None:
    (repository / "text_tower/1/model.onnx").unlink()
    with pytest.raises(FileNotFoundError, match="text_tower"):
        version_digest(repository, 1)
