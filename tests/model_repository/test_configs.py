"""Every committed config.pbtxt, read as Triton reads it; no Triton is needed."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import pytest
from google.protobuf import text_format
from PIL import Image
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.model_config_pb2 import ModelConfig

REPOSITORY = Path(__file__).resolve().parents[2] / "model_repository"
ENSEMBLES = {
    "product_encoder": ({"IMAGE", "TEXT"}, {"EMBEDDING"}),
    "image_encoder": ({"IMAGE"}, {"IMAGE_EMBEDDING"}),
    "text_encoder": ({"TEXT"}, {"TEXT_EMBEDDING"}),
    "pair_scorer": ({"LEFT", "RIGHT", "COSINES"}, {"PROBABILITY"}),
}
# The design's table: tensor -> (type, dims; -1 where a version decides).
TENSORS = {
    "IMAGE": ("TYPE_STRING", [1]),
    "TEXT": ("TYPE_STRING", [1]),
    "AFTER": ("TYPE_FP32", [-1]),
    "PIXELS": ("TYPE_UINT8", [3, -1, -1]),
    "INPUT_IDS": ("TYPE_INT64", [-1]),
    "ATTENTION_MASK": ("TYPE_INT64", [-1]),
    "IMAGE_EMBEDDING": ("TYPE_FP32", [256]),
    "TEXT_EMBEDDING": ("TYPE_FP32", [256]),
    "EMBEDDING": ("TYPE_FP32", [512]),
    "LEFT": ("TYPE_STRING", [1]),
    "RIGHT": ("TYPE_STRING", [1]),
    "COSINES": ("TYPE_FP32", [3]),
    "FEATURES": ("TYPE_FP32", [-1]),
    "PROBABILITY": ("TYPE_FP32", [1]),
}
LEAVES = {
    "image_preprocess": ("python", {"IMAGE"}, {"PIXELS"}),
    "text_preprocess": ("python", {"TEXT", "AFTER"}, {"INPUT_IDS", "ATTENTION_MASK"}),
    "image_tower": ("onnxruntime", {"PIXELS"}, {"IMAGE_EMBEDDING"}),
    "text_tower": ("onnxruntime", {"INPUT_IDS", "ATTENTION_MASK"}, {"TEXT_EMBEDDING"}),
    "fusion": ("onnxruntime", {"IMAGE_EMBEDDING", "TEXT_EMBEDDING"}, {"EMBEDDING"}),
    "pair_features": ("python", {"LEFT", "RIGHT", "COSINES"}, {"FEATURES"}),
    "pair_classifier": ("onnxruntime", {"FEATURES"}, {"PROBABILITY"}),
}
ONNX_MODELS = [name for name, (backend, _, _) in LEAVES.items() if backend == "onnxruntime"]


def read(model: str) -> ModelConfig:
    return text_format.Parse((REPOSITORY / model / "config.pbtxt").read_text(), ModelConfig())


def names(tensors: object) -> set[str]:
    return {tensor.name for tensor in tensors}  # type: ignore[attr-defined]


def test_the_models_of_the_design_have_a_configuration() -> None:
    committed = {path.parent.name for path in REPOSITORY.glob("*/config.pbtxt")}

    assert {*LEAVES, *ENSEMBLES} == committed


@pytest.mark.parametrize("model", [*LEAVES, *ENSEMBLES])
def test_tensors_are_those_of_the_design(model: str) -> None:
    config = read(model)
    inputs, outputs = LEAVES[model][1:] if model in LEAVES else ENSEMBLES[model]

    assert config.name == model
    assert config.max_batch_size == 32
    assert names(config.input) == inputs
    assert names(config.output) == outputs
    for tensor in (*config.input, *config.output):
        data_type = model_config_pb2.DataType.Name(tensor.data_type)
        assert (data_type, list(tensor.dims)) == TENSORS[tensor.name]


@pytest.mark.parametrize("model", LEAVES)
def test_each_model_states_batching_instances_and_warm_up(model: str) -> None:
    config = read(model)

    assert config.backend == LEAVES[model][0]
    assert config.HasField("dynamic_batching")
    assert config.dynamic_batching.preferred_batch_size
    assert max(config.dynamic_batching.preferred_batch_size) <= config.max_batch_size
    assert config.dynamic_batching.max_queue_delay_microseconds <= 200
    assert sum(group.count for group in config.instance_group) >= 1
    assert config.model_warmup


@pytest.mark.parametrize("model", ONNX_MODELS)
def test_each_onnx_model_states_its_threads(model: str) -> None:
    parameters = read(model).parameters

    assert int(parameters["intra_op_thread_count"].string_value) >= 1
    assert int(parameters["inter_op_thread_count"].string_value) >= 1


@pytest.mark.parametrize("model", LEAVES)
def test_warm_up_brings_every_required_input_in_its_type(model: str) -> None:
    config = read(model)
    types = {each.name: each.data_type for each in config.input if not each.optional}

    for warmup in config.model_warmup:
        assert {name: tensor.data_type for name, tensor in warmup.inputs.items()} == types
        assert 1 <= warmup.batch_size <= config.max_batch_size
        for tensor in warmup.inputs.values():
            if tensor.input_data_file:
                assert (REPOSITORY / model / "warmup" / tensor.input_data_file).is_file()


def test_warm_up_photo_is_a_jpeg_that_is_not_square() -> None:
    content = (REPOSITORY / "image_preprocess" / "warmup" / "photo").read_bytes()
    (length,) = struct.unpack("<I", content[:4])
    photo = Image.open(io.BytesIO(content[4:]))
    photo.load()

    assert length == len(content) - 4
    assert photo.format == "JPEG"
    assert photo.width != photo.height


@pytest.mark.parametrize("model", ENSEMBLES)
def test_ensemble_steps_connect_to_their_models(model: str) -> None:
    config = read(model)
    known = {tensor.name: tensor for tensor in config.input}
    for step in config.ensemble_scheduling.step:
        part = read(step.model_name)
        required = {tensor.name for tensor in part.input if not tensor.optional}
        assert required <= set(step.input_map) <= names(part.input)
        assert set(step.output_map) == names(part.output)
        for tensor in part.input:
            if tensor.name not in step.input_map:
                continue
            source = known[step.input_map[tensor.name]]
            assert source.data_type == tensor.data_type
            assert list(tensor.dims) in ([-1], list(source.dims))
        known |= {step.output_map[tensor.name]: tensor for tensor in part.output}
    for tensor in config.output:
        source = known[tensor.name]
        assert (source.data_type, source.dims) == (tensor.data_type, tensor.dims)


@pytest.mark.parametrize("model", ENSEMBLES)
def test_ensemble_exposes_no_tensor_that_a_later_step_consumes(model: str) -> None:
    config = read(model)
    consumed = {name for s in config.ensemble_scheduling.step for name in s.input_map.values()}

    assert not consumed & names(config.output)


@pytest.mark.parametrize("model", ENSEMBLES)
def test_no_two_steps_of_an_ensemble_can_be_under_way_at_once(model: str) -> None:
    """A step that fails while another is being scheduled stops server 2.51 for good."""
    steps = read(model).ensemble_scheduling.step

    for before, step in itertools.pairwise(steps):
        assert set(before.output_map.values()) & set(step.input_map.values())
