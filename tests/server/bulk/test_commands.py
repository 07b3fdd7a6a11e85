"""`twinshelf embed` and `twinshelf load` as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.bulk.bulk_files import BulkFiles
from twinshelf.client.cli import main
from twinshelf.client.commands.options import FAILED, UNUSABLE_INPUT
from twinshelf.server.bulk import workers
from twinshelf.server.catalogue.rows.file_guard import lock_folder


def embed(bulk: BulkFiles, *further: str) -> int:
    return main(
        [
            *("embed", str(bulk.folder / "products.csv"), "--out", str(bulk.out)),
            *("--model-repository", str(bulk.repository), *further),
        ]
    )


@pytest.mark.slow
def test_what_is_embedded_can_be_loaded(
    bulk: BulkFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(bulk, "--workers", "1", "--json") == FAILED  # three rows of it are bad
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["stored_count"] == 97 and lines[-1]["failed_count"] == len(lines) - 1 == 3
    catalogue = bulk.folder / "catalogue"
    assert main(["load", str(bulk.out), "--catalogue", str(catalogue)]) == 0
    assert "97 products stored" in capsys.readouterr().out


@pytest.mark.slow
def test_a_served_catalogue_is_not_written(
    bulk: BulkFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    embed(bulk, "--workers", "1")
    catalogue = bulk.folder / "catalogue"
    catalogue.mkdir()
    with lock_folder(catalogue):
        assert main(["load", str(bulk.out), "--catalogue", str(catalogue)]) == FAILED
    assert "is served by another process" in capsys.readouterr().err


def test_several_workers_without_ray_say_what_to_install(
    bulk: BulkFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    assert embed(bulk, "--workers", "2") == UNUSABLE_INPUT
    assert ".[bulk]" in capsys.readouterr().err


@pytest.mark.slow
def test_without_ray_one_worker_is_the_default(
    bulk: BulkFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    monkeypatch.setattr(workers, "_core_count", lambda: 64)
    embed(bulk)
    assert bulk.table().num_rows == 100


def test_the_folder_of_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", str(tmp_path)]) == UNUSABLE_INPUT
    assert "twinshelf embed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("catalogue", "imports", "reason"),
    [
        ("catalogue", "imports", "needs --catalogue milvus://"),
        ("milvus-lite:///tmp/catalogue.db", "imports", "needs --catalogue milvus://"),
        ("milvus://127.0.0.1:1/shop", "hdfs://host/imports", "must be a path"),
    ],
)
def test_an_import_that_cannot_be_is_refused(
    catalogue: str,
    imports: str,
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--catalogue", catalogue, "--import-folder", imports]
    assert main(["load", str(tmp_path), *options]) == UNUSABLE_INPUT
    assert reason in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.parametrize("command", ["embed", "load", "unload"])
def test_help_imports_nothing_heavy(command: str) -> None:
    check = (
        "import sys; from twinshelf.client.cli import main; "
        f"status = main(['{command}', '--help']); "
        "heavy = {'ray', 'onnxruntime', 'pyarrow', 'grpc', 'numpy'} & sys.modules.keys(); "
        "sys.exit(status or repr(heavy) if heavy else status)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)
