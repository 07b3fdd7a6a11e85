"""Tests of the folder that Triton serves from; no Triton is needed."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
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

MAKE_AND_WAIT = """
from twinshelf.server.triton.private_copy import make_private_folder
folder = make_private_folder()
print(folder.path, flush=True)
input()
"""


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_is_for_this_user_alone() -> None:
    folder = make_private_folder()
    try:
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    finally:
        folder.remove()
    assert not folder.path.exists()


@pytest.mark.parametrize("name", ["with space", "mödel", "a;b", "$(x)"])
def test_a_temporary_folder_with_a_path_that_triton_cannot_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))

    folder = make_private_folder()

    try:
        assert not folder.path.is_relative_to(tmp_path)
        assert str(folder.path).isascii()
    finally:
        folder.remove()


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
def test_what_a_killed_launcher_left_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    log = tmp_path / "twinshelf-triton-1.log"
    log.touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "twinshelf-triton-link").symlink_to(tmp_path / "elsewhere")
    command = (sys.executable, "-c", MAKE_AND_WAIT)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        left = Path(one.stdout.readline().strip())
        (left / "models").mkdir()
        make_private_folder().remove()
        assert (left / "models").is_dir()
        one.kill()
    folder = make_private_folder()
    assert not left.exists() and folder.path.parent == tmp_path
    assert log.exists() and (tmp_path / "elsewhere").exists()
    folder.remove()


def test_a_folder_that_another_launcher_removes_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    open_file, lock = os.open, fcntl.flock
    removed: list[Path] = []

    def remove() -> None:
        removed.extend(tmp_path.iterdir())
        removed[-1].rmdir()

    def open_late(path: str | Path, *words: int, **names: int) -> int:
        if Path(path).parent == tmp_path and not removed:
            remove()
        return open_file(path, *words, **names)

    def lock_late(descriptor: int, kind: int) -> None:
        if len(removed) == 1:
            remove()
        lock(descriptor, kind)

    monkeypatch.setattr("os.open", open_late)
    monkeypatch.setattr("fcntl.flock", lock_late)
    folder = make_private_folder()
    assert len(removed) == 2 and folder.path not in removed
    assert list(tmp_path.iterdir()) == [folder.path]
    folder.remove()


def test_where_folders_cannot_be_locked_another_place_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("unlockable", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "unlockable"))
    monkeypatch.setattr(
        "twinshelf.server.triton.private_copy._OTHER_PLACES", (str(tmp_path / "other"),)
    )
    lock = fcntl.flock

    def lock_elsewhere(descriptor: int, kind: int) -> None:
        if "unlockable" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOLCK, "no locks available")
        lock(descriptor, kind)

    monkeypatch.setattr("fcntl.flock", lock_elsewhere)
    folder = make_private_folder()
    assert folder.path.parent == tmp_path / "other"
    assert not list((tmp_path / "unlockable").iterdir())
    folder.remove()


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
