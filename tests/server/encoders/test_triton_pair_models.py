"""The pair scorer of a Triton: found beside the encoder, named when it is not, never in its way."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from tests.server.encoders.test_pair_contract import make_config
from tests.server.fake_triton import FakeTriton
from twinshelf.server.encoders.pair_contract import PAIR_PARAMETER
from twinshelf.server.encoders.pair_cosines import NO_COSINES
from twinshelf.server.encoders.pair_models import Pair, PairRecord
from twinshelf.server.encoders.triton_encoder import TritonEncoder
from twinshelf.server.errors import (
    EncoderContractError,
    EncoderFailedError,
    EncoderUnavailableError,
    PairScorerMissingError,
)

RECORD = PairRecord(title="mug", description="", category="", brand="", price=None, attributes={})
PAIRS = [Pair(left=RECORD, right=RECORD, cosines=NO_COSINES)]


@pytest.fixture
async def encoder(triton: FakeTriton) -> AsyncIterator[TritonEncoder]:
    opened = await TritonEncoder.open(f"127.0.0.1:{triton.port}", version=0, timeout_s=5)
    yield opened
    await opened.close()


async def test_nothing_is_known_before_the_first_look(encoder: TritonEncoder) -> None:
    with pytest.raises(EncoderUnavailableError, match="not been reached"):
        _ = encoder.pairs.contract


async def test_a_missing_scorer_is_named_with_what_helps_and_the_encoder_serves(
    encoder: TritonEncoder,
) -> None:
    assert (await encoder.refresh()).version == 1
    with pytest.raises(PairScorerMissingError, match="export.pair_scorer .* --version 1`"):
        _ = encoder.pairs.contract


async def test_a_published_scorer_is_found_at_the_next_look(
    encoder: TritonEncoder, triton: FakeTriton
) -> None:
    await encoder.refresh()
    triton.pair_config = make_config()
    await encoder.refresh()
    assert encoder.pairs.contract.version == 7


async def test_a_broken_contract_of_the_scorer_leaves_the_encoder_serving(
    encoder: TritonEncoder, triton: FakeTriton
) -> None:
    triton.pair_config = make_config()
    triton.pair_config.parameters[PAIR_PARAMETER].string_value = "{"
    assert (await encoder.refresh()).version == 1
    with pytest.raises(EncoderContractError, match="publish the scorer again"):
        _ = encoder.pairs.contract


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, EncoderUnavailableError),
        (grpc.StatusCode.NOT_FOUND, EncoderUnavailableError),
        (grpc.StatusCode.INTERNAL, EncoderFailedError),
        (grpc.StatusCode.INVALID_ARGUMENT, EncoderFailedError),
    ],
)
async def test_errors_of_triton_keep_their_family(
    encoder: TritonEncoder, triton: FakeTriton, code: grpc.StatusCode, kind: type[Exception]
) -> None:
    triton.pair_config = make_config()
    await encoder.refresh()
    triton.failure = (code, "a secret of the inside")
    with pytest.raises(kind):
        await encoder.pairs.features(PAIRS, encoder.pairs.contract)


async def test_an_answer_of_another_shape_is_a_failure(
    encoder: TritonEncoder, triton: FakeTriton
) -> None:
    triton.pair_config = make_config()
    await encoder.refresh()
    with pytest.raises(EncoderFailedError, match="no answer"):
        await encoder.pairs.features(PAIRS * 2, encoder.pairs.contract)
