"""Tests of checking a version's files against what was published; no Triton is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model_repository.tiny_repository import publish_tiny_version, write_manifest
from twinshelf.server.triton.manifest import MANIFEST, check_files, read_manifests
from twinshelf.server.triton.repository import ENCODERS, RepositoryError, models_with_steps


def check(repository: Path, models: tuple[str, ...] = ENCODERS) -> None:
    names = models_with_steps(repository, models, 1)
    check_files(repository, 1, names, read_manifests(repository, 1))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_tiny_version(tmp_path)
    return tmp_path


def test_a_version_as_it_was_published_passes_byte_code_beside_it(repository: Path) -> None:
    cache = repository / "text_preprocess" / "1" / "preprocessing" / "__pycache__"
    cache.mkdir()
    (cache / "texts.cpython-311.pyc").write_bytes(b"")

    check(repository)

    (cache.parent / "texts.cpython-311.pyc").write_bytes(b"")  # where nobody's byte code belongs
    with pytest.raises(RepositoryError, match=r"texts\.cpython-311\.pyc"):
        check(repository)


@pytest.mark.parametrize(
    "name",
    [
        "image_tower/1/model.onnx",
        "image_preprocess/1/model.py",
        "text_preprocess/1/preprocessing/texts.py",
        "text_preprocess/1/tokenizer.json",
        "text_preprocess/1/settings.json",
        "text_preprocess/warmup/title",
        "product_encoder/configs/v1.pbtxt",
    ],
)
def test_a_changed_file_is_named_with_both_checksums(repository: Path, name: str) -> None:
    with (repository / name).open("ab") as file:
        file.write(b"\n")

    with pytest.raises(RepositoryError, match=rf"{name} of version 1 was changed .*expected"):
        check(repository)


def test_a_missing_file_is_named(repository: Path) -> None:
    (repository / "fusion/1/model.onnx").unlink()

    with pytest.raises(RepositoryError, match="fusion/1/model.onnx of version 1 is missing"):
        check(repository)


@pytest.mark.parametrize("name", ["preprocessing/zoom.py", "sitecustomize.py"])
def test_an_added_file_is_named(repository: Path, name: str) -> None:
    (repository / "image_preprocess" / "1" / name).touch()

    with pytest.raises(RepositoryError, match=f"image_preprocess/1/{name} was added to version 1"):
        check(repository)


def test_only_the_models_that_are_asked_for_are_checked(repository: Path) -> None:
    (repository / "image_tower/1/model.onnx").write_bytes(b"broken")

    check(repository, ("text_encoder",))
    with pytest.raises(RepositoryError, match="image_tower"):
        check(repository, ("image_encoder",))


def test_a_list_made_to_fit_changed_files_is_found_out_by_the_contract(repository: Path) -> None:
    with (repository / "image_preprocess/1/preprocessing/images.py").open("a") as file:
        file.write("# more\n")
    write_manifest(repository)

    with pytest.raises(
        RepositoryError, match="have the digest sha256:.*its contract.* say sha256:"
    ):
        check(repository)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("files"),
        lambda values: values.update(digest_files=["absent"]),
        lambda values: values.update(files=[]),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(
    repository: Path, change: Callable[[dict[str, object]], None]
) -> None:
    path = repository / "product_encoder" / "1" / MANIFEST
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))

    with pytest.raises(RepositoryError, match="product_encoder/1/published.json holds no list"):
        check(repository)


def test_a_version_without_a_list_must_be_published_again(repository: Path) -> None:
    (repository / "product_encoder" / "1" / MANIFEST).unlink()

    with pytest.raises(
        RepositoryError,
        match="no list of its files .*-m twinshelf.export --run RUN --version 1 --force",
    ):
        check(repository)


def test_a_damaged_scorer_is_published_again_by_its_own_command(repository: Path) -> None:
    (repository / "pair_features" / "1").mkdir(parents=True)
    (repository / "pair_features" / "1" / MANIFEST).write_text("{}")

    with pytest.raises(RepositoryError, match="export.pair_scorer --run RUN --version 1 --force"):
        check(repository)
