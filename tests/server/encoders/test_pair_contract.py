"""The contract of the pair scorer, as it stands in the configuration of its ensemble."""

from __future__ import annotations

import json

import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from tests.server.fake_pair_models import make_pair_contract
from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.encoders.pair_contract import PAIR_PARAMETER, PairContract
from twinshelf.server.errors import EncoderContractError


def make_config(**changes: object) -> ModelConfig:
    values = {
        "contract_version": 3,
        "digest": "sha256:" + "b" * 64,
        "feature_names": ["text_cosine", "price_log_ratio"],
        "threshold": 0.4,
        "has_encoder": True,
    }
    config = ModelConfig(name="pair_scorer", max_batch_size=32)
    config.version_policy.specific.versions.append(7)
    config.parameters[PAIR_PARAMETER].string_value = json.dumps(values | changes)
    return config


def test_version_and_batch_size_are_those_of_the_configuration() -> None:
    contract = PairContract.from_config(make_config())
    assert (contract.version, contract.max_batch_size) == (7, 32)
    assert (contract.threshold, contract.feature_names[1]) == (0.4, "price_log_ratio")


@pytest.mark.parametrize(
    ("names", "has_encoder", "pattern"),
    [
        (("price_log_ratio",), True, Pattern.NONE),
        (("image_cosine",), True, Pattern.IMAGE),
        (("text_cosine",), True, Pattern.TEXT),
        (("fused_cosine",), True, Pattern.BOTH),
        (("text_cosine", "image_cosine"), True, Pattern.BOTH),
        # Trained on precomputed vectors, which a service has none of.
        (("text_cosine", "main_image_cosine"), False, Pattern.NONE),
    ],
)
def test_only_modalities_whose_cosines_are_read_are_embedded(
    names: tuple[str, ...], has_encoder: bool, pattern: Pattern
) -> None:
    contract = make_pair_contract(feature_names=names, has_encoder=has_encoder)
    assert contract.pattern is pattern
    assert contract.reads(names[0]) == (has_encoder)
    assert contract.cosine_count == (4 if "main_image_cosine" in names else 3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(), "cannot be read"),
        (make_config(contract_version=1), "contract_version must be 3, got 1"),
        (make_config(threshold="high"), "publish the scorer again"),
        (make_config(feature_names=None), "publish the scorer again"),
    ],
)
def test_a_contract_that_cannot_be_read_is_named(config: ModelConfig, message: str) -> None:
    with pytest.raises(EncoderContractError, match=message):
        PairContract.from_config(config)
