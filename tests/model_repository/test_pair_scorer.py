"""The pair scorer in the real Triton, against the trained scorer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient import grpc as triton
from tritonclient.utils import InferenceServerException

from tests.export.trained_pairs import THRESHOLD, cosines_for, make_pair_run
from tests.model_repository.triton_calls import as_bytes, infer, infer_together
from tests.training.pairs.made_pairs import make_pairs
from twinshelf.export.pair_scorer_publishing import publish_pair_scorer
from twinshelf.server.triton.process import TritonServer
from twinshelf.server.triton.triton_config import TritonConfig
from twinshelf.training.pairs.records import record_to_json
from twinshelf.training.pairs.scorer import PairScorer

pytestmark = pytest.mark.triton

# float32 sums of leaves against float64 ones
TOLERANCE = 1e-5
SIDES = [(pair.left, pair.right) for pair in make_pairs(24, seed=5)]
COSINES = cosines_for(24, seed=5)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> tuple[PairScorer, Path]:
    folder = tmp_path_factory.mktemp("pairs")
    scorer = make_pair_run(folder / "run")
    publish_pair_scorer(folder / "run", folder / "models", version=2)
    return scorer, folder / "models"


@pytest.fixture(scope="module")
def pair_client(
    scorer: tuple[PairScorer, Path],
) -> Iterator[triton.InferenceServerClient]:
    settings = TritonConfig(model_repository=scorer[1], version=2, models=("pair_scorer",))
    with (
        TritonServer(settings) as server,
        triton.InferenceServerClient(server.grpc_address) as connected,
    ):
        yield connected


def request(*numbers: int) -> dict[str, np.ndarray]:
    return {
        "LEFT": as_bytes([record_to_json(SIDES[n][0]).encode() for n in numbers]),
        "RIGHT": as_bytes([record_to_json(SIDES[n][1]).encode() for n in numbers]),
        "COSINES": np.array(
            [[COSINES[n].image, COSINES[n].text, COSINES[n].fused] for n in numbers], np.float32
        ),
    }


def test_probabilities_are_those_of_the_trained_scorer(
    pair_client: triton.InferenceServerClient, scorer: tuple[PairScorer, Path]
) -> None:
    expected = scorer[0].score(SIDES, COSINES)
    answers = infer_together(pair_client, "pair_scorer", [request(n) for n in range(len(SIDES))])
    found = [answer["PROBABILITY"][0, 0] for answer in answers]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert np.std(found) > 0.1


def test_rows_of_a_batch_equal_single_rows(
    pair_client: triton.InferenceServerClient, scorer: tuple[PairScorer, Path]
) -> None:
    found = infer(pair_client, "pair_scorer", **request(*range(24)))["PROBABILITY"]
    np.testing.assert_allclose(found[:, 0], scorer[0].score(SIDES, COSINES), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("tensor", "value", "message"),
    [
        ("LEFT", as_bytes([b"{broken"]), "row 0: LEFT is not JSON"),
        ("RIGHT", as_bytes([b'{"name": "tv"}']), "row 0: RIGHT unknown field 'name'"),
        ("LEFT", as_bytes([b"\xff\xfe"]), "row 0: LEFT"),
        ("COSINES", np.array([[0, 2, 0]], np.float32), "COSINES must be -1 to 1"),
    ],
)
def test_a_broken_request_fails_alone(
    pair_client: triton.InferenceServerClient,
    scorer: tuple[PairScorer, Path],
    tensor: str,
    value: np.ndarray,
    message: str,
) -> None:
    requests = [request(n) for n in range(6)]
    requests[3][tensor] = value
    answers = infer_together(pair_client, "pair_scorer", requests)
    refused = answers.pop(3)
    assert isinstance(refused, InferenceServerException)
    assert refused.status() == "StatusCode.INVALID_ARGUMENT"
    assert message in refused.message()
    expected = np.delete(scorer[0].score(SIDES[:6], COSINES[:6]), 3)
    found = [answer["PROBABILITY"][0, 0] for answer in answers]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_the_contract_is_read_from_the_ensemble(
    pair_client: triton.InferenceServerClient, scorer: tuple[PairScorer, Path]
) -> None:
    parameters = pair_client.get_model_config("pair_scorer").config.parameters
    contract = json.loads(parameters["twinshelf_pair_contract"].string_value)
    assert contract["threshold"] == THRESHOLD
    assert contract["feature_names"] == list(scorer[0].feature_names)
