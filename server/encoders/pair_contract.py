"""The contract of the pair scorer: what `export.pair_scorer` stamped into its ensemble."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Self

from tritonclient.grpc.model_config_pb2 import ModelConfig

from twinshelf.server.encoders.modalities import Pattern
from twinshelf.server.errors import EncoderContractError, PairScorerMissingError

PAIR_PARAMETER: Final = "twinshelf_pair_contract"
# Asked one after the other: their ensemble answers the probability alone, and one that also told
# the features, which its second step reads, would deadlock.
FEATURES_MODEL, CLASSIFIER_MODEL = "pair_features", "pair_classifier"
READABLE_VERSION: Final = 3
_MODALITIES: Final = {
    "image_cosine": Pattern.IMAGE,
    "text_cosine": Pattern.TEXT,
    "fused_cosine": Pattern.BOTH,
}
# Of precomputed vectors alone; whoever reads it is handed a fourth cosine.
_MAIN_IMAGE: Final = "main_image_cosine"
PUBLISH_COMMAND: Final = "python -m twinshelf.export.pair_scorer --run runs/pairs --version"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairContract:
    """What a reader of pair probabilities must know of the scorer.

    Attributes:
        digest: "sha256:" and 64 hex digits.
        version: Version in the model repository, 1 or more.
        feature_names: Features (F) in the order of the classifier.
        threshold: Probability from which on a pair counts as a match, 0 to 1.
        has_encoder: Whether it was trained on cosines of an encoder; without one, the cosines
            among its features are of precomputed vectors, and unknown here.
        max_batch_size: Most pairs that the models take at once, 1 or more.
    """

    digest: str
    version: int
    feature_names: tuple[str, ...]
    threshold: float
    has_encoder: bool
    max_batch_size: int

    @property
    def pattern(self) -> Pattern:
        """Modalities whose cosines it reads."""
        found = Pattern.NONE
        for name in self.feature_names if self.has_encoder else ():
            found = Pattern(found | _MODALITIES.get(name, Pattern.NONE))
        return found

    def reads(self, cosine: str) -> bool:
        """Tells whether a cosine, such as "image_cosine", is among its features and known here."""
        return self.has_encoder and cosine in self.feature_names

    @property
    def cosine_count(self) -> int:
        """Cosines that a pair is handed over with."""
        return 4 if _MAIN_IMAGE in self.feature_names else 3

    @classmethod
    def from_config(cls, config: ModelConfig) -> Self:
        """Reads the contract from the configuration of the ensemble.

        Raises:
            EncoderContractError: If there is none, it is malformed, or of another kind than this
                server reads.
        """
        try:
            values = json.loads(config.parameters[PAIR_PARAMETER].string_value)
            if values["contract_version"] != READABLE_VERSION:
                raise ValueError(
                    f"contract_version must be {READABLE_VERSION}, got {values['contract_version']}"
                )
            (version,) = config.version_policy.specific.versions
            return cls(
                digest=str(values["digest"]),
                version=int(version),
                feature_names=tuple(map(str, values["feature_names"])),
                threshold=float(values["threshold"]),
                has_encoder=bool(values["has_encoder"]),
                max_batch_size=max(1, config.max_batch_size),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise EncoderContractError(
                f"the contract of the pair scorer cannot be read ({error}); publish the scorer "
                f"again: {PUBLISH_COMMAND} N"
            ) from None


def missing_scorer(encoder_version: int) -> PairScorerMissingError:
    """Returns the error of a service without a pair scorer, which says how to get one.

    Args:
        encoder_version: Version of the encoder that it would stand beside.
    """
    return PairScorerMissingError(
        f"no pair scorer is served beside encoder version {encoder_version}: train one with "
        f"`make pairs`, publish it with `{PUBLISH_COMMAND} {encoder_version}`, and start Triton "
        "(or a service with --encoder local) again"
    )
