"""What `product_matcher` takes and gives, in the words of the KServe protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tritonclient.grpc import model_config_pb2, service_pb2

MODEL_NAME: Final = "product_matcher"
PLATFORM: Final = "twinshelf"
MAX_BATCH_SIZE: Final = 32
ANY: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """A tensor of the model.

    Attributes:
        name: Its name.
        datatype: Its KServe type, such as "BYTES".
        size: Elements of a row; -1 for as many as there are matches.
    """

    name: str
    datatype: str
    size: int

    @property
    def config_type(self) -> int:
        """The type as a model configuration names it."""
        name = "STRING" if self.datatype == "BYTES" else self.datatype
        return int(model_config_pb2.DataType.Value(f"TYPE_{name}"))


# One is needed, photo or title; K is DEFAULT_MATCH_COUNT where it is left out.
INPUTS: Final = (
    TensorSpec(name="IMAGE", datatype="BYTES", size=1),
    TensorSpec(name="TEXT", datatype="BYTES", size=1),
    TensorSpec(name="K", datatype="INT32", size=1),
)
OUTPUTS: Final = (
    TensorSpec(name="PRODUCT_ID", datatype="BYTES", size=ANY),
    TensorSpec(name="SCORE", datatype="FP32", size=ANY),
    TensorSpec(name="PROBABILITY", datatype="FP32", size=ANY),
    TensorSpec(name="NO_MATCH_PROBABILITY", datatype="FP32", size=1),
    TensorSpec(name="STATUS", datatype="BYTES", size=1),
)


def model_metadata(versions: Sequence[int]) -> service_pb2.ModelMetadataResponse:
    """Describes the tensors; shapes have the batch before them.

    Args:
        versions: Those of the encoders that answer.
    """
    metadata = service_pb2.ModelMetadataResponse(
        name=MODEL_NAME, versions=map(str, versions), platform=PLATFORM
    )
    for specs, tensors in ((INPUTS, metadata.inputs), (OUTPUTS, metadata.outputs)):
        for spec in specs:
            tensors.add(name=spec.name, datatype=spec.datatype, shape=[ANY, spec.size])
    return metadata


def model_config() -> service_pb2.ModelConfigResponse:
    """Returns the configuration as Triton would give it; perf_analyzer asks for it."""
    config = model_config_pb2.ModelConfig(
        name=MODEL_NAME, platform=PLATFORM, max_batch_size=MAX_BATCH_SIZE
    )
    for spec in INPUTS:
        config.input.add(
            name=spec.name, data_type=spec.config_type, dims=[spec.size], optional=True
        )
    for spec in OUTPUTS:
        config.output.add(name=spec.name, data_type=spec.config_type, dims=[spec.size])
    return service_pb2.ModelConfigResponse(config=config)
