"""Stamps of trainings."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.quality.stamps import digest_inputs, is_stamped, remove_stamp, write_stamp


def make(folder: Path, text: str = "a,b", photo: bytes = b"photo") -> Path:
    folder.mkdir(parents=True)
    (folder / "list.csv").write_text(text)
    (folder / "photo.jpg").write_bytes(photo)
    return folder


def test_a_digest_does_not_depend_on_where_the_data_lie(tmp_path: Path) -> None:
    first, second = make(tmp_path / "x" / "data"), make(tmp_path / "y" / "data")
    assert digest_inputs(["train"], [first]) == digest_inputs(["train"], [second])


@pytest.mark.parametrize("change", [{"text": "a,c"}, {"photo": b"another"}])
def test_a_digest_depends_on_lists_and_on_sizes(tmp_path: Path, change: dict) -> None:
    first, second = make(tmp_path / "x" / "data"), make(tmp_path / "y" / "data", **change)
    assert digest_inputs(["train"], [first]) != digest_inputs(["train"], [second])


def test_a_digest_depends_on_the_options(tmp_path: Path) -> None:
    data = make(tmp_path / "data")
    assert digest_inputs(["a"], [data]) != digest_inputs(["b"], [data])


def test_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        digest_inputs([], [tmp_path / "gone"])


def test_only_the_same_stamp_counts(tmp_path: Path) -> None:
    assert not is_stamped(tmp_path, "x")
    write_stamp(tmp_path / "run", "x")
    assert is_stamped(tmp_path / "run", "x") and not is_stamped(tmp_path / "run", "y")
    remove_stamp(tmp_path / "run")
    assert not is_stamped(tmp_path / "run", "x")
