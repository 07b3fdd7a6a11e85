"""The neural pair scorer, on a tiny encoder of random weights."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import BertModel

from tests.training.pairs.made_pairs import make_pairs
from tests.training.pairs.tiny_text_encoder import make_text_encoder
from twinshelf.server.command_line import read_command_line
from twinshelf.training.catalogues.product import Product
from twinshelf.training.pairs import cross_encoder
from twinshelf.training.pairs.cross_encoder import CrossEncoder, pair_text
from twinshelf.training.pairs.pair_config import CrossEncoderConfig

pytestmark = pytest.mark.slow

PAIRS = make_pairs(24, seed=1)
SIDES = [(pair.left, pair.right) for pair in PAIRS]
LABELS = [pair.is_match for pair in PAIRS]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_text_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def fitted(source: str) -> CrossEncoder:
    # Few pairs, learnt by heart: what is tested is that it learns at all.
    scorer = CrossEncoder(source, CrossEncoderConfig(epoch_count=120, token_count=32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_encoder, "LEARNING_RATE", 3e-3)
        scorer.fit(SIDES, LABELS)
    return scorer


def test_what_was_trained_on_is_told_apart(fitted: CrossEncoder) -> None:
    scores = fitted.score(SIDES)
    assert ((scores > 0) & (scores < 1)).all()
    assert ((scores > 0.5) == LABELS).mean() > 0.9


def test_order_and_company_do_not_matter(fitted: CrossEncoder) -> None:
    scores = fitted.score(SIDES)
    swapped = fitted.score([(right, left) for left, right in SIDES])
    alone = [fitted.score([pair])[0] for pair in SIDES[:5]]
    np.testing.assert_allclose(swapped, scores, atol=1e-5)  # float32, other padding
    np.testing.assert_allclose(alone, scores[:5], atol=1e-5)


def test_a_saved_scorer_answers_the_same(fitted: CrossEncoder, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = CrossEncoder.load(tmp_path)
    assert loaded.config == fitted.config
    np.testing.assert_allclose(loaded.score(SIDES), fitted.score(SIDES), atol=1e-6)


def test_the_same_seed_trains_the_same(source: str) -> None:
    config = CrossEncoderConfig(epoch_count=1, token_count=32)
    scores = []
    for _ in range(2):
        scorer = CrossEncoder(source, config)
        scorer.fit(SIDES[:8], LABELS[:8])
        scores.append(scorer.score(SIDES[:8]))
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)


def test_an_encoder_stored_in_half_precision_is_trained_in_whole(
    source: str, tmp_path: Path
) -> None:
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    BertModel.from_pretrained(source).half().save_pretrained(tmp_path)
    scorer = CrossEncoder(tmp_path, CrossEncoderConfig(epoch_count=1, token_count=32))
    scorer.fit(SIDES, LABELS)
    assert np.isfinite(scorer.score(SIDES)).all()


def test_all_fields_of_a_record_are_read() -> None:
    record = Product(
        product_id="1", title="tv", brand="sony", price=9.5, attributes={"colour": "red"}
    )
    assert pair_text(record) == "tv sony red 9.5"


@pytest.mark.parametrize("setting", ["--epoch-count=0", "--token-count=7"])
def test_settings_out_of_range_are_refused(
    setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_command_line(CrossEncoderConfig, "tune", [setting])
    assert f"{setting.partition('=')[0]} must be" in capsys.readouterr().err
