"""A published version in this process: rows do not depend on their batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.model_repository.tiny_repository import ENSEMBLES, TinyVersion, publish_tiny_version
from tests.model_repository.triton_calls import photo
from twinshelf.server.encoders import published_version
from twinshelf.server.encoders.published_version import OnnxModel, PublishedVersion
from twinshelf.server.encoders.python_model import bytes_column
from twinshelf.server.triton.repository import RepositoryError, config_path

PHOTOS = [photo(40, 30, seed=1), photo(20, 90, seed=2, image_format="PNG"), photo(9, 8, seed=3)]
TEXTS = [text.encode() for text in ("red tea 500 g", "", "large blue cup " * 9)]
# One row or many: sums in another order.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyVersion:
    return publish_tiny_version(tmp_path_factory.mktemp("model_repository"))


@pytest.fixture(scope="module")
def version(tiny: TinyVersion) -> PublishedVersion:
    return PublishedVersion(tiny.repository, 1, ENSEMBLES, thread_count=1)


@pytest.mark.parametrize(
    ("ensemble", "tensor", "output", "rows"),
    [
        ("image_encoder", "IMAGE", "IMAGE_EMBEDDING", PHOTOS),
        ("text_encoder", "TEXT", "TEXT_EMBEDDING", TEXTS),
    ],
)
def test_a_row_embeds_alike_alone_and_in_a_batch(
    version: PublishedVersion, ensemble: str, tensor: str, output: str, rows: list[bytes]
) -> None:
    together = version.run(ensemble, {tensor: bytes_column(rows)})[output]
    for number, row in enumerate(rows):
        alone = version.run(ensemble, {tensor: bytes_column([row])})[output]
        np.testing.assert_allclose(alone[0], together[number], atol=TOLERANCE)


def test_every_tensor_on_the_way_is_answered(version: PublishedVersion) -> None:
    inputs = {"IMAGE": bytes_column(PHOTOS), "TEXT": bytes_column(TEXTS)}
    tensors = version.run("product_encoder", inputs)
    halves = {"IMAGE_EMBEDDING", "TEXT_EMBEDDING"}
    assert {"PIXELS", "INPUT_IDS", "ATTENTION_MASK", "EMBEDDING"} | halves <= tensors.keys()
    image = version.run("image_encoder", inputs)["IMAGE_EMBEDDING"]
    np.testing.assert_allclose(tensors["IMAGE_EMBEDDING"], image, atol=TOLERANCE)
    assert len(tensors["EMBEDDING"]) == len(PHOTOS)


def test_towers_alone_go_to_a_gpu_and_answer_alike(
    tiny: TinyVersion, version: PublishedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def execution_providers(*, has_gpu: bool) -> list[str]:
        asked.append(has_gpu)
        return ["CPUExecutionProvider"]

    monkeypatch.setattr(published_version, "execution_providers", execution_providers)
    moved = PublishedVersion(tiny.repository, 1, ENSEMBLES, thread_count=1, has_gpu=True)
    assert sorted(asked) == [False, True, True]  # fusion stays
    for model in moved.models.values():
        if isinstance(model, OnnxModel):
            model._is_on_gpu = True  # there, batches are padded
    inputs = {"IMAGE": bytes_column(PHOTOS), "TEXT": bytes_column(TEXTS)}
    moved.run("product_encoder", {name: np.repeat(each, 2, 0) for name, each in inputs.items()})
    np.testing.assert_allclose(  # padded to the size of the batch before
        moved.run("product_encoder", inputs)["EMBEDDING"],
        version.run("product_encoder", inputs)["EMBEDDING"],
        atol=TOLERANCE,
    )


def test_the_batch_limit_is_that_of_the_configurations(version: PublishedVersion) -> None:
    assert version.max_batch_size == 32


def test_threads_are_as_many_as_there_are_cores_to_use_and_do_not_spin(
    tiny: TinyVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_version, "usable_core_count", lambda: 3)
    for thread_count, expected in ((0, 3), (1, 1)):
        loaded = PublishedVersion(tiny.repository, 1, ENSEMBLES, thread_count=thread_count)
        tower = loaded.models["text_tower"]
        assert isinstance(tower, OnnxModel)
        options = tower._session.get_session_options()
        assert options.intra_op_num_threads == expected
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_an_unknown_version_is_named(tiny: TinyVersion) -> None:
    with pytest.raises(RepositoryError, match="v7.pbtxt"):
        PublishedVersion(tiny.repository, 7, ENSEMBLES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "old", "new", "message"),
    [
        ("image_tower", '"onnxruntime"', '"tensorrt"', "image_tower has backend 'tensorrt'"),
        ("text_encoder", 'value: "INPUT_IDS"', 'value: "IDS"', "text_tower .* reads IDS, which no"),
    ],
)
def test_what_this_cannot_run_is_refused(
    tmp_path: Path, model: str, old: str, new: str, message: str
) -> None:
    publish_tiny_version(tmp_path)
    path = config_path(tmp_path, model, 1)
    text = path.read_text()
    start = text.rindex("model_name") if model == "text_encoder" else 0
    path.write_text(text[:start] + text[start:].replace(old, new))
    with pytest.raises(RepositoryError, match=message):
        PublishedVersion(tmp_path, 1, ENSEMBLES).run("text_encoder", {"TEXT": bytes_column(TEXTS)})
