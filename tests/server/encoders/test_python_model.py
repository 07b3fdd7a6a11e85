"""Python models in this process: each version's own files, and nothing left behind."""

from __future__ import annotations

import importlib.util
import py_compile
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.model_repository.tiny_repository import SETTINGS, publish_tiny_version
from tests.model_repository.triton_calls import photo
from twinshelf.server.encoders.python_model import PythonModel, RefusedInputError, bytes_column
from twinshelf.server.triton.repository import RepositoryError
from twinshelf.training.preprocessing.images import decode_image

PHOTOS = [photo(40, 30, seed=1), photo(20, 90, seed=2, image_format="PNG")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish_tiny_version(tmp_path)
    return tmp_path / "image_preprocess" / "1"


def test_the_published_model_answers_as_training_does(folder: Path) -> None:
    answer = PythonModel(folder).run({"IMAGE": bytes_column(PHOTOS)})
    expected = np.stack([decode_image(each, SETTINGS) for each in PHOTOS])
    np.testing.assert_array_equal(answer["PIXELS"], expected)


def test_a_refused_request_says_why(folder: Path) -> None:
    with pytest.raises(RefusedInputError, match="row 1: image is not a JPEG, PNG or WebP file"):
        PythonModel(folder).run({"IMAGE": bytes_column([PHOTOS[0], b"GIF89a?"])})


@pytest.mark.slow
def test_two_versions_use_each_their_own_files(folder: Path, tmp_path: Path) -> None:
    publish_tiny_version(tmp_path, version=2)
    source = tmp_path / "image_preprocess" / "2" / "preprocessing" / "images.py"
    source.write_text(source.read_text().replace("Resampling.BICUBIC", "Resampling.NEAREST"))
    request = {"IMAGE": bytes_column(PHOTOS)}
    first, second = PythonModel(folder), PythonModel(folder.parent / "2")
    assert not np.array_equal(first.run(request)["PIXELS"], second.run(request)["PIXELS"])
    np.testing.assert_array_equal(
        first.run(request)["PIXELS"], PythonModel(folder).run(request)["PIXELS"]
    )


def test_nothing_is_left_behind(folder: Path) -> None:
    path = list(sys.path)
    PythonModel(folder)
    assert sys.path == path
    assert not {"preprocessing", "preprocessing.images"} & sys.modules.keys()
    assert "triton_python_backend_utils" not in sys.modules
    assert not list(folder.rglob("__pycache__"))


def test_byte_code_that_lies_beside_the_files_is_not_run(folder: Path, tmp_path: Path) -> None:
    source = folder / "preprocessing" / "images.py"
    other = tmp_path / "images.py"
    other.write_text(source.read_text().replace("Resampling.BICUBIC", "Resampling.NEAREST"))
    py_compile.compile(
        str(other),
        importlib.util.cache_from_source(str(source)),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    answer = PythonModel(folder).run({"IMAGE": bytes_column(PHOTOS)})
    expected = np.stack([decode_image(each, SETTINGS) for each in PHOTOS])
    np.testing.assert_array_equal(answer["PIXELS"], expected)


def test_a_model_that_cannot_be_loaded_is_named(folder: Path) -> None:
    (folder / "preprocessing" / "images.py").unlink()
    with pytest.raises(RepositoryError, match="image_preprocess/1/model.py cannot be loaded"):
        PythonModel(folder)
    (folder / "model.py").unlink()
    with pytest.raises(RepositoryError, match="model.py cannot be loaded"):
        PythonModel(folder)
