"""Settings of preprocessing."""

import json
from typing import Any

import pytest

from twinshelf.training.preprocessing.settings import PreprocessingSettings


def test_settings_survive_a_round_trip() -> None:
    settings = PreprocessingSettings(
        image_size_px=96, resize="crop", text_fields=("title",), query_prefix="query: "
    )
    assert PreprocessingSettings.from_json(settings.to_json()) == settings


def test_unknown_keys_are_refused() -> None:
    values = json.loads(PreprocessingSettings().to_json()) | {"colour": 1}
    with pytest.raises(ValueError, match="colour"):
        PreprocessingSettings.from_json(json.dumps(values))


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size_px": 4},
        {"resize": "stretch"},
        {"max_pixels": 0},
        {"max_decode_ms": 0},
        {"max_decode_mb": 0},
        {"text_fields": ("title", "price")},
        {"max_text_characters": 0},
        {"token_buckets": ()},
        {"token_buckets": (32, 16)},
        {"token_buckets": (2, 16)},
    ],
)
def test_values_out_of_range_are_refused_by_name(
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PreprocessingSettings(**wrong)
