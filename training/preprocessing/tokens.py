"""Texts to token ids, padded to a few fixed lengths so that a server can batch equal ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from .settings import PreprocessingSettings
from .texts import clean_text, normalise_text

_UNKNOWN_TOKENS = ("[UNK]", "<unk>", "<|unk|>")
_PADDING_TOKENS = ("[PAD]", "<pad>", "<|padding|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A batch of texts as the tower reads it.

    Attributes:
        input_ids: Token ids, (B, L), int64.
        attention_mask: 1 for a token and 0 for padding, (B, L), int64.
        has_text: Whether a row has a token of letters or digits that the vocabulary knows, (B,),
            bool; a row without one is no text, since all such rows look alike.
    """

    input_ids: npt.NDArray[np.int64]
    attention_mask: npt.NDArray[np.int64]
    has_text: npt.NDArray[np.bool_]


class TextTokenizer:
    """Cleans, cuts, tokenises and pads texts; may be shared between threads.

    A tokenizer of a format that knows no padding token pads with zero; the mask hides it.
    """

    def __init__(self, tokenizer_json: Path | str, settings: PreprocessingSettings) -> None:
        """Reads a tokenizer.

        Args:
            tokenizer_json: The tokenizer's file, in the `tokenizers` library's own format.
            settings: Text length, separator and token buckets.

        Raises:
            ValueError: If the file cannot be read as a tokenizer.
        """
        try:
            tokenizer = Tokenizer.from_file(str(tokenizer_json))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{tokenizer_json} is not a readable tokenizer file") from error
        self._settings = settings
        self._padding_id = _find_padding_id(tokenizer)
        known = (tokenizer.token_to_id(token) for token in _UNKNOWN_TOKENS)
        self._unknown_ids = {int(token_id) for token_id in known if token_id is not None}
        prefixes = (settings.query_prefix, settings.passage_prefix)
        self._prefixes = tuple(clean for each in prefixes if (clean := clean_text(each)))
        # The file may carry its trainer's own lengths; ours are the buckets. Set once and never
        # per call: changing them while another thread encodes is a race.
        tokenizer.no_padding()
        # A title may hold "[PAD]" or "[CLS]"; that is text, and says nothing to the tower.
        tokenizer.encode_special_tokens = True
        tokenizer.enable_truncation(max_length=settings.token_buckets[-1])
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Tokenises texts, raw or clean.

        Args:
            texts: B texts. An empty one becomes the special tokens alone.

        Returns:
            Ids and mask, (B, L), where L is the smallest bucket that holds the longest text;
            texts longer than the last bucket are cut there.
        """
        clean = [normalise_text(text, self._settings) for text in texts]
        encodings = self._tokenizer.encode_batch(clean)
        rows = [encoding.ids for encoding in encodings]
        longest = max((len(row) for row in rows), default=0)
        length = next(bucket for bucket in self._settings.token_buckets if bucket >= longest)
        input_ids = np.full((len(rows), length), self._padding_id, dtype=np.int64)  # (B, L)
        attention_mask = np.zeros((len(rows), length), dtype=np.int64)  # (B, L)
        for index, row in enumerate(rows):
            input_ids[index, : len(row)] = row
            attention_mask[index, : len(row)] = 1
        has_text = [self._knows(*each) for each in zip(clean, encodings, strict=True)]
        return Tokens(
            input_ids=input_ids,
            attention_mask=attention_mask,
            has_text=np.array(has_text, dtype=np.bool_),
        )

    def _knows(self, text: str, encoding: Encoding) -> bool:
        """Whether any token behind the prefix is known and holds a letter or a digit."""
        prefix = next((len(each) for each in self._prefixes if text.startswith(each)), 0)
        tokens = zip(encoding.ids, encoding.special_tokens_mask, encoding.offsets, strict=True)
        return any(
            not is_special
            and token_id not in self._unknown_ids
            and any(map(str.isalnum, text[max(start, prefix) : end]))
            for token_id, is_special, (start, end) in tokens
        )


def _find_padding_id(tokenizer: Tokenizer) -> int:
    if tokenizer.padding is not None:
        return int(tokenizer.padding["pad_id"])
    known = (tokenizer.token_to_id(token) for token in _PADDING_TOKENS)
    return next((int(token_id) for token_id in known if token_id is not None), 0)
