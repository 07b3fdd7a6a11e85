"""The digest changes with what changes embeddings, and with nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from export.digest import version_digest
from export.encoder_models import MODELS


def test_a_digest_has_its_form_and_is_stable(published: Path):
    digest = version_digest(published, 1)
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
    assert digest == version_digest(published, 1)


@pytest.mark.parametrize(
    "name",
    [
        "image_tower/1/model.onnx",
        "text_tower/1/model.onnx",
        "fusion/1/model.onnx",
        "image_preprocess/1/settings.json",
        "image_preprocess/1/preprocessing/images.py",
        "text_preprocess/1/settings.json",
        "text_preprocess/1/preprocessing/texts.py",
        "text_preprocess/1/tokenizer.json",
    ],
)
def test_it_changes_with_what_embeds(repository: Path, name):
    before = version_digest(repository, 1)
    with (repository / name).open("ab") as file:
        file.write(b"\n")
    assert version_digest(repository, 1) != before


def test_it_changes_with_a_further_source_file(repository: Path):
    before = version_digest(repository, 1)
    (repository / "image_preprocess/1/preprocessing/zoom.py").touch()
    assert version_digest(repository, 1) != before


def test_it_does_not_change_with_the_number_or_with_serving(repository: Path):
    before = version_digest(repository, 1)
    for model in MODELS:
        shutil.copytree(repository / model / "1", repository / model / "2")
    (repository / "image_preprocess/2/model.py").write_text("# another way of answering\n")
    (repository / "image_preprocess/2/preprocessing/__pycache__").mkdir()
    (repository / "image_tower/configs/v1.pbtxt").write_text("max_batch_size: 8\n")
    assert version_digest(repository, 2) == before


def test_a_missing_file_is_an_error(repository: Path):
    (repository / "fusion/1/model.onnx").unlink()
    with pytest.raises(FileNotFoundError, match="fusion"):
        version_digest(repository, 1)
