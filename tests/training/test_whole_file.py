"""Files appear whole or not at all."""

import pytest

from training.whole_file import write_whole, written_whole


def test_a_file_takes_the_place_of_the_older_one_at_the_end(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("old", "new"):
        with written_whole(path) as partial:
            partial.write_text(text)
            assert not path.exists() or path.read_text() == "old"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_what_breaks_off_leaves_the_older_one_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_that_cannot_be_written_leaves_the_older_one(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_whole(path, "чай\n")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "tea \ud800")
    assert path.read_bytes() == "чай\n".encode()
    assert list(path.parent.iterdir()) == [path]
