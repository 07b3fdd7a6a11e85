"""Photos to pixels and titles to tokens, beside plain Pillow and a plain tokenizer.

python -m tests.benchmarks.preprocessing --run runs/generated
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from tests.benchmarks.end_to_end.offers import WORDS, make_products
from tests.benchmarks.report import FOLDER, AnswersDifferError, Report, Row
from tests.benchmarks.rounds import time_in_turn
from twinshelf.training.checkpoint import PREPROCESSING, TOKENIZER
from twinshelf.training.preprocessing.images import decode_image
from twinshelf.training.preprocessing.settings import PreprocessingSettings
from twinshelf.training.preprocessing.tokens import TextTokenizer

SIDES_PX = (256, 1024, 2048, 4096)
FORMATS = ("JPEG", "PNG", "WEBP")
WORD_COUNTS = (4, 12, 40, 120)
REPEATS = 3
# Mean difference of a grey level: scaling inside the decoder may cost so much, of 255.
MOST_PIXEL_DIFFERENCE = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 when pixels or tokens differ from the plain ones, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.preprocessing", description="Photos and titles to tensors."
    )
    add = parser.add_argument
    add("--run", type=Path, default=Path("runs/generated"), help="its settings and tokenizer")
    add("--sides", type=int, nargs="+", default=list(SIDES_PX), help="pixels of a photo's side")
    add("--output", type=Path, default=FOLDER, help="folder of the JSON file")
    options = parser.parse_args(arguments)
    settings = PreprocessingSettings.from_json((options.run / PREPROCESSING).read_text())
    report = Report(name="preprocessing")
    report.say(str(report.machine))
    try:
        report.add("photos, one thread", time_photos(options.sides, settings))
        report.add("titles, one thread", time_titles(options.run / TOKENIZER, settings))
    except AnswersDifferError as error:
        report.say(f"✗ {error}")
        return 1
    report.save(options.output)
    return 0


def time_photos(sides_px: Sequence[int], settings: PreprocessingSettings) -> list[Row]:
    """Decodes a photo of each size and format both ways; photos that are refused are told.

    Raises:
        AnswersDifferError: If the mean difference of the pixels is more than it may be.
    """
    rows: list[Row] = []
    for side_px in sides_px:
        (product,) = make_products(1, side_px)
        original = Image.open(io.BytesIO(product.image))
        for name in FORMATS:
            file = io.BytesIO()
            original.save(file, name, **({"compress_level": 1} if name == "PNG" else {}))
            rows.append(_time_photo(file.getvalue(), name, side_px, settings))
    return rows


def _time_photo(photo: bytes, name: str, side_px: int, settings: PreprocessingSettings) -> Row:
    row: dict[str, str | int | float | None] = {
        "format": name, "side px": side_px, "file KB": len(photo) // 1000,
    }  # fmt: skip
    side = settings.image_size_px

    def decode_plainly() -> np.ndarray:
        image = Image.open(io.BytesIO(photo)).convert("RGB")
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).transpose(2, 0, 1)

    try:
        ours = decode_image(photo, settings)
    except ValueError as error:
        return row | {"": str(error)[:60]}
    difference = float(np.mean(np.abs(ours.astype(np.int16) - decode_plainly())))
    if difference > MOST_PIXEL_DIFFERENCE:
        raise AnswersDifferError(f"pixels of a {name} of {side_px} px differ by {difference:.2f}")
    times_s = time_in_turn(
        {"ours": lambda: decode_image(photo, settings), "plain": decode_plainly},
        round_count=REPEATS,
    )
    return row | {
        "ours ms": 1e3 * times_s["ours"],
        "plain Pillow ms": 1e3 * times_s["plain"],
        "plain / ours": times_s["plain"] / times_s["ours"],
        "difference of 255": difference,
    }


def time_titles(tokenizer_json: Path, settings: PreprocessingSettings) -> list[Row]:
    """Tokenises titles of some lengths both ways, cleaning included in ours.

    Raises:
        AnswersDifferError: If the token ids differ.
    """
    ours, plain = TextTokenizer(tokenizer_json, settings), Tokenizer.from_file(str(tokenizer_json))
    plain.no_padding()
    plain.enable_truncation(settings.token_buckets[-1])
    generator = np.random.default_rng(0)
    rows: list[Row] = []
    for word_count in WORD_COUNTS:
        titles = [" ".join(generator.choice(WORDS, word_count)) for _ in range(100)]
        for title in titles:
            tokens, expected = ours.encode([title]), plain.encode(title).ids
            if tokens.input_ids[0][: len(expected)].tolist() != expected:
                raise AnswersDifferError(f"the tokens of {title!r} differ")
        times_s = time_in_turn(
            {
                "ours": partial(_each, ours.encode, [[title] for title in titles]),
                "plain": partial(_each, plain.encode, titles),
            }
        )
        rows.append(
            {
                "words": word_count,
                "tokens": len(expected),
                "padded to": tokens.input_ids.shape[1],
                "ours ms": 1e3 * times_s["ours"] / len(titles),
                "plain tokenizer ms": 1e3 * times_s["plain"] / len(titles),
                "plain / ours": times_s["plain"] / times_s["ours"],
            }
        )
    return rows


def _each(encode: Callable[[Any], object], rows: Sequence[Any]) -> None:
    for row in rows:
        encode(row)


if __name__ == "__main__":
    sys.exit(main())
