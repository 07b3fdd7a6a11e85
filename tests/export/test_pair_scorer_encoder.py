"""A pair scorer stands beside the encoder whose cosines it was trained with, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.export.tiny_run import make_run
from tests.export.trained_pairs import make_pair_run
from twinshelf.export.__main__ import main as export
from twinshelf.export.encoder_models import record_path
from twinshelf.export.pair_scorer import main as export_scorer
from twinshelf.export.pair_scorer_repository import MODELS, read_pair_contract
from twinshelf.export.record import trained_digest
from twinshelf.export.repository import taken_versions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair_run(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    make_pair_run(folder, encoder_run=run)
    return folder


def publish(pair_run: Path, repository: Path, *options: str) -> int:
    return export_scorer(["--run", str(pair_run), "--repository", str(repository), *options])


def change_record(repository: Path, version: int, **changed: str | None) -> None:
    """Changes the record of version 1, and writes it as that of a version; None leaves out."""
    values = json.loads(record_path(repository, 1).read_text()) | changed
    path = record_path(repository, version)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({name: value for name, value in values.items() if value}))


def test_a_scorer_stands_beside_its_encoder(
    run: Path, pair_run: Path, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert publish(pair_run, repository, "--version", "1") == 0
    contract = read_pair_contract(repository, 1)
    assert contract is not None and contract["encoder"] == trained_digest(run)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("right", "advice"),
    [(None, "train a scorer with the run of this one (--encoder-run)"), (3, "--version 3")],
)
def test_a_scorer_beside_another_encoder_is_refused(
    pair_run: Path,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
    right: int | None,
    advice: str,
) -> None:
    if right:
        change_record(repository, right)
    change_record(repository, 1, trained="0" * 64)
    for options in (("--version", "1"), ("--version", "1", "--force"), ()):
        assert publish(pair_run, repository, *options) == 1
        error = capsys.readouterr().err
        assert "the cosines of another encoder than version 1" in error and advice in error
    assert taken_versions(repository, MODELS) == []


def test_an_encoder_of_an_older_export_is_told_of(
    pair_run: Path, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    change_record(repository, 1, trained=None)
    assert publish(pair_run, repository, "--version", "1") == 0
    assert "whether the scorer was trained with encoder version 1 is not known" in caplog.text


def test_an_encoder_beside_the_scorer_of_another_is_refused(
    pair_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository, other = tmp_path / "models", make_run(tmp_path, seed=8)
    assert publish(pair_run, repository) == 0
    capsys.readouterr()
    assert export(["--run", str(other), "--repository", str(repository)]) == 1
    assert "the pair scorer of version 1 of" in (error := capsys.readouterr().err)
    assert "--force" in error
    assert not list(repository.glob("product_encoder*"))
