"""Token ids and their buckets."""

import threading
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from twinshelf.training.model.wordpiece import train_wordpiece
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.tokens import TextTokenizer

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "tea", "green", "black", "a", "##b", "|")
SETTINGS = PreprocessingSettings(token_buckets=(4, 8, 16))


def make_tokenizer(words: tuple[str, ...] = WORDS) -> Tokenizer:
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(word, vocabulary[word]) for word in ("[CLS]", "[SEP]")],
    )
    return tokenizer


@pytest.fixture
def tokenizer(tmp_path: Path) -> TextTokenizer:
    make_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return TextTokenizer(tmp_path / "tokenizer.json", SETTINGS)


def test_ids_and_mask_are_padded_to_the_smallest_bucket_that_holds_the_longest(
    tokenizer: TextTokenizer,
) -> None:
    tokens = tokenizer.encode(["green tea", "tea tea tea"])
    assert tokens.input_ids.dtype == tokens.attention_mask.dtype == np.int64
    np.testing.assert_array_equal(
        tokens.input_ids, [[2, 5, 4, 3, 0, 0, 0, 0], [2, 4, 4, 4, 3, 0, 0, 0]]
    )
    np.testing.assert_array_equal(
        tokens.attention_mask, [[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]]
    )


@pytest.mark.parametrize(
    ("word_count", "length"), [(0, 4), (2, 4), (3, 8), (6, 8), (7, 16), (14, 16), (500, 16)]
)
def test_lengths_are_buckets_and_long_texts_are_cut_with_their_last_token_kept(
    tokenizer: TextTokenizer, word_count: int, length: int
) -> None:
    tokens = tokenizer.encode(["tea " * word_count])
    assert tokens.input_ids.shape == (1, length)
    assert tokens.attention_mask.sum() == min(word_count + 2, 16)
    assert tokens.input_ids[0, tokens.attention_mask[0].sum() - 1] == 3


def test_an_empty_text_is_its_special_tokens(tokenizer: TextTokenizer) -> None:
    for text in ("", "   ", "<br>"):
        np.testing.assert_array_equal(tokenizer.encode([text]).input_ids, [[2, 3, 0, 0]])


def test_a_text_without_a_token_that_is_known_is_no_text(
    tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    texts = ["green tea", "чай", "", "<p>&nbsp;</p>", "\u200b", "чай tea", "🔥", "чай | чай"]
    expected = [True, False, False, False, False, True, False, False]
    assert tokenizer.encode(texts).has_text.tolist() == expected
    settings = PreprocessingSettings(token_buckets=(4, 8, 16), passage_prefix="green tea: ")
    prefixed = TextTokenizer(tmp_path / "tokenizer.json", settings)
    assert prefixed.encode(["green tea: чай", "green tea: a", "green tea: "]).has_text.tolist() == [
        False,
        True,
        False,
    ]


def test_no_texts_give_an_empty_batch(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode([]).input_ids.shape == (0, 4)


def test_raw_and_clean_texts_give_the_same_tokens(tokenizer: TextTokenizer) -> None:
    raw = tokenizer.encode(["<p>Green&nbsp;<b>tea</b></p>"])
    np.testing.assert_array_equal(raw.input_ids, tokenizer.encode(["Green tea"]).input_ids)


def test_a_row_of_a_batch_equals_the_row_alone_up_to_padding(tokenizer: TextTokenizer) -> None:
    texts = ["tea", "green black tea " * 4, "", "ab"]
    together = tokenizer.encode(texts)
    for index, text in enumerate(texts):
        alone = tokenizer.encode([text])
        length = alone.attention_mask.sum()
        assert together.attention_mask[index].sum() == length
        np.testing.assert_array_equal(
            together.input_ids[index, :length], alone.input_ids[0, :length]
        )


def test_texts_are_cut_at_the_maximum_number_of_characters(tmp_path: Path) -> None:
    make_tokenizer().save(str(tmp_path / "tokenizer.json"))
    settings = PreprocessingSettings(token_buckets=(4, 8, 16), max_text_characters=7)
    tokens = TextTokenizer(tmp_path / "tokenizer.json", settings).encode(["tea tea tea tea"])
    assert tokens.attention_mask.sum() == 4


def test_what_the_file_says_of_padding_and_truncation_does_not_count(tmp_path: Path) -> None:
    own = make_tokenizer()
    own.enable_padding(length=30, pad_id=7)
    own.enable_truncation(max_length=3)
    own.save(str(tmp_path / "tokenizer.json"))
    tokens = TextTokenizer(tmp_path / "tokenizer.json", SETTINGS).encode(["tea tea tea"])
    np.testing.assert_array_equal(tokens.input_ids, [[2, 4, 4, 4, 3, 7, 7, 7]])


def test_padding_token_is_found_by_its_name(tmp_path: Path) -> None:
    words = ("[UNK]", "tea", "[CLS]", "[SEP]", "<pad>")
    make_tokenizer(words).save(str(tmp_path / "tokenizer.json"))
    tokens = TextTokenizer(str(tmp_path / "tokenizer.json"), SETTINGS).encode(["tea"])
    np.testing.assert_array_equal(tokens.input_ids, [[2, 1, 3, 4]])


@pytest.mark.parametrize("content", [None, "", "{}", "not json"])
def test_a_file_that_is_no_tokenizer_is_refused_by_name(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a readable tokenizer"):
        TextTokenizer(path, SETTINGS)


def test_threads_may_share_one_tokenizer(tokenizer: TextTokenizer) -> None:
    texts = [["tea " * (length % 13)] for length in range(40)]
    expected = [tokenizer.encode(batch).input_ids for batch in texts]
    wrong: list[int] = []

    def work() -> None:
        for index, batch in enumerate(texts):
            if not np.array_equal(tokenizer.encode(batch).input_ids, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_names_of_special_tokens_in_a_text_are_text(tmp_path: Path) -> None:
    learnt = train_wordpiece(["green tea pad"] * 3, 300)
    learnt.save(str(tmp_path / "tokenizer.json"))
    tokens = TextTokenizer(tmp_path / "tokenizer.json", SETTINGS).encode(["[PAD] tea [CLS]"])
    ids = tokens.input_ids[0][tokens.attention_mask[0] == 1]
    assert 0 not in ids and list(ids).count(learnt.token_to_id("[CLS]")) == 1


def test_no_word_of_a_learnt_vocabulary_is_unknown_as_a_whole(tmp_path: Path) -> None:
    learnt = train_wordpiece(["green tea coffee", "чай"] * 3, 300)
    learnt.save(str(tmp_path / "tokenizer.json"))
    words = [
        "LEGO®", "coffee🔥", "Tea™bag", "20°C", "10×20", "€5", "crème", "cre\u0300me",
        "ｃｏｆｆｅｅ",
        "c茶a", "чай®",
        "сoffee", "naïve", "İstanbul", "½", "№5", "🔥5🔥", "x" * 300, "٣kg",
    ]  # fmt: skip
    assert TextTokenizer(tmp_path / "tokenizer.json", SETTINGS).encode(words).has_text.all()
