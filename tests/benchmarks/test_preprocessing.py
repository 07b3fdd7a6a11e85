"""The comparison of preprocessing at tiny sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from tests.benchmarks import preprocessing
from tests.benchmarks.end_to_end.offers import WORDS
from tests.benchmarks.preprocessing import FORMATS, WORD_COUNTS
from twinshelf.training.checkpoint import PREPROCESSING, TOKENIZER
from twinshelf.training.preprocessing.settings import PreprocessingSettings


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The two files of a run that preprocessing needs."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / PREPROCESSING).write_text(PreprocessingSettings(image_size_px=32).to_json())
    words = {"[UNK]": 0, **{word: number + 1 for number, word in enumerate(WORDS)}}
    tokenizer = Tokenizer(WordLevel(words, "[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / TOKENIZER))
    return folder


@pytest.mark.slow
def test_photos_and_titles_of_every_kind_are_timed(run: Path, tmp_path: Path) -> None:
    assert preprocessing.main(["--run", str(run), "--sides", "48", "--output", str(tmp_path)]) == 0
    tables = json.loads((tmp_path / "preprocessing.json").read_text())["tables"]
    photos, titles = tables["photos, one thread"], tables["titles, one thread"]
    assert [row["format"] for row in photos] == list(FORMATS)
    assert [row["words"] for row in titles] == list(WORD_COUNTS)


def test_other_pixels_than_the_plain_ones_are_not_timed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preprocessing, "MOST_PIXEL_DIFFERENCE", -1.0)
    assert preprocessing.main(["--run", str(run), "--sides", "48", "--output", str(tmp_path)]) == 1
