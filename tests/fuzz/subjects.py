"""What is fuzzed in a process of its own: the decoding of photos, and the tokenising of texts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tests.fuzz.photo_mutations import make_photo
from tests.fuzz.text_mutations import make_text
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import (
    PreprocessingError,
    PreprocessingSettings,
    Resize,
)
from twinshelf.training.preprocessing.texts import clean_text
from twinshelf.training.preprocessing.tokens import TextTokenizer

_SIDES_PX = (32, 96, 224)
_RESIZES: tuple[Resize, ...] = ("pad", "crop", "squash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that takes generated inputs.

    Attributes:
        make: Seed and number to the input.
        run: Takes an input and says in a few words what came of it; raises nothing but what is a
            finding.
    """

    make: Callable[[int, int], bytes]
    run: Callable[[bytes], str]


def photo_subject() -> Subject:
    """Returns the decoding of photos, at sides and resizes that change with the bytes."""
    settings = [
        PreprocessingSettings(image_size_px=side, resize=resize)
        for side in _SIDES_PX
        for resize in _RESIZES
    ]

    def run(data: bytes) -> str:
        chosen = settings[len(data) % len(settings)]
        try:
            pixels = decode_image(data, chosen)
        except PreprocessingError as error:
            return _first_words(str(error))
        expected = (3, chosen.image_size_px, chosen.image_size_px)
        if pixels.shape != expected or pixels.dtype != "uint8":
            raise AssertionError(f"expected uint8 pixels {expected}, got {pixels.shape}")
        return "pixels"

    return Subject(make=make_photo, run=run)


def text_subject() -> Subject:
    """Returns cleaning and tokenising, of texts as Triton gets them and of lone surrogates."""
    settings = PreprocessingSettings(token_buckets=(8, 16, 32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        _tokenizer().save(str(path))
        tokenizer = TextTokenizer(path, settings)

    def run(data: bytes) -> str:
        try:
            text, answer = data.decode("utf-8"), "tokens"
        except UnicodeDecodeError:  # Triton refuses it; a table may still hold such a text
            text, answer = data.decode("utf-8", "surrogateescape"), "not UTF-8"
        tokens = tokenizer.encode([text])
        if tokens.input_ids.shape[1] not in settings.token_buckets:
            raise AssertionError(f"expected a bucket, got {tokens.input_ids.shape}")
        clean = clean_text(text)
        if clean_text(clean) != clean:
            raise AssertionError("cleaning a clean text changed it")
        return answer

    return Subject(make=make_text, run=run)


def _first_words(message: str) -> str:
    """The kind of a refusal: its sentence without numbers."""
    return " ".join(word for word in message.split() if not any(map(str.isdigit, word)))[:100]


def _tokenizer() -> Tokenizer:
    words = ["[PAD]", "[UNK]", "a", "##a", "x", "gel", "rose", "кофе", "&", "<", "##e"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


SUBJECTS: dict[str, Callable[[], Subject]] = {"photos": photo_subject, "texts": text_subject}
