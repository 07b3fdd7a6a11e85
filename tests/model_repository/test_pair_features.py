"""The model `pair_features` of a published version, run here without Triton."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from tests.export.trained_pairs import cosines_for, make_pair_run
from tests.model_repository.triton_calls import as_bytes
from tests.training.pairs.made_pairs import make_pairs
from twinshelf.export.pair_scorer_publishing import publish_pair_scorer
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.encoders.python_model import RefusedInputError
from twinshelf.training.pairs.records import record_to_json

pytestmark = pytest.mark.slow

SIDES = [(pair.left, pair.right) for pair in make_pairs(12, seed=5)]


def request(cosines: np.ndarray) -> dict[str, np.ndarray]:
    sides = SIDES[: len(cosines)]
    left, right = (as_bytes([record_to_json(s[n]).encode() for s in sides]) for n in (0, 1))
    return {"LEFT": left, "RIGHT": right, "COSINES": cosines.astype(np.float32)}


@pytest.mark.parametrize(("with_main_images", "count"), [(False, 3), (True, 4)])
def test_a_version_scores_as_the_trained_one_by_three_or_four_cosines(
    tmp_path: Path, with_main_images: bool, count: int
) -> None:
    scorer = make_pair_run(tmp_path / "run", with_main_images=with_main_images)
    publish_pair_scorer(tmp_path / "run", tmp_path / "models")
    version = PublishedVersion(tmp_path / "models", 1, ["pair_scorer"])
    cosines = cosines_for(len(SIDES), 5, with_main_images=with_main_images)
    rows = np.array([astuple(each) for each in cosines])[:, :count]

    tensors = version.run("pair_scorer", request(rows))

    assert tensors["FEATURES"].shape == (len(SIDES), len(scorer.feature_names))
    expected = scorer.score(SIDES, cosines)
    np.testing.assert_allclose(scorer.score_features(tensors["FEATURES"]), expected, atol=1e-12)
    # float32 sums of leaves against float64 ones
    np.testing.assert_allclose(tensors["PROBABILITY"][:, 0], expected, atol=1e-5)
    assert expected.std() > 0.1
    wrong = rf"COSINES must be \(B, {count}\), got \(2, {7 - count}\)"
    with pytest.raises(RefusedInputError, match=wrong):
        version.run("pair_scorer", request(np.zeros((2, 7 - count))))
