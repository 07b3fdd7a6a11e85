"""Publishing through the command: versions side by side, refusals in words, nothing half done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.export.tiny_run import make_run
from twinshelf.export import publishing
from twinshelf.export.__main__ import main
from twinshelf.export.configurations import stamped_contract
from twinshelf.export.encoder_models import ENSEMBLES, MODELS, PRODUCT_ENCODER
from twinshelf.export.probes import photo_probes, text_probes
from twinshelf.export.record import CATEGORIES
from twinshelf.export.reference import TorchReference
from twinshelf.export.repository import copy_sources, taken_versions
from twinshelf.server.encoders.contract import EncoderContract
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.server.encoders.python_model import bytes_column
from twinshelf.server.triton.repository import check_version, config_path, read_config
from twinshelf.training.checkpoint import load_encoder

pytestmark = pytest.mark.slow


def export(run: Path, repository: Path, *options: str) -> int:
    return main(["--run", str(run), "--repository", str(repository), *options])


def embed(repository: Path, photos: list[bytes], texts: list[str]) -> np.ndarray:
    inputs = {"IMAGE": bytes_column(photos), "TEXT": bytes_column([t.encode() for t in texts])}
    return PublishedVersion(repository, 1, ENSEMBLES).run(PRODUCT_ENCODER, inputs)["EMBEDDING"]


def files(repository: Path) -> dict[str, bytes]:
    found = (path for path in repository.rglob("*") if path.is_file())
    return {str(path.relative_to(repository)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("other"), seed=8)


def test_a_published_version_is_complete_for_triton_and_the_server(published: Path) -> None:
    check_version(published, 1)
    config = read_config(config_path(published, "product_encoder", 1))
    contract = EncoderContract.from_json(stamped_contract(config) or "")
    assert contract.version == 1
    assert contract.dimension == 24
    for model in MODELS:
        assert (published / model / "1").is_dir()
        assert (published / model / "config.pbtxt").is_file()
    assert not list(published.rglob("__pycache__"))
    assert not list(published.glob(".publishing-*"))


def test_the_copied_sources_import_nothing_of_ours(published: Path) -> None:
    for source in (published / "image_preprocess" / "1" / "preprocessing").glob("*.py"):
        text = source.read_text("utf-8")
        assert "import twinshelf" not in text and "from twinshelf" not in text


def test_a_copied_version_needs_nothing_of_ours_but_its_files(
    reference: TorchReference, published: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(published, tmp_path / "elsewhere")
    photos, texts = [photo_probes()[1].data], [text_probes()[3]]
    found = embed(copied, photos, texts)
    expected = reference.encode_products(photos, texts)["EMBEDDING"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_run_that_cannot_be_written_to_is_published_all_the_same(
    run: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = shutil.copytree(run, tmp_path / "run")
    (closed / "version.txt").unlink(missing_ok=True)
    (closed / "version.txt").mkdir()
    assert export(closed, repository) == 0
    assert "version 1 of" in capsys.readouterr().out


def test_publishing_the_same_again_changes_nothing(
    run: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    for options in ((), ("--version", "1"), ("--version", "1", "--force")):
        assert export(run, repository, *options) == 0
        assert capsys.readouterr().out.startswith("unchanged: version 1 of ")
    assert files(repository) == before


def test_another_run_takes_the_next_version_and_replaces_only_when_told(
    run: Path, other_run: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(repository)
    assert export(other_run, repository, "--version", "1") == 1
    error = capsys.readouterr().err
    assert "version 1 of" in error and "--force" in error and error.count("sha256:") == 2
    assert files(repository) == before

    assert export(other_run, repository) == 0
    assert capsys.readouterr().out.startswith("published: version 2 of ")
    assert taken_versions(repository, MODELS) == [1, 2]
    assert before.items() <= files(repository).items()

    assert export(other_run, repository, "--version", "1", "--force") == 0
    photos, texts = [photo_probes()[0].data], [text_probes()[0]]
    found = embed(repository, photos, texts)
    expected = TorchReference(load_encoder(other_run)).encode_products(photos, texts)["EMBEDDING"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_new_calibration_keeps_the_digest_but_needs_its_own_version(
    run: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recalibrated = shutil.copytree(run, tmp_path / "run")
    values = json.loads((run / "calibration.json").read_text())
    values["match_probability"]["match_prior"] = 0.8
    (recalibrated / "calibration.json").write_text(json.dumps(values))
    assert export(recalibrated, repository, "--version", "1") == 1
    assert "holds the same encoder with another contract" in capsys.readouterr().err
    assert export(recalibrated, repository) == 0
    contracts = [
        json.loads(stamped_contract(read_config(config_path(repository, "text_encoder", v))) or "")
        for v in (1, 2)
    ]
    assert contracts[0]["digest"] == contracts[1]["digest"]
    priors = [contract["match_probability"]["match_prior"] for contract in contracts]
    assert priors == [0.5, 0.8]


def test_votes_of_another_making_are_refused_in_words(
    run: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = shutil.copytree(run, tmp_path / "run")
    (older / CATEGORIES).parent.mkdir(parents=True)
    (older / CATEGORIES).write_text('{"label": "category", "patterns": {}}')
    assert export(older, repository) == 1
    assert "run `make categories` again" in capsys.readouterr().err


def test_new_batching_of_the_same_encoder_is_written_without_force(
    run: Path, repository: Path
) -> None:
    path = repository / "image_tower" / "config.pbtxt"
    path.write_text(path.read_text().replace("preferred_batch_size: [ 4, 8 ]", ""))
    assert export(run, repository, "--version", "1") == 0
    config = read_config(config_path(repository, "image_tower", 1))
    assert not config.dynamic_batching.preferred_batch_size


def test_a_tower_of_smaller_batches_than_its_ensemble_is_refused(
    run: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "image_tower" / "config.pbtxt"
    path.write_text(path.read_text().replace("max_batch_size: 32", "max_batch_size: 8"))
    before = files(repository)
    assert export(run, repository, "--version", "2") == 1
    assert "image_tower has max_batch_size 8 and image_encoder" in capsys.readouterr().err
    assert files(repository) == before


def test_a_failed_gate_leaves_the_repository_as_it_was(
    other_run: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    copy = copy_sources

    def copy_wrongly(names: list[str], source: Path, target: Path) -> None:
        copy(names, source, target)
        images = target / "images.py"
        images.write_text(images.read_text().replace("BICUBIC", "NEAREST"))

    monkeypatch.setattr(publishing, "copy_sources", copy_wrongly)
    before = files(repository)
    assert export(other_run, repository) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: nothing was published: image_encoder on a photo (landscape): ")
    assert "PIXELS differs in" in error
    assert files(repository) == before
    assert export(other_run, tmp_path / "new") == 1
    assert not (tmp_path / "new").exists()


def test_a_run_without_calibration_is_refused_unless_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path, calibration=None)
    assert export(run, tmp_path / "models") == 1
    assert "python -m twinshelf.training.evaluation" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_cpu_without_vnni_publishes_nothing_for_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(publishing, "has_vnni", lambda: False)
    assert export(run, tmp_path / "models", "--precision", "int8-vnni") == 1
    assert "publish with --precision int8, for any CPU" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_run_that_is_not_there_is_answered_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(Path("nowhere"), tmp_path / "models") == 1
    assert "there is no run nowhere" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_run_that_cannot_be_read_is_answered_in_words(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(run, tmp_path / "run")
    (broken / "weights.safetensors").write_bytes(b"not weights")
    assert export(broken, tmp_path / "models") == 1
    assert f"the run {broken} cannot be loaded" in capsys.readouterr().err
