"""Tests of finding published versions; no Triton is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from tests.model_repository.tiny_repository import publish_tiny_version
from twinshelf.server.triton import repository as repository_module
from twinshelf.server.triton.repository import (
    ENCODERS,
    PAIR_SCORER,
    RepositoryError,
    check_version,
    config_name,
    config_path,
    newest_version,
    published_versions,
    read_config,
    served_models,
)


def test_a_version_for_other_cpus_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_tiny_version(tmp_path, version=1)
    path = config_path(tmp_path, "image_encoder", 1)
    config = read_config(path)
    config.parameters["twinshelf_contract"].string_value = '{"precision":"int8-vnni"}'
    path.write_text(text_format.MessageToString(config))
    (tmp_path / "cpuinfo").write_text("flags : avx2 avx512_vnni")
    monkeypatch.setattr(repository_module, "_CPU_INFO", tmp_path / "cpuinfo")
    check_version(tmp_path, 1)
    (tmp_path / "cpuinfo").write_text("flags : avx2")
    with pytest.raises(RepositoryError, match="with VNNI, which this one lacks: publish it with"):
        check_version(tmp_path, 1)


def test_versions_are_numbers_that_every_model_has(tmp_path: Path) -> None:
    for version in (10, 2):
        publish_tiny_version(tmp_path, version)
    (tmp_path / "text_encoder" / "configs" / "v10.pbtxt").unlink()
    (tmp_path / "product_encoder" / "77").mkdir()

    assert published_versions(tmp_path) == (2,)
    assert published_versions(tmp_path, ("product_encoder",)) == (2, 10)
    assert newest_version(tmp_path) == 2


def test_a_pair_scorer_is_served_beside_the_encoder_of_its_version(tmp_path: Path) -> None:
    path = tmp_path / PAIR_SCORER / "configs" / "v2.pbtxt"
    path.parent.mkdir(parents=True)
    path.write_text("")
    assert served_models(tmp_path, 1) == ENCODERS
    assert served_models(tmp_path, 2) == (*ENCODERS, PAIR_SCORER)


def test_without_a_version_there_is_no_newest_one(tmp_path: Path) -> None:
    (tmp_path / "product_encoder").mkdir()
    with pytest.raises(
        RepositoryError, match="no published version: run `python -m twinshelf.export`"
    ):
        newest_version(tmp_path, ("product_encoder",))


def test_an_unknown_version_is_refused_with_those_there_are(tmp_path: Path) -> None:
    publish_tiny_version(tmp_path, 1)
    publish_tiny_version(tmp_path, 3)

    check_version(tmp_path, 3)
    with pytest.raises(RepositoryError, match=r"no version 2 of .*published versions: 1, 3"):
        check_version(tmp_path, 2)


def test_an_empty_repository_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="there is no model repository"):
        check_version(tmp_path / "absent", 1)
    with pytest.raises(RepositoryError, match="no model 'product_encoder'"):
        check_version(tmp_path, 1)
    publish_tiny_version(tmp_path, 1)
    with pytest.raises(RepositoryError, match="python -m twinshelf.export"):
        check_version(tmp_path, 2)


@pytest.mark.parametrize("missing", ["image_tower/configs/v1.pbtxt", "fusion/1/model.onnx"])
def test_a_version_without_a_part_of_an_ensemble_is_incomplete(
    tmp_path: Path, missing: str
) -> None:
    publish_tiny_version(tmp_path, 1)
    path = tmp_path / missing
    path.unlink()
    if path.suffix == ".onnx":
        path.parent.rmdir()

    with pytest.raises(RepositoryError, match="incomplete.*is missing"):
        check_version(tmp_path, 1)


def test_a_pair_scorer_without_a_part_names_the_command_that_publishes_it(tmp_path: Path) -> None:
    path = config_path(tmp_path, PAIR_SCORER, 1)
    path.parent.mkdir(parents=True)
    (tmp_path / PAIR_SCORER / "1").mkdir()
    path.write_text('ensemble_scheduling { step { model_name: "pair_features" } }')
    with pytest.raises(
        RepositoryError, match=r"incomplete.*`python -m twinshelf.export.pair_scorer`"
    ):
        check_version(tmp_path, 1, (PAIR_SCORER,))


def test_a_file_that_is_no_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"{config_name(1)}.pbtxt"
    path.write_text("unknown_field: 1")

    with pytest.raises(RepositoryError, match=r"v1.pbtxt is not a Triton model configuration"):
        read_config(path)
