"""The list of a version's files: every file once, with its checksum, as the server reads it."""

from __future__ import annotations

from pathlib import Path

from export.digest import digest_files, file_digest, files_digest, version_digest
from export.encoder_models import MODELS
from export.manifest import list_files
from export.record import read_record
from server.triton.manifest import check_files, read_manifests
from server.triton.repository import ENCODERS, models_with_steps


def test_a_published_version_lists_every_file_but_its_record(published: Path):
    record = read_record(published, 1)
    assert record is not None
    # Beside the version there are the committed configurations and thin models of each folder.
    committed = {"config.pbtxt", "model.py"}
    found = {
        path.relative_to(published).as_posix(): file_digest(path)
        for path in published.rglob("*")
        if path.is_file()
        and path.name != "published.json"
        and not (path.parent.parent == published and path.name in committed)
    }
    assert record.files == found


def test_the_server_takes_what_was_published(published: Path):
    names = models_with_steps(published, ENCODERS, 1)
    check_files(published, 1, names, read_manifests(published, 1))


def test_the_digest_is_that_of_the_files_it_names(published: Path):
    record = read_record(published, 1)
    assert record is not None
    assert files_digest(published, [published / name for name in record.digest_files]) == (
        version_digest(published, 1)
    )
    assert record.digest == version_digest(published, 1)


def test_warm_up_comes_from_the_first_repository_that_has_it(published: Path, tmp_path: Path):
    own = tmp_path / "image_preprocess" / "warmup" / "photo"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"our own")
    covered = digest_files(published, 1)

    listed = list_files(published, 1, MODELS, covered, warmup_from=[tmp_path, published])

    assert listed.files["image_preprocess/warmup/photo"] == file_digest(own)
    assert listed.files["text_preprocess/warmup/title"] == file_digest(
        published / "text_preprocess" / "warmup" / "title"
    )


def test_byte_code_is_not_listed(repository: Path):
    before = list_files(repository, 1, MODELS, (), warmup_from=[repository])
    cache = repository / "text_preprocess" / "1" / "preprocessing" / "__pycache__"
    cache.mkdir()
    (cache / "texts.cpython-311.pyc").touch()
    assert list_files(repository, 1, MODELS, (), warmup_from=[repository]) == before
