"""Publishing of the pair scorer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

import twinshelf.export.pair_scorer_publishing as publishing
from tests.export.trained_pairs import THRESHOLD, make_pair_run
from twinshelf.export.pair_scorer import main
from twinshelf.export.pair_scorer_graph import classifier_graph
from twinshelf.export.pair_scorer_repository import MODELS, PARAMETER, vendor_features
from twinshelf.export.repository import taken_versions
from twinshelf.server.triton.manifest import check_files, read_manifests
from twinshelf.server.triton.repository import (
    check_version,
    config_path,
    models_with_steps,
    read_config,
)
from twinshelf.training.pairs.scorer import PairScorer

pytestmark = pytest.mark.slow


def publish(run: Path, repository: Path, *options: str) -> int:
    return main(["--run", str(run), "--repository", str(repository), *options])


def files(repository: Path) -> dict[str, bytes]:
    found = (path for path in repository.rglob("*") if path.is_file())
    return {str(path.relative_to(repository)): path.read_bytes() for path in found}


def contract_of(repository: Path, version: int) -> dict:
    config = read_config(config_path(repository, "pair_scorer", version))
    return json.loads(config.parameters[PARAMETER].string_value)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    make_pair_run(folder)
    return folder


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    make_pair_run(folder, seed=2)
    return folder


@pytest.fixture
def repository(run: Path, tmp_path: Path) -> Path:
    assert publish(run, tmp_path / "models") == 0
    return tmp_path / "models"


def test_a_published_version_is_complete_for_triton(repository: Path, run: Path) -> None:
    check_version(repository, 1, ("pair_scorer",))
    feature_count = len(PairScorer.load(run).feature_names)
    for model in MODELS:
        config = read_config(config_path(repository, model, 1))
        assert list(config.version_policy.specific.versions) == [1]
        assert all(step.model_version == 1 for step in config.ensemble_scheduling.step)
        for tensor in (*config.input, *config.output):
            assert tensor.name != "FEATURES" or list(tensor.dims) == [feature_count]
        for sample in config.model_warmup:
            for tensor in (t for name, t in sample.inputs.items() if name == "FEATURES"):
                assert list(tensor.dims) == [feature_count]
        assert (repository / model / "config.pbtxt").is_file()
    assert (repository / "pair_features" / "warmup" / "left").is_file()
    assert not list(repository.rglob("__pycache__"))
    assert not list(repository.glob(".publishing-*"))


@pytest.mark.parametrize(("with_main_images", "count"), [(False, 3), (True, 4)])
def test_a_version_takes_the_cosine_of_main_pictures_only_where_it_reads_it(
    tmp_path: Path, with_main_images: bool, count: int
) -> None:
    make_pair_run(tmp_path / "run", with_main_images=with_main_images)
    assert publish(tmp_path / "run", tmp_path / "models") == 0
    names = contract_of(tmp_path / "models", 1)["feature_names"]
    assert ("main_image_cosine" in names) == with_main_images
    for model in ("pair_features", "pair_scorer"):
        config = read_config(config_path(tmp_path / "models", model, 1))
        sizes = {tensor.name: list(tensor.dims) for tensor in config.input}
        assert sizes == {"LEFT": [1], "RIGHT": [1], "COSINES": [count]}
        warmed = [list(sample.inputs["COSINES"].dims) for sample in config.model_warmup]
        assert warmed == [[count]] * (model == "pair_features")


def test_the_contract_says_what_was_published(repository: Path, run: Path) -> None:
    contract = contract_of(repository, 1)
    assert contract["feature_names"] == list(PairScorer.load(run).feature_names)
    assert contract["threshold"] == THRESHOLD
    assert contract["validation"]["f1"] == 0.9
    assert contract["digest"].startswith("sha256:") and len(contract["digest"]) == 71
    assert contract["neural_share"] == contract["published_neural_share"] == 0


def test_every_file_is_listed_for_the_server_to_check(repository: Path) -> None:
    models = models_with_steps(repository, ("pair_scorer",), 1)
    check_files(repository, 1, models, read_manifests(repository, 1))
    (manifest,) = read_manifests(repository, 1)
    assert manifest.models() == set(models)
    assert manifest.digest == contract_of(repository, 1)["digest"]


def test_a_neural_share_is_told_as_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_pair_run(tmp_path / "run", neural_share=0.3)
    assert publish(tmp_path / "run", tmp_path / "models") == 0
    contract = contract_of(tmp_path / "models", 1)
    assert (contract["neural_share"], contract["published_neural_share"]) == (0.3, 0)
    assert "the cross-encoder, which has a share of 0.3" in caplog.text


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_the_graph_answers_any_batch_and_gaps(run: Path, batch_size: int) -> None:
    scorer = PairScorer.load(run)
    session = onnxruntime.InferenceSession(classifier_graph(scorer))
    rows = np.random.default_rng(0).random((batch_size, len(scorer.feature_names)))
    features: npt.NDArray[np.float32] = np.where(rows < 0.3, np.nan, rows).astype(np.float32)
    (found,) = session.run(["PROBABILITY"], {"FEATURES": features})
    assert found.shape == (batch_size, 1) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], scorer.score_features(features), atol=1e-5)
    assert [output.name for output in session.get_outputs()] == ["PROBABILITY"]


def test_equal_scorers_give_equal_graphs(run: Path) -> None:
    assert classifier_graph(PairScorer.load(run)) == classifier_graph(PairScorer.load(run))


def test_publishing_the_same_again_changes_nothing(
    run: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    for options in ((), ("--version", "1"), ("--force",)):
        assert publish(run, repository, *options) == 0
        assert "unchanged: version 1 of " in capsys.readouterr().out
    assert files(repository) == before


def test_another_scorer_takes_the_next_version_and_replaces_only_when_told(
    other_run: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    assert publish(other_run, repository, "--version", "1") == 1
    assert "holds another pair scorer" in capsys.readouterr().err
    assert files(repository) == before
    assert publish(other_run, repository) == 0
    assert taken_versions(repository, MODELS) == [1, 2]
    assert before.items() <= files(repository).items()
    assert publish(other_run, repository, "--version", "1", "--force") == 0
    assert contract_of(repository, 1) == contract_of(repository, 2)


def test_a_version_of_the_users_choice_is_taken(run: Path, tmp_path: Path) -> None:
    assert publish(run, tmp_path, "--version", "7") == 0
    assert taken_versions(tmp_path, MODELS) == [7]
    check_version(tmp_path, 7, ("pair_scorer",))


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [
        ("pair_tokens.py", '_INNER_MARKS.sub("", word)', "word"),
        ("statistics.py", "/ (1 + df)) + 1.0", "/ (1 + df)) + 2.0"),
    ],
)
def test_features_that_differ_do_not_pass_the_gate(
    other_run: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    right: str,
    wrong: str,
) -> None:
    vendor = vendor_features

    def vendor_wrongly(folder: Path) -> None:
        vendor(folder)
        path = folder / "pairs" / source
        text = path.read_text()
        assert right in text
        path.write_text(text.replace(right, wrong))

    monkeypatch.setattr(publishing, "vendor_features", vendor_wrongly)
    before = files(repository)
    assert publish(other_run, repository) == 1
    assert "probe pair" in capsys.readouterr().err
    assert files(repository) == before


def test_a_part_of_smaller_batches_than_the_ensemble_is_refused(
    other_run: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "pair_features" / "config.pbtxt"
    path.write_text(path.read_text().replace("max_batch_size: 32", "max_batch_size: 8"))
    assert publish(other_run, repository) == 1
    assert "pair_features has max_batch_size 8 and pair_scorer" in capsys.readouterr().err


def test_a_graph_that_differs_does_not_pass_the_gate(
    run: Path,
    other_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, other = PairScorer.load(run), PairScorer.load(other_run)
    assert other.feature_names == ours.feature_names
    monkeypatch.setattr(publishing, "classifier_graph", lambda scorer: classifier_graph(other))
    assert publish(run, tmp_path / "models") == 1
    assert "away from the trained" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("pairs.json", "holds no whole pair scorer"),
        ("boosting.joblib", "holds no whole pair scorer"),
        ("probes.jsonl", "probes.jsonl"),
    ],
)
def test_an_incomplete_run_is_refused_in_words(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str, message: str
) -> None:
    broken = shutil.copytree(run, tmp_path / "run")
    (broken / missing).unlink()
    assert publish(broken, tmp_path / "models") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


# numpy leaves a cut archive open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kept", [0.0, 0.5])
@pytest.mark.parametrize(
    "damaged", ["boosting.joblib", "statistics.npz", "pair_scorer.json", "pairs.json"]
)
def test_a_damaged_file_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damaged: str, kept: float
) -> None:
    broken = shutil.copytree(run, tmp_path / "run")
    content = (broken / damaged).read_bytes()
    (broken / damaged).write_bytes(content[: int(kept * len(content))])
    assert publish(broken, tmp_path / "models") == 1
    assert f"{broken / damaged} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("lacking", ["has_encoder", "neural_share", "validation"])
def test_settings_that_lack_something_are_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lacking: str
) -> None:
    broken = shutil.copytree(run, tmp_path / "run")
    settings = json.loads((broken / "pairs.json").read_text())
    del settings[lacking]
    (broken / "pairs.json").write_text(json.dumps(settings))
    assert publish(broken, tmp_path / "models") == 1
    assert f"pairs.json is damaged: KeyError('{lacking}')" in capsys.readouterr().err


def test_a_run_without_probes_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(run, tmp_path / "run")
    (broken / "probes.jsonl").write_text("")
    assert publish(broken, tmp_path / "models") == 1
    assert "no probe pairs" in capsys.readouterr().err


def test_publishing_needs_no_torch() -> None:
    code = "import sys, twinshelf.export.pair_scorer_publishing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
