"""Vendored preprocessing: training's sources, imported apart from training's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import training.preprocessing.images
from export.probes import photo_probes
from export.vendored import FOLDER, VendoredPackage, vendor_preprocessing
from tests.export.tiny_run import SETTINGS


def test_the_copy_is_imported_and_not_the_original(tmp_path: Path):
    vendor_preprocessing(tmp_path)
    images = VendoredPackage(tmp_path / FOLDER).module("images")
    assert images.__file__ == str(tmp_path / "preprocessing" / "images.py")
    assert images.PreprocessingSettings is not training.preprocessing.images.PreprocessingSettings
    photo = photo_probes()[0].data
    expected = training.preprocessing.images.decode_image(photo, SETTINGS)
    np.testing.assert_array_equal(images.decode_image(photo, SETTINGS), expected)


def test_two_versions_do_not_meet(tmp_path: Path):
    for name in "ab":
        vendor_preprocessing(tmp_path / name)
        (tmp_path / name / "preprocessing" / "images.py").write_text(f"version = {name!r}\n")
    packages = [VendoredPackage(tmp_path / name / FOLDER) for name in "ab"]
    assert [package.module("images").version for package in packages] == ["a", "b"]


def test_nothing_is_left_in_the_version_folder(tmp_path: Path):
    vendor_preprocessing(tmp_path)
    VendoredPackage(tmp_path / FOLDER).module("tokens")
    assert not list(tmp_path.rglob("__pycache__"))


def test_the_sources_import_nothing_of_ours(tmp_path: Path):
    vendor_preprocessing(tmp_path)
    for source in (tmp_path / "preprocessing").glob("*.py"):
        text = source.read_text("utf-8")
        assert "import training" not in text and "from training" not in text


def test_a_folder_without_preprocessing_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no preprocessing in"):
        VendoredPackage(tmp_path / FOLDER)
    assert not [name for name in sys.modules if name.endswith(str(tmp_path))]
