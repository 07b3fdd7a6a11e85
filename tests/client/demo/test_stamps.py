"""Stamps: what makes a step run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.demo.stamps import Stamp, digest_inputs, read_stamp, write_stamp


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "code.py").write_text("a = 1\n")
    (folder / "photo.jpg").write_bytes(b"photo")
    return folder


def test_the_digest_is_the_same_for_the_same_inputs(folder: Path) -> None:
    assert digest_inputs(["a"], [folder]) == digest_inputs(["a"], [folder])


def test_arguments_are_told_apart(folder: Path) -> None:
    digests = {digest_inputs(each, []) for each in (["a", "b"], ["ab"], ["a"], ["b", "a"])}
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("name", "content"),
    [("part/code.py", "a = 2\n"), ("part/new.py", ""), ("photo.jpg", "another photo")],
)
def test_a_changed_or_new_file_changes_the_digest(folder: Path, name: str, content: str) -> None:
    before = digest_inputs([], [folder])
    (folder / name).write_text(content)
    assert digest_inputs([], [folder]) != before


def test_a_file_that_is_written_anew_with_the_same_text_changes_nothing(folder: Path) -> None:
    before = digest_inputs([], [folder])
    (folder / "part" / "code.py").write_text("a = 1\n")
    assert digest_inputs([], [folder]) == before


def test_compiled_files_do_not_count_and_missing_ones_do(folder: Path) -> None:
    before = digest_inputs([], [folder])
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "code.pyc").write_bytes(b"x")
    assert digest_inputs([], [folder]) == before
    gone = folder / "gone.csv"
    absent = digest_inputs([], [gone])
    gone.touch()
    assert digest_inputs([], [gone]) != absent


def test_a_stamp_is_read_as_it_was_written(tmp_path: Path) -> None:
    stamp = Stamp(digest="d", facts={"version": "3"})
    write_stamp(tmp_path / "stamps" / "export.json", stamp)
    assert read_stamp(tmp_path / "stamps" / "export.json") == stamp


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"digest": 1'])
def test_a_stamp_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "stamp.json").write_text(text)
    assert read_stamp(tmp_path / "stamp.json") is None
    assert read_stamp(tmp_path / "no.json") is None
