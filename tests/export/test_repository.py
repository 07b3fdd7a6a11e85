"""Moving into place: all of a version or nothing, and whatever was there stays on failure."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest

from twinshelf.export import encoder_models, pair_scorer_repository
from twinshelf.export.repository import (
    complete_committed_files,
    is_complete,
    move_into_place,
    staging,
    taken_versions,
)

Models = tuple[str, ...]


@pytest.fixture(params=[encoder_models, pair_scorer_repository], ids=["encoder", "pair_scorer"])
def models(request: pytest.FixtureRequest) -> Models:
    """What is published together, the last one completing a version."""
    return request.param.MODELS


def write_version(repository: Path, models: Models, version: int, content: str) -> None:
    for model in models:
        folder = repository / model / str(version)
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_text(content)
        (repository / model / "configs").mkdir(exist_ok=True)
        (repository / model / "configs" / f"v{version}.pbtxt").write_text(content)


def contents(repository: Path) -> dict[str, str]:
    files = (path for path in repository.rglob("*") if path.is_file())
    return {str(path.relative_to(repository)): path.read_text() for path in files}


def test_a_version_is_moved_in_beside_others(tmp_path: Path, models: Models) -> None:
    write_version(tmp_path, models, 1, "one")
    with staging(tmp_path) as staged:
        write_version(staged, models, 2, "two")
        move_into_place(staged, tmp_path, models, 2)
    assert taken_versions(tmp_path, models) == [1, 2]
    assert is_complete(tmp_path, models, 1) and is_complete(tmp_path, models, 2)
    assert (tmp_path / models[0] / "1" / "model.onnx").read_text() == "one"
    assert (tmp_path / models[0] / "2" / "model.onnx").read_text() == "two"


def test_a_version_replaces_one_of_its_number_with_all_its_files(
    tmp_path: Path, models: Models
) -> None:
    write_version(tmp_path, models, 1, "old")
    (tmp_path / models[0] / "1" / "leftover").touch()
    with staging(tmp_path) as staged:
        write_version(staged, models, 1, "new")
        move_into_place(staged, tmp_path, models, 1)
    assert set(contents(tmp_path).values()) == {"new"}
    assert not list(tmp_path.glob(".publishing-*"))


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("failing_share", [0.0, 0.2, 0.4, 0.6, 0.8, 0.99])
def test_a_failed_move_leaves_the_repository_as_it_was(
    tmp_path: Path,
    models: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    failing_share: float,
    failure: BaseException,
) -> None:
    write_version(tmp_path, models, 1, "old")
    before = contents(tmp_path)
    # A folder and a configuration of each model, first aside and then in.
    failing_move = int(failing_share * 4 * len(models)) + 1
    moves = []

    def replace(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == failing_move:
            raise failure
        os.rename(source, target)

    with staging(tmp_path) as staged:
        write_version(staged, models, 1, "new")
        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(type(failure)):
            move_into_place(staged, tmp_path, models, 1)
    assert contents(tmp_path) == before


def test_the_configuration_of_the_last_model_comes_last_and_goes_first(
    tmp_path: Path, models: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version(tmp_path, models, 1, "old")
    moves = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        moves.append((source, target))
        real(source, target)

    with staging(tmp_path) as staged:
        write_version(staged, models, 1, "new")
        monkeypatch.setattr(os, "replace", replace)
        move_into_place(staged, tmp_path, models, 1)
    config = tmp_path / models[-1] / "configs" / "v1.pbtxt"
    assert moves[0][0] == config
    assert moves[-1][1] == config


@pytest.mark.slow
def test_publications_come_one_after_the_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".publishing-of-one-that-was-killed").mkdir()
    entered = threading.Event()

    def publish() -> None:
        with staging(tmp_path):
            entered.set()

    with staging(tmp_path) as staged:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [staged]
        other = threading.Thread(target=publish)
        other.start()
        assert not entered.wait(0.2)
    other.join(10)
    assert entered.is_set()
    assert "waiting for another publication" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("is_last_failing", [False, True])
def test_a_new_repository_outlives_a_failure_while_others_wait(
    tmp_path: Path, is_last_failing: bool
) -> None:
    repository, entered, came_to = tmp_path / "models", threading.Event(), []

    def publish(*, is_failing: bool) -> None:
        with contextlib.suppress(RuntimeError), staging(repository) as staged:
            came_to.append(staged.is_dir())
            entered.set()
            if is_failing:
                raise RuntimeError
            (repository / "published").touch()

    def fail_while_another_waits() -> threading.Thread:
        with staging(repository):
            other = threading.Thread(target=publish, kwargs={"is_failing": is_last_failing})
            other.start()
            assert not entered.wait(0.2)
        return other

    fail_while_another_waits().join(10)
    assert came_to == [True]
    assert list(tmp_path.rglob("*")) == (
        [] if is_last_failing else [repository, repository / "published"]
    )


def test_staging_leaves_nothing_behind_after_a_failure(tmp_path: Path, models: Models) -> None:
    def fail(folder: Path) -> None:
        with staging(folder) as staged:
            write_version(staged, models, 1, "half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail(tmp_path / "models")
    assert list(tmp_path.iterdir()) == []


def test_a_version_with_a_missing_part_is_incomplete_but_taken(
    tmp_path: Path, models: Models
) -> None:
    write_version(tmp_path, models, 3, "x")
    (tmp_path / models[1] / "configs" / "v3.pbtxt").unlink()
    assert not is_complete(tmp_path, models, 3)
    assert taken_versions(tmp_path, models) == [3]


def test_committed_files_are_completed_and_own_ones_kept(tmp_path: Path, models: Models) -> None:
    committed, target = tmp_path / "committed", tmp_path / "target"
    write_version(committed, models, 1, "published, not committed")
    (committed / models[0] / "config.pbtxt").write_text("theirs")
    (committed / models[1] / "warmup").mkdir()
    (committed / models[1] / "warmup" / "photo").write_text("photo")
    (target / models[0]).mkdir(parents=True)
    (target / models[0] / "config.pbtxt").write_text("tuned")
    complete_committed_files(target, committed, models)
    assert contents(target) == {
        f"{models[0]}/config.pbtxt": "tuned",
        f"{models[1]}/warmup/photo": "photo",
    }
