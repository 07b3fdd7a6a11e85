"""The model `pair_features` of a published version, run here without Triton."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from export.pair_scorer import publish_pair_scorer
from tests.export.trained_pairs import cosines_for, make_pair_run
from tests.model_repository.triton_calls import as_bytes
from tests.training.pairs.made_pairs import make_pairs
from training.pairs.records import record_to_json
from training.pairs.scorer import PairScorer

SIDES = [(pair.left, pair.right) for pair in make_pairs(12, seed=5)]


class FakeTritonError:
    INVALID_ARG = 3

    def __init__(self, message: str, code: int) -> None:
        self.message, self.code = message, code


class FakeResponse:
    def __init__(self, tensors: Any = (), error: FakeTritonError | None = None) -> None:
        self.tensors, self.error = tensors, error


def fake_backend_utils() -> ModuleType:
    """Stands in for the module that exists only inside Triton's stub."""
    module = ModuleType("triton_python_backend_utils")
    module.Tensor = lambda name, array: (name, array)  # type: ignore[attr-defined]
    module.TritonError = FakeTritonError  # type: ignore[attr-defined]
    module.InferenceResponse = FakeResponse  # type: ignore[attr-defined]
    module.get_input_tensor_by_name = (  # type: ignore[attr-defined]
        lambda request, name: SimpleNamespace(as_numpy=lambda: request[name])
    )
    return module


@pytest.fixture
def load_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Any]]:
    """Loads model.py of a version folder with the sources beside it, as the stub does."""

    def load(folder: Path) -> Any:
        monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake_backend_utils())
        monkeypatch.syspath_prepend(folder)
        spec = importlib.util.spec_from_file_location("pair_features_model", folder / "model.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = module.TritonPythonModel()
        model.initialize({})
        return model

    yield load
    # Each version brings a package of this name.
    for name in [name for name in sys.modules if name.split(".")[0] == "pairs"]:
        del sys.modules[name]


def request(cosines: np.ndarray) -> dict[str, np.ndarray]:
    sides = SIDES[: len(cosines)]
    left, right = (as_bytes([record_to_json(s[n]).encode() for s in sides]) for n in (0, 1))
    return {"LEFT": left, "RIGHT": right, "COSINES": cosines.astype(np.float32)}


@pytest.mark.parametrize(("with_main_images", "count"), [(False, 3), (True, 4)])
def test_features_are_those_of_training_by_three_or_four_cosines(
    tmp_path: Path, load_model: Callable[[Path], Any], with_main_images: bool, count: int
) -> None:
    scorer: PairScorer = make_pair_run(tmp_path / "run", with_main_images=with_main_images)
    publish_pair_scorer(tmp_path / "run", tmp_path / "models")
    model = load_model(tmp_path / "models" / "pair_features" / "1")
    cosines = cosines_for(len(SIDES), 5, with_main_images=with_main_images)
    rows = np.array([astuple(each) for each in cosines])[:, :count]

    (answer,) = model.execute([request(rows)])

    ((name, features),) = answer.tensors
    assert name == "FEATURES" and features.shape == (len(SIDES), len(scorer.feature_names))
    expected = scorer.score(SIDES, cosines)
    np.testing.assert_allclose(scorer.score_features(features), expected, atol=1e-12)
    (refused,) = model.execute([request(np.zeros((2, 7 - count)))])
    assert refused.error.code == FakeTritonError.INVALID_ARG
    assert f"COSINES must be (B, {count}), got (2, {7 - count})" in refused.error.message
