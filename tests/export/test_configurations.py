"""Configurations of a version, against the committed ones and against the graphs."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from tritonclient.grpc import model_config_pb2

from twinshelf.export.configurations import (
    EncoderShape,
    check_batch_sizes,
    is_ensemble,
    pin_config,
    stamp_contract,
    stamped_contract,
)
from twinshelf.export.encoder_models import ENSEMBLES, GRAPHS, MODELS
from twinshelf.export.repository import COMMITTED
from twinshelf.server.triton.repository import RepositoryError, config_path, read_config

pytestmark = pytest.mark.slow

SHAPE = EncoderShape(image_size_px=32, token_buckets=(8, 16, 48), image_dim=12, text_dim=10)
ONNX_TYPES: dict[int, int] = {
    onnx.TensorProto.UINT8: model_config_pb2.TYPE_UINT8,
    onnx.TensorProto.INT64: model_config_pb2.TYPE_INT64,
    onnx.TensorProto.FLOAT: model_config_pb2.TYPE_FP32,
}


def pinned(name: str) -> model_config_pb2.ModelConfig:
    return pin_config(read_config(COMMITTED / name / "config.pbtxt"), version=3, shape=SHAPE)


def tensors(config: model_config_pb2.ModelConfig) -> dict[str, tuple[int, list[int]]]:
    return {t.name: (t.data_type, list(t.dims)) for t in (*config.input, *config.output)}


@pytest.mark.parametrize("name", MODELS)
def test_a_pinned_configuration_holds_for_one_version(name: str) -> None:
    config = pinned(name)
    assert config.name == name
    assert list(config.version_policy.specific.versions) == [3]
    assert all(step.model_version == 3 for step in config.ensemble_scheduling.step)


def test_sizes_come_from_the_encoder() -> None:
    assert tensors(pinned("image_tower"))["PIXELS"][1] == [3, 32, 32]
    assert tensors(pinned("image_preprocess"))["PIXELS"][1] == [3, 32, 32]
    assert tensors(pinned("text_encoder"))["TEXT_EMBEDDING"][1] == [10]
    assert tensors(pinned("fusion"))["EMBEDDING"][1] == [22]
    assert tensors(pinned("product_encoder"))["EMBEDDING"][1] == [22]
    assert tensors(pinned("text_tower"))["INPUT_IDS"][1] == [-1]


@pytest.mark.parametrize(("part", "most"), [("image_tower", 8), ("fusion", 0)])
def test_a_part_that_takes_fewer_rows_than_its_ensemble_is_refused(part: str, most: int) -> None:
    configs = {name: pinned(name) for name in MODELS}
    check_batch_sizes(configs)
    configs[part].max_batch_size = most
    with pytest.raises(RepositoryError, match=f"{part} has max_batch_size {most} and .*, 32, whi"):
        check_batch_sizes(configs)
    for name in ENSEMBLES:
        configs[name].max_batch_size = most
    check_batch_sizes(configs)


def test_what_the_committed_configuration_states_is_kept() -> None:
    committed, config = (
        read_config(COMMITTED / "image_tower" / "config.pbtxt"),
        pinned("image_tower"),
    )
    assert config.dynamic_batching == committed.dynamic_batching
    assert config.instance_group == committed.instance_group
    assert config.parameters == committed.parameters
    assert config.max_batch_size == committed.max_batch_size
    assert not committed.version_policy.specific.versions  # the committed one is left alone


def test_every_bucket_is_warmed_up_and_every_size_is_exact() -> None:
    samples = pinned("text_tower").model_warmup
    found = [list(sample.inputs["INPUT_IDS"].dims) for sample in samples]
    assert found == [[8], [16], [48]]
    assert len({sample.name for sample in samples}) == len(samples)
    for sample in pinned("image_tower").model_warmup:
        assert list(sample.inputs["PIXELS"].dims) == [3, 32, 32]
    (sample,) = pinned("fusion").model_warmup
    assert list(sample.inputs["TEXT_EMBEDDING"].dims) == [10]


def test_a_contract_is_read_as_it_was_stamped() -> None:
    config = pinned("product_encoder")
    assert stamped_contract(config) is None
    stamp_contract(config, '{"a":"молоко"}')
    assert stamped_contract(config) == '{"a":"молоко"}'


@pytest.mark.parametrize("name", GRAPHS)
def test_configurations_agree_with_the_graphs(published: Path, name: str) -> None:
    config = read_config(config_path(published, name, 1))
    graph = onnx.load(published / name / "1" / "model.onnx").graph
    for stated, given in ((config.input, graph.input), (config.output, graph.output)):
        found = {t.name: t.type.tensor_type for t in given}
        assert [t.name for t in stated] == list(found)
        for tensor in stated:
            batch, *dims = found[tensor.name].shape.dim
            assert batch.dim_param
            assert tensor.data_type == ONNX_TYPES[found[tensor.name].elem_type]
            assert list(tensor.dims) == [
                d.dim_value if d.HasField("dim_value") else -1 for d in dims
            ]


@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_are_wired_to_tensors_that_their_parts_have(published: Path, name: str) -> None:
    ensemble = read_config(config_path(published, name, 1))
    assert is_ensemble(ensemble)
    known = {t.name: (t.data_type, list(t.dims)) for t in ensemble.input}
    consumed = set()
    for step in ensemble.ensemble_scheduling.step:
        part = read_config(config_path(published, step.model_name, step.model_version))
        assert set(step.input_map) >= {t.name for t in part.input if not t.optional}
        assert set(step.output_map) == {t.name for t in part.output}
        for own, shared in step.input_map.items():
            data_type, dims = tensors(part)[own]
            assert known[shared][0] == data_type
            assert known[shared][1] == dims or dims == [-1]  # AFTER takes whatever came before
            consumed.add(shared)
        known |= {shared: tensors(part)[own] for own, shared in step.output_map.items()}
    for output in ensemble.output:
        assert known[output.name] == (output.data_type, list(output.dims))
        # Server 2.51 deadlocks on a tensor that is both exposed and consumed.
        assert output.name not in consumed


def test_all_ensembles_hold_the_same_contract(published: Path) -> None:
    found = {stamped_contract(read_config(config_path(published, name, 1))) for name in ENSEMBLES}
    assert len(found) == 1
    assert None not in found
