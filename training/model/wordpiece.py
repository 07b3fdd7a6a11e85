"""A WordPiece vocabulary learnt from the training texts, for the text backbone from scratch."""

from __future__ import annotations

import string
import tempfile
from collections import Counter
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL_TOKENS = [PAD, UNKNOWN, START, END]
INNER_PREFIX = "##"
LONGEST_WORD_CHARACTERS = 100
ALPHABET = (
    string.ascii_lowercase
    + string.digits
    + string.punctuation
    + "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
)


def train_wordpiece(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Learns a vocabulary; the same texts give the same one.

    Letters are lowered and keep their accents: й is no и. A number is a word of its own, also in
    "500ml", and is never joined with letters; rare numbers fall apart into digits, so that every
    amount has its own sequence of tokens. A character that the vocabulary lacks, such as one of
    another script, is unknown by itself and never takes its word with it.

    Args:
        texts: Cleaned training texts.
        vocabulary_size: Most word pieces, special tokens included.

    Raises:
        ValueError: If the vocabulary cannot hold the alphabet.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    counts = Counter[str]()
    # On the disk: those of a large catalogue would fill the memory.
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as lines:
        for text in texts:
            lowered = normalizer.normalize_str(text)  # without line ends
            counts.update(lowered)
            lines.write(f"{lowered}\n")
        lines.seek(0)
        known = set(ALPHABET) | set(string.whitespace)
        further = sorted((-count, c) for c, count in counts.items() if c not in known)
        alphabet = sorted(set(ALPHABET).union(c for _, c in further[: vocabulary_size // 4]))
        smallest = len(SPECIAL_TOKENS) + 2 * len(alphabet)
        if vocabulary_size < smallest:
            raise ValueError(f"vocabulary_size must be {smallest} or more, got {vocabulary_size}")
        pieces = _learn_pieces(lines, alphabet, vocabulary_size)
    tokenizer = Tokenizer(WordPiece(pieces, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = _split_words(alphabet)
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (START, END)],
    )
    return tokenizer


def _learn_pieces(
    texts: Iterable[str], alphabet: list[str], vocabulary_size: int
) -> dict[str, int]:
    inner = [f"{INNER_PREFIX}{character}" for character in alphabet]
    trainer = WordPieceTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        initial_alphabet=alphabet,
        # Left to itself the trainer numbers inner characters in random order, and breaks ties by
        # number: two trainings would differ. It also spells words only with those it has met.
        special_tokens=[*SPECIAL_TOKENS, *inner],
        show_progress=False,
    )
    learner = Tokenizer(WordPiece(unk_token=UNKNOWN))
    learner.pre_tokenizer = _split_words(alphabet)
    learner.train_from_iterator(texts, trainer)
    return learner.get_vocab()


def _split_words(alphabet: list[str]) -> pre_tokenizers.PreTokenizer:
    escaped = "".join(rf"\x{{{ord(each):x}}}" for each in alphabet)
    strange = Regex(rf"[^\s{escaped}]")
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Split(strange, "isolated"),
            # The library takes a longer word for unknown, whatever it is made of.
            pre_tokenizers.Split(Regex(f".{{1,{LONGEST_WORD_CHARACTERS}}}"), "isolated"),
        ]
    )
