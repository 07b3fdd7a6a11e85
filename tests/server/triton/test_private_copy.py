"""Tests of the folder that Triton serves from; no Triton is needed."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from tests.model_repository.tiny_repository import publish_tiny_version
from tests.server.identity_repository import MODEL, write_identity_repository
from twinshelf.server.triton.private_copy import (
    PrivateFolderError,
    copy_models,
    make_private_folder,
)
from twinshelf.server.triton.repository import RepositoryError


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_is_for_this_user_alone() -> None:
    folder = make_private_folder()
    try:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        folder.rmdir()


@pytest.mark.parametrize("name", ["with space", "mödel", "a;b", "$(x)"])
def test_a_temporary_folder_with_a_path_that_triton_cannot_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))

    folder = make_private_folder()

    try:
        assert not folder.is_relative_to(tmp_path)
        assert str(folder).isascii()
    finally:
        folder.rmdir()


def test_no_place_at_all_is_an_error_that_names_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "with space"))
    monkeypatch.setattr(
        "twinshelf.server.triton.private_copy._OTHER_PLACES", (str(tmp_path / "absent"),)
    )

    with pytest.raises(PrivateFolderError, match="with space.*absent.* set TMPDIR"):
        make_private_folder()


@pytest.mark.slow
def test_the_copy_holds_the_version_and_its_models_and_nothing_else(tmp_path: Path) -> None:
    repository = tmp_path / "My Projects" / "mödel"
    for version in (1, 2):
        publish_tiny_version(repository, version)
    (repository / "stranger" / "1").mkdir(parents=True)

    copy_models(repository, ("text_encoder",), 2, tmp_path / "copy")

    copied = files(tmp_path / "copy")
    assert {name.partition("/")[0] for name in copied} == {
        "text_encoder",
        "text_preprocess",
        "text_tower",
    }
    assert "text_tower/2/model.onnx" in copied
    assert "text_preprocess/configs/v2.pbtxt" in copied
    assert "text_preprocess/warmup/title" in copied
    assert not [name for name in copied if "/1/" in name or "v1" in name]
    assert (tmp_path / "copy" / "text_encoder" / "2").is_dir()


def test_links_are_copied_as_what_they_lead_to(tmp_path: Path) -> None:
    repository = write_identity_repository(tmp_path / "models")
    graph = repository / MODEL / "1" / "model.onnx"
    graph.rename(tmp_path / "elsewhere.onnx")
    graph.symlink_to(tmp_path / "elsewhere.onnx")
    (tmp_path / "link").symlink_to(repository)

    copy_models(tmp_path / "link", (MODEL,), 1, tmp_path / "copy")

    copied = tmp_path / "copy" / MODEL / "1" / "model.onnx"
    assert copied.is_file()
    assert not copied.is_symlink()


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    repository = write_identity_repository(tmp_path / "models")
    (repository / MODEL / "1" / "model.onnx").write_bytes(b"another")

    with pytest.raises(RepositoryError, match="identity/1/model.onnx of version 1 was changed"):
        copy_models(repository, (MODEL,), 1, tmp_path / "copy")


def test_models_without_a_version_are_copied_whole_and_not_checked(tmp_path: Path) -> None:
    repository = write_identity_repository(tmp_path / "models", version=3)
    (repository / MODEL / "3" / "model.onnx").write_bytes(b"made by hand")

    copy_models(repository, (MODEL,), None, tmp_path / "copy")

    assert "identity/3/model.onnx" in files(tmp_path / "copy")
    assert "identity/config.pbtxt" in files(tmp_path / "copy")


def test_a_copy_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    repository = write_identity_repository(tmp_path / "models")
    (tmp_path / "file").touch()

    with pytest.raises(PrivateFolderError, match="the models cannot be copied to"):
        copy_models(repository, (MODEL,), 1, tmp_path / "file" / "copy")
