"""Plans: by rule, from a file, and as what Triton reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.model_repository.tiny_repository import publish_tiny_version
from twinshelf.server.triton import plan as plan_module
from twinshelf.server.triton.plan import (
    ServingPlan,
    default_plan,
    has_gpu,
    usable_core_count,
    write_plan,
)
from twinshelf.server.triton.repository import RepositoryError, config_path, read_config

PLAN = ServingPlan(
    image_instances=3,
    image_threads=2,
    text_instances=5,
    text_threads=1,
    decoder_instances=7,
    queue_delay_us=250,
)


@pytest.mark.parametrize("core_count", [1, 2, 3, 4, 6, 8, 16, 64])
def test_no_tower_has_more_threads_than_there_are_cores(core_count: int) -> None:
    plan = default_plan(core_count, has_gpu=False)
    assert plan.image_instances * plan.image_threads <= core_count
    assert plan.text_instances * plan.text_threads <= core_count
    assert plan.image_instances * plan.image_threads > core_count // 2


def test_two_cores_get_what_the_committed_configurations_say() -> None:
    plan = default_plan(2, has_gpu=False)
    repository = Path(__file__).parents[3] / "model_repository"
    image = read_config(repository / "image_tower" / "config.pbtxt")
    assert image.instance_group[0].count == plan.image_instances
    text = read_config(repository / "text_tower" / "config.pbtxt")
    assert text.instance_group[0].count == plan.text_instances
    assert text.parameters["intra_op_thread_count"].string_value == str(plan.text_threads)
    assert image.parameters["intra_op_thread_count"].string_value == str(plan.image_threads)
    assert image.dynamic_batching.max_queue_delay_microseconds == plan.queue_delay_us
    decoder = read_config(repository / "image_preprocess" / "config.pbtxt")
    assert decoder.instance_group[0].count == plan.decoder_instances


def test_a_gpu_is_not_shared_by_several_towers() -> None:
    assert default_plan(16, has_gpu=True).image_instances == 1


@pytest.mark.parametrize("name", ["nvidia0", "nvidia12"])  # a container may have any of them
@pytest.mark.parametrize(
    ("visible", "expected"), [(None, True), ("0,1", True), ("", False), ("-1", False)]
)
def test_a_gpu_that_is_hidden_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    expected: bool,
    name: str,
) -> None:
    monkeypatch.setattr(plan_module, "_DEVICES", tmp_path)
    (tmp_path / "nvidiactl").touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert not has_gpu()
    (tmp_path / name).touch()
    assert has_gpu() == expected
    assert not has_gpu({"CUDA_VISIBLE_DEVICES": ""})  # as for Triton with onnxruntime of CPUs


def test_a_plan_is_written_into_the_version_alone(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    publish_tiny_version(repository, version=2)
    shutil.copytree(repository, tmp_path / "before")
    write_plan(PLAN, repository, 2, mixes_shapes=False)
    image, text = (
        read_config(config_path(repository, name, 2)) for name in ("image_tower", "text_tower")
    )
    assert (image.instance_group[0].count, text.instance_group[0].count) == (3, 5)
    assert image.parameters["intra_op_thread_count"].string_value == "2"
    assert text.dynamic_batching.max_queue_delay_microseconds == 250
    decoder = read_config(config_path(repository, "image_preprocess", 2))
    assert decoder.instance_group[0].count == 7
    for path in tmp_path.joinpath("before").rglob("config.pbtxt"):
        now = repository / path.relative_to(tmp_path / "before")
        assert now.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("mixes_shapes", [False, True])
def test_texts_of_all_lengths_wait_together_where_the_backend_takes_them(
    tmp_path: Path, mixes_shapes: bool
) -> None:
    publish_tiny_version(tmp_path, version=1)
    write_plan(PLAN, tmp_path, 1, mixes_shapes=mixes_shapes)
    for name, expected in (("text_tower", mixes_shapes), ("image_tower", False)):
        inputs = read_config(config_path(tmp_path, name, 1)).input
        assert [each.allow_ragged_batch for each in inputs] == [expected] * len(inputs)


def test_two_instance_groups_are_refused(tmp_path: Path) -> None:
    publish_tiny_version(tmp_path, version=1)
    path = config_path(tmp_path, "image_tower", 1)
    path.write_text(path.read_text() + "instance_group [{count: 1}]\n")
    with pytest.raises(RepositoryError, match="image_tower of version 1 has 2 instance groups"):
        write_plan(PLAN, tmp_path, 1, mixes_shapes=False)


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(PLAN.to_json())
    assert ServingPlan.read(path) == PLAN


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "argument after"),
        ('{"image_instances": 1}', "missing"),
        (PLAN.to_json().replace("7", "0"), "decoder_instances must be 1 to 1024, got 0"),
        (PLAN.to_json().replace("250", '"a"'), "queue_delay_us must be 0 to 1000000, got 'a'"),
    ],
)
def test_a_file_that_is_no_plan_is_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"plan.json is no plan of `make tune`: .*{reason}"):
        ServingPlan.read(path)
    with pytest.raises(ValueError, match="is no plan"):
        ServingPlan.read(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 8),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        (None, 8),
    ],
)
def test_a_quota_of_the_group_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, expected: int
) -> None:
    path = tmp_path / "cpu.max"
    if quota is not None:
        path.write_text(quota)
    monkeypatch.setattr(plan_module, "_CPU_QUOTA", path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert usable_core_count() == expected
