"""Publishing through the command: versions side by side, refusals in words, nothing half done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from export import publishing
from export.__main__ import main
from export.configurations import config_path, read_config, stamped_contract
from export.encoder_models import MODELS
from export.probes import photo_probes, text_probes
from export.published import PublishedVersion
from export.reference import TorchReference
from export.repository import taken_versions
from server.encoders.contract import EncoderContract
from server.triton.repository import check_version
from tests.export.tiny_run import make_run
from training.checkpoint import load_encoder


def export(run: Path, repository: Path, *options: str) -> int:
    return main(["--run", str(run), "--repository", str(repository), *options])


def files(repository: Path) -> dict[str, bytes]:
    found = (path for path in repository.rglob("*") if path.is_file())
    return {str(path.relative_to(repository)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("other"), seed=8)


def test_a_published_version_is_complete_for_triton_and_the_server(published: Path):
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


def test_a_copied_version_needs_nothing_of_ours_but_its_files(reference, published, tmp_path):
    copied = shutil.copytree(published, tmp_path / "elsewhere")
    photos, texts = [photo_probes()[1].data], [text_probes()[3]]
    found = PublishedVersion(copied, 1).encode_products(photos, texts)["EMBEDDING"]
    expected = reference.encode_products(photos, texts)["EMBEDDING"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_publishing_the_same_again_changes_nothing(run, repository, capsys):
    before = files(repository)
    for options in ((), ("--version", "1"), ("--version", "1", "--force")):
        assert export(run, repository, *options) == 0
        assert capsys.readouterr().out.startswith("unchanged: version 1 of ")
    assert files(repository) == before


def test_another_run_takes_the_next_version_and_replaces_only_when_told(
    run, other_run, repository, capsys
):
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
    found = PublishedVersion(repository, 1).encode_products(photos, texts)["EMBEDDING"]
    expected = TorchReference(load_encoder(other_run)).encode_products(photos, texts)["EMBEDDING"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_new_calibration_keeps_the_digest_but_needs_its_own_version(
    run, repository, tmp_path, capsys
):
    recalibrated = shutil.copytree(run, tmp_path / "run")
    values = json.loads((run / "calibration.json").read_text())
    values["thresholds"]["both"] = 0.5
    (recalibrated / "calibration.json").write_text(json.dumps(values))
    assert export(recalibrated, repository, "--version", "1") == 1
    assert "holds the same encoder with another contract" in capsys.readouterr().err
    assert export(recalibrated, repository) == 0
    contracts = [
        json.loads(stamped_contract(read_config(config_path(repository, "text_encoder", v))) or "")
        for v in (1, 2)
    ]
    assert contracts[0]["digest"] == contracts[1]["digest"]
    assert [contract["thresholds"]["both"] for contract in contracts] == [0.65, 0.5]


def test_new_batching_of_the_same_encoder_is_written_without_force(run, repository):
    path = repository / "image_tower" / "config.pbtxt"
    path.write_text(path.read_text().replace("preferred_batch_size: [ 4, 8 ]", ""))
    assert export(run, repository, "--version", "1") == 0
    config = read_config(config_path(repository, "image_tower", 1))
    assert not config.dynamic_batching.preferred_batch_size


def test_a_failed_gate_leaves_the_repository_as_it_was(
    other_run, repository, monkeypatch, capsys, tmp_path
):
    vendor = publishing.vendor_preprocessing

    def vendor_wrongly(folder: Path) -> None:
        vendor(folder)
        source = folder / "preprocessing" / "images.py"
        source.write_text(source.read_text().replace("BICUBIC", "NEAREST"))

    monkeypatch.setattr(publishing, "vendor_preprocessing", vendor_wrongly)
    before = files(repository)
    assert export(other_run, repository) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: nothing was published: image_encoder on a photo (landscape): ")
    assert "PIXELS differs in" in error
    assert files(repository) == before
    assert export(other_run, tmp_path / "new") == 1
    assert not (tmp_path / "new").exists()


def test_a_run_without_calibration_is_refused_unless_told(tmp_path, capsys):
    run = make_run(tmp_path, calibration=None)
    assert export(run, tmp_path / "models") == 1
    assert "python -m training.evaluate" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--run", "nowhere"), "there is no run nowhere"),
        (("--version", "0"), "version must be 1 or more, got 0"),
    ],
)
def test_bad_requests_are_answered_in_words(run, tmp_path, capsys, options, message):
    assert export(run, tmp_path / "models", *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_a_run_that_cannot_be_read_is_answered_in_words(run, tmp_path, capsys):
    broken = shutil.copytree(run, tmp_path / "run")
    (broken / "weights.safetensors").write_bytes(b"not weights")
    assert export(broken, tmp_path / "models") == 1
    assert f"the run {broken} cannot be loaded" in capsys.readouterr().err
