"""Tests of the backend inside the real Triton: values, batches, and what it refuses to load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.model_repository.tiny_graphs import save_graph, value
from twinshelf.server.triton.process import TritonServer, TritonStartError
from twinshelf.server.triton.triton_config import TritonConfig

pytestmark = pytest.mark.triton

FLOAT = TensorProto.FLOAT
COUNT_TIMEOUT_S = 10
NUMBER_TYPES = {
    "BOOL": (TensorProto.BOOL, np.bool_),
    "FP16": (TensorProto.FLOAT16, np.float16),
    "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64),
    "INT8": (TensorProto.INT8, np.int8),
    "INT16": (TensorProto.INT16, np.int16),
    "INT32": (TensorProto.INT32, np.int32),
    "INT64": (TensorProto.INT64, np.int64),
    "UINT8": (TensorProto.UINT8, np.uint8),
    "UINT16": (TensorProto.UINT16, np.uint16),
    "UINT32": (TensorProto.UINT32, np.uint32),
    "UINT64": (TensorProto.UINT64, np.uint64),
}
SERVED = (
    "numbers", "texts", "scalar", "row_sum", "with_default", "lookup", "lengths", "two_outputs"
)  # fmt: skip
# Waits for company, so that concurrent requests do become one batch.
WAITING = """max_batch_size: 8
dynamic_batching { preferred_batch_size: [8] max_queue_delay_microseconds: 300000 }"""
ADD_ONE = [helper.make_node("Add", ["X", "one"], ["Y"])]
ONE = {"one": np.array([1.0], np.float32)}
X, Y = value("X", FLOAT, ["batch", 3]), value("Y", FLOAT, ["batch", 3])

# Each is refused: (config.pbtxt after the backend's name, what the message says). Loading takes a
# second or more: test_model_configuration has the full list, this is one of each kind.
REFUSED = {
    "wrong_name": (
        'max_batch_size: 4 output [{ name: "W" data_type: TYPE_FP32 dims: [3] }]',
        "unable to load model 'wrong_name': output 'W' is not in the graph",
    ),
    "wrong_dims": (
        'max_batch_size: 4 input [{ name: "X" data_type: TYPE_FP32 dims: [5] }]',
        "input 'X' must have the shape [-1, 3] of the graph, the configuration says [-1, 5]",
    ),
    "sequence": ("max_batch_size: 4 sequence_batching { }", "sequence_batching"),
    "bad_threads": (
        'parameters { key: "intra_op_thread_count" value { string_value: "all" } }',
        "intra_op_thread_count must be a number",
    ),
    "absent_file": ('default_model_filename: "other.onnx"', "there is no ONNX file"),
    "broken_file": ("", "broken_file"),
}


def write_config(folder: Path, text: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    instances = "instance_group [{ kind: KIND_CPU count: 1 }]"
    (folder / "config.pbtxt").write_text(f'backend: "onnxruntime"\n{instances}\n{text}\n')


def write_identity(folder: Path, types: dict[str, int]) -> None:
    """Writes a model that answers X_<type> with Y_<type>, for each type."""
    write_config(folder)
    save_graph(
        folder / "1" / "model.onnx",
        [helper.make_node("Identity", [f"X_{name}"], [f"Y_{name}"]) for name in types],
        [value(f"X_{name}", onnx_type, ["batch", "n"]) for name, onnx_type in types.items()],
        [value(f"Y_{name}", onnx_type, ["batch", "n"]) for name, onnx_type in types.items()],
    )


def write_repository(root: Path) -> None:
    write_identity(root / "numbers", {name: each[0] for name, each in NUMBER_TYPES.items()})
    write_identity(root / "texts", {"BYTES": TensorProto.STRING})
    for name, (text, _) in REFUSED.items():
        write_config(root / name, text)
        save_graph(root / name / "1" / "model.onnx", ADD_ONE, [X], [Y], ONE)
    (root / "broken_file" / "1" / "model.onnx").write_bytes(b"not a graph")
    write_config(root / "scalar")
    total = [helper.make_node("ReduceSum", ["X"], ["Y"], keepdims=0)]
    save_graph(root / "scalar/1/model.onnx", total, [value("X", FLOAT, ["n"])],
               [value("Y", FLOAT, [])])  # fmt: skip
    write_config(root / "row_sum")
    save_graph(root / "row_sum/1/model.onnx",
               [helper.make_node("ReduceSum", ["X", "axis"], ["Y"], keepdims=0)],
               [X], [value("Y", FLOAT, ["batch"])], {"axis": np.array([1])})  # fmt: skip
    write_config(root / "with_default", 'input [{ name: "S" optional: true }]')
    save_graph(root / "with_default/1/model.onnx", [helper.make_node("Mul", ["X", "S"], ["Y"])],
               [value("X", FLOAT, [3]), value("S", FLOAT, [1])], [value("Y", FLOAT, [3])],
               {"S": np.array([2.0], np.float32)})  # fmt: skip
    ragged = 'input [{ name: "X" data_type: TYPE_FP32 dims: [-1] allow_ragged_batch: true }]'
    write_config(root / "lengths", f"{WAITING} {ragged}")
    lengths = [value(name, FLOAT, ["batch", "n"]) for name in "XY"]
    save_graph(root / "lengths/1/model.onnx", ADD_ONE, lengths[:1], lengths[1:], ONE)
    write_config(root / "lookup", WAITING)
    save_graph(root / "lookup/1/model.onnx", [helper.make_node("Gather", ["table", "X"], ["Y"])],
               [value("X", TensorProto.INT64, ["batch", 1])], [value("Y", FLOAT, ["batch", 1, 2])],
               {"table": np.arange(20, dtype=np.float32).reshape(10, 2)})  # fmt: skip
    write_config(root / "two_outputs")
    save_graph(root / "two_outputs/1/model.onnx",
               [*ADD_ONE, helper.make_node("Neg", ["X"], ["Z"])],
               [X], [Y, value("Z", FLOAT, ["batch", 3])], ONE)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    root = tmp_path_factory.mktemp("models")
    write_repository(root)
    settings = TritonConfig(model_repository=root, models=SERVED, ready_timeout_s=60)
    with TritonServer(settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: TritonServer) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.grpc_address) as connected:
        yield connected


def infer(
    client: triton.InferenceServerClient, model: str, *outputs: str, **arrays: np.ndarray
) -> dict[str, np.ndarray]:
    inputs = []
    for name, array in arrays.items():
        tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        inputs.append(tensor.set_data_from_numpy(array))
    wanted = [triton.InferRequestedOutput(name) for name in outputs] or None
    result = client.infer(model, inputs, outputs=wanted, client_timeout=30)
    return {each.name: result.as_numpy(each.name) for each in result.get_response().outputs}


def infer_rows(client: triton.InferenceServerClient, model: str, rows: list[np.ndarray]) -> list:
    """Asks for each row at the same time; returns answers, or the errors in their place."""
    answers: list = [None] * len(rows)

    def ask(number: int) -> None:
        try:
            answers[number] = infer(client, model, X=rows[number])["Y"]
        except InferenceServerException as error:
            answers[number] = error

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def execution_count(client: triton.InferenceServerClient, model: str) -> int:
    return client.get_inference_statistics(model).model_stats[0].execution_count


def executions_since(client: triton.InferenceServerClient, model: str, before: int) -> int:
    """Returns how often a model ran; Triton counts once it has answered."""
    deadline = time.monotonic() + COUNT_TIMEOUT_S
    while (count := execution_count(client, model)) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    return count - before


def test_numbers_come_back_as_they_went_in(client: triton.InferenceServerClient) -> None:
    # Under numpy 2 the wheel's stub keeps the shape and loses the values, without an error.
    numbers = np.random.default_rng(42).integers(0, 100, size=(3, 17))
    sent: dict[str, np.ndarray] = {
        name: numbers.astype(each[1]) for name, each in NUMBER_TYPES.items()
    }
    sent["BOOL"] = numbers % 2 == 0

    received = infer(client, "numbers", **{f"X_{name}": array for name, array in sent.items()})

    for name, array in sent.items():
        assert received[f"Y_{name}"].dtype == array.dtype
        np.testing.assert_array_equal(received[f"Y_{name}"], array)


def test_strings_come_back_as_they_went_in(client: triton.InferenceServerClient) -> None:
    texts = ["plain", "", "b'quoted'", "чай 500 г", "naïve ☕", "a\x00b"]
    sent = np.array([text.encode() for text in texts], dtype=object).reshape(3, 2)

    received = infer(client, "texts", X_BYTES=sent)["Y_BYTES"]

    assert [text.decode() for text in received.reshape(-1)] == texts


def test_a_string_that_is_not_utf8_is_an_invalid_argument(
    client: triton.InferenceServerClient,
) -> None:
    with pytest.raises(InferenceServerException, match="'X_BYTES' must be UTF-8") as caught:
        infer(client, "texts", X_BYTES=np.array([[b"\xff"]], dtype=object))

    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_an_empty_configuration_is_completed_from_the_graph(
    client: triton.InferenceServerClient,
) -> None:
    config = client.get_model_config("two_outputs").config

    assert config.max_batch_size == 4
    assert config.HasField("dynamic_batching")
    assert [(each.name, list(each.dims)) for each in config.output] == [("Y", [3]), ("Z", [3])]


def test_only_the_outputs_asked_for_are_answered(client: triton.InferenceServerClient) -> None:
    row = np.ones((1, 3), np.float32)

    assert set(infer(client, "two_outputs", X=row)) == {"Y", "Z"}
    answer = infer(client, "two_outputs", "Z", X=row)

    assert set(answer) == {"Z"}
    np.testing.assert_array_equal(answer["Z"], -row)


def test_scalars_are_answered(client: triton.InferenceServerClient) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)

    assert infer(client, "scalar", X=rows[0])["Y"].tolist() == [3.0]
    assert infer(client, "row_sum", X=rows)["Y"].tolist() == [[3.0], [12.0]]


def test_an_optional_input_may_be_absent(client: triton.InferenceServerClient) -> None:
    row = np.arange(3, dtype=np.float32)

    assert infer(client, "with_default", X=row)["Y"].tolist() == [0.0, 2.0, 4.0]
    scale = np.array([5.0], np.float32)
    assert infer(client, "with_default", X=row, S=scale)["Y"].tolist() == [0.0, 5.0, 10.0]


def test_concurrent_requests_become_one_batch_and_keep_their_rows(
    client: triton.InferenceServerClient,
) -> None:
    before = execution_count(client, "lookup")
    rows = [np.array([[1]]), np.array([[2], [3], [4]]), np.array([[5]]), np.array([[6], [7], [8]])]

    answers = infer_rows(client, "lookup", rows)

    assert executions_since(client, "lookup", before) == 1
    for row, answer in zip(rows, answers, strict=True):
        expected = np.concatenate([2 * row, 2 * row + 1], axis=1)[:, None]  # (B, 1, 2)
        np.testing.assert_array_equal(answer, expected)


def test_rows_of_all_lengths_are_answered_in_one_batch(
    client: triton.InferenceServerClient,
) -> None:
    before = execution_count(client, "lengths")
    rows = [np.arange(2 * n, dtype=np.float32).reshape(2, n) for n in (2, 3, 2)]

    answers = infer_rows(client, "lengths", rows)

    assert executions_since(client, "lengths", before) == 1
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_array_equal(answer, row + 1)


def test_a_bad_request_in_a_batch_fails_alone(client: triton.InferenceServerClient) -> None:
    rows = [np.array([[1]]), np.array([[99]]), np.array([[2]])]

    good, bad, also_good = infer_rows(client, "lookup", rows)

    assert good.tolist() == [[[2.0, 3.0]]]
    assert also_good.tolist() == [[[4.0, 5.0]]]
    assert bad.status() == "StatusCode.INVALID_ARGUMENT"
    assert "99" in bad.message()


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said when a server is to start with nothing but models that cannot be served."""
    root = tmp_path_factory.mktemp("refused")
    write_repository(root)
    settings = TritonConfig(model_repository=root, models=tuple(REFUSED))
    with pytest.raises(TritonStartError) as caught:
        TritonServer(settings).start()
    return str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_at_load(refusals: str, name: str) -> None:
    (said,) = [line for line in refusals.splitlines() if f"'{name}'" in line]

    assert REFUSED[name][1] in said
