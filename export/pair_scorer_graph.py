"""The trees of a pair scorer as one ONNX graph: `FEATURES` -> `PROBABILITY`."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from twinshelf.training.pairs.scorer import PairScorer

# Read by ONNX Runtime from 1.15 on, so by Triton's containers too.
OPSETS = {"": 17, "ai.onnx.ml": 3}
IR_VERSION = 8
INPUT, OUTPUT = "FEATURES", "PROBABILITY"


def classifier_graph(scorer: PairScorer) -> bytes:
    """Converts the trees of a scorer.

    Args:
        scorer: A fitted scorer of F features.

    Returns:
        An ONNX file from `FEATURES` float32 (B, F), NaN where unknown, to `PROBABILITY` float32
        (B, 1) that both records are the same product.
    """
    width = len(scorer.feature_names)
    converted = convert_sklearn(
        scorer.model,
        initial_types=[(INPUT, FloatTensorType([None, width]))],
        options={id(scorer.model): {"zipmap": False}},
        target_opset=OPSETS,
    )
    converted.ir_version = IR_VERSION
    converted.graph.name = "pair_classifier"  # not the random one, so that equal scorers are equal
    graph = converted.graph
    both_classes = graph.output[1].name  # (B, 2): no match, match
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "match_class"))
    graph.node.append(
        helper.make_node("Gather", [both_classes, "match_class"], [OUTPUT], name="match", axis=1)
    )
    _drop_unneeded(graph)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 1]))
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(converted, full_check=True)
    return bytes(converted.SerializeToString())


def _drop_unneeded(graph: onnx.GraphProto) -> None:
    """Leaves out what answers the class instead of its probability."""
    needed, kept = {OUTPUT}, []
    for node in reversed(graph.node):  # nodes come after those that they read
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    constants = [constant for constant in graph.initializer if constant.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)
