"""A small KServe server in the place of Triton: the same protocol, embeddings by hashing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.grpc.model_config_pb2 import ModelConfig

from tests.server.fake_encoder import FakeEncoder, contract_json
from twinshelf.server.encoders.contract import ENSEMBLES, PARAMETER, EncoderContract
from twinshelf.server.encoders.encoder import EncoderInput
from twinshelf.server.errors import TwinshelfError
from twinshelf.server.triton.repository import PAIR_SCORER


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers ModelConfig and ModelInfer; the test sets what goes wrong."""

    def __init__(self) -> None:
        self.contracts = dict.fromkeys(ENSEMBLES.values(), contract_json())
        self.pair_config: ModelConfig | None = None
        self.request_count = 0
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.before_config: Callable[[], Awaitable[object]] | None = None
        self.config_failure: tuple[grpc.StatusCode, str] | None = None
        self.row: np.ndarray | None = None
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Starts, at the port of the last time if there was one."""
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Goes away at once, as a killed process does."""
        assert self._server is not None
        await self._server.stop(None)

    def serve(self, text: str) -> None:
        """Serves another contract from now on."""
        self.contracts = dict.fromkeys(self.contracts, text)

    async def ModelConfig(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ModelConfigRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelConfigResponse:
        """Returns a configuration with the contract in it."""
        if self.before_config is not None:
            await self.before_config()
        if self.config_failure is not None:
            await context.abort(*self.config_failure)
        if request.name == PAIR_SCORER and self.pair_config is not None:
            return service_pb2.ModelConfigResponse(config=self.pair_config)
        if request.name not in self.contracts:
            unknown = f"Request for unknown model: '{request.name}' is not found"
            await context.abort(grpc.StatusCode.UNAVAILABLE, unknown)
        answer = service_pb2.ModelConfigResponse()
        answer.config.name = request.name
        if self.contracts[request.name]:
            answer.config.parameters[PARAMETER].string_value = self.contracts[request.name]
        return answer

    async def ModelInfer(  # noqa: N802 - the name is the protocol's
        self, request: service_pb2.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelInferResponse:
        """Embeds one row."""
        self.request_count += 1
        if self.before_answer is not None:
            await self.before_answer()
        if self.failure is not None:
            await context.abort(*self.failure)
        if request.model_name not in self.contracts:  # a model of the pair scorer
            answer = service_pb2.ModelInferResponse(model_name=request.model_name)
            answer.outputs.add(name=request.outputs[0].name, datatype="FP32", shape=[1, 2])
            answer.raw_output_contents.append(bytes(8))
            return answer
        contract = EncoderContract.from_json(self.contracts[request.model_name])
        if request.model_version != str(contract.version):
            await context.abort(
                grpc.StatusCode.UNAVAILABLE,
                f"Request for unknown model: '{request.model_name}' version "
                f"{request.model_version} is not found",
            )
        output = request.outputs[0].name
        row = await self._embed(request, contract, context) if self.row is None else self.row
        answer = service_pb2.ModelInferResponse(model_name=request.model_name)
        answer.outputs.add(name=output, datatype="FP32", shape=[1, len(row)])
        answer.raw_output_contents.append(row.astype(np.float32).tobytes())
        return answer

    async def _embed(
        self,
        request: service_pb2.ModelInferRequest,
        contract: EncoderContract,
        context: grpc.aio.ServicerContext,
    ) -> np.ndarray:
        values = {}
        for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
            assert (tensor.datatype, list(tensor.shape)) == ("BYTES", [1, 1])
            assert int.from_bytes(raw[:4], "little") == len(raw) - 4
            values[tensor.name] = raw[4:]
        text = values.get("TEXT")
        row = EncoderInput(image=values.get("IMAGE"), text=None if text is None else text.decode())
        assert request.model_name == ENSEMBLES[row.pattern]
        embedding = FakeEncoder(contract).embed(row)
        if isinstance(embedding, TwinshelfError):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"in ensemble '{request.model_name}', {embedding.message}",
            )
        half = embedding.image if embedding.text is None else embedding.text
        assert half is not None
        return half
