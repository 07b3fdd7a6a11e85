"""The learnt vocabulary: both languages, numbers, and no unknown words."""

import random
import tracemalloc

import pytest
from tokenizers import Tokenizer

from twinshelf.training.model.wordpiece import UNKNOWN, train_wordpiece

TEXTS = ["Apple juice 500 ml", "Яблочный сок 500 мл", "Juice 1.5 l", "сок 250мл"] * 5


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_wordpiece(TEXTS, 400)


def test_case_does_not_matter_and_accents_do(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("JUICE Сок").ids == tokenizer.encode("juice сок").ids
    assert tokenizer.encode("чай").ids != tokenizer.encode("чаи").ids


def test_amounts_differ_and_stand_apart_from_their_units(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("500ml").ids == tokenizer.encode("500 ml").ids
    amounts = ["500 ml", "250 ml", "520 ml", "5000 ml", "50 ml", "7391 ml", "1.5 l", "15 l"]
    assert len({tuple(tokenizer.encode(amount).ids) for amount in amounts}) == len(amounts)


def test_words_never_seen_are_spelt(tokenizer: Tokenizer) -> None:
    for word in ("xylophone", "щётка", "qwzx1234", "h2o", "7391"):
        assert UNKNOWN not in tokenizer.encode(word).tokens


def test_texts_begin_and_end_with_their_marks(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("juice").tokens[0] == "[CLS]"
    assert tokenizer.encode("juice").tokens[-1] == "[SEP]"
    assert tokenizer.encode("").tokens == ["[CLS]", "[SEP]"]
    assert tokenizer.token_to_id("[PAD]") == 0


def test_the_same_texts_give_the_same_vocabulary(tokenizer: Tokenizer) -> None:
    assert train_wordpiece(TEXTS, 400).to_str() == tokenizer.to_str()


def test_a_vocabulary_below_the_alphabet_is_refused() -> None:
    with pytest.raises(ValueError, match="vocabulary_size must be"):
        train_wordpiece(TEXTS, 50)


def test_a_character_never_seen_is_unknown_by_itself_alone(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("juice茶 сок٣٤ 500").tokens
    assert tokens[1:-1] == ["juice", UNKNOWN, "сок", UNKNOWN, UNKNOWN, "500"]


def test_every_character_of_the_texts_is_known() -> None:
    tokenizer = train_wordpiece(["Ωmega ქართული 商品名 ñandú [x] ^-\\ ]"] * 2, 400)
    assert UNKNOWN not in tokenizer.encode("Ω ართული 名品商 dúñan ]^[-\\").tokens


def test_a_word_of_any_length_is_spelt(tokenizer: Tokenizer) -> None:
    assert UNKNOWN not in tokenizer.encode("juice" * 300).tokens


@pytest.mark.slow
def test_the_texts_are_not_held_in_memory() -> None:
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefgh", k=6)) for _ in range(100)]
    texts = (" ".join(generator.choices(words, k=2000)) for _ in range(300))  # 4 megabytes
    tracemalloc.start()
    train_wordpiece(texts, 400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
