"""A WordPiece vocabulary learnt from the training texts, for the text encoder from scratch."""

from __future__ import annotations

import string
from collections.abc import Iterable

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL_TOKENS = [PAD, UNKNOWN, START, END]
CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"


def train_wordpiece(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Learns a vocabulary; the same texts give the same one.

    Letters are lowered and keep their accents: й is no и. A number is a word of its own, also in
    "500ml", and is never joined with letters; rare numbers fall apart into digits, so that every
    amount has its own sequence of tokens.

    Args:
        texts: Cleaned training texts.
        vocabulary_size: Most word pieces, special tokens included.

    Raises:
        ValueError: If the vocabulary cannot hold the alphabet.
    """
    alphabet = sorted(set(string.ascii_lowercase + string.digits + string.punctuation + CYRILLIC))
    if vocabulary_size < 2 * len(alphabet) + len(SPECIAL_TOKENS):
        raise ValueError(
            f"vocabulary_size must be {2 * len(alphabet) + len(SPECIAL_TOKENS)} or more, "
            f"got {vocabulary_size}"
        )
    tokenizer = Tokenizer(WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits(individual_digits=False)]
    )
    trainer = WordPieceTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        initial_alphabet=alphabet,
        special_tokens=SPECIAL_TOKENS,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_with_spelling(texts, alphabet), trainer)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (START, END)],
    )
    return tokenizer


def _with_spelling(texts: Iterable[str], alphabet: list[str]) -> Iterable[str]:
    yield from texts
    # Every letter and digit must also be known inside a word, else one rare letter makes the
    # whole word unknown.
    yield from (f"{a}{a}" for a in alphabet)
