"""What a dataclass of options becomes on the command line."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from twinshelf.server.command_line import (
    build_parser,
    check_ranges,
    option,
    positional,
    read_command_line,
    text_option,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Weighs photos.

    Heavy ones first.

    Attributes:
        photos: Files to weigh.
        data_dir: Folder
            of the data.
        unit: Of the result.
        limits: Grams.
        force: Whether to press.
        keys: Words.
    """

    photos: tuple[Path, ...] = positional()
    data_dir: Path
    unit: Literal["g", "kg"] = "g"
    limits: tuple[int, ...] = (1, 2)
    force: bool = False
    keys: str | None = None

    def __post_init__(self) -> None:
        if min(self.limits) < 0:
            raise ValueError(f"limits must be 0 or more, got {self.limits}")


def test_each_type_is_read_in_its_own_way() -> None:
    least = read_command_line(Options, "weigh", ["a", "b", "--data-dir", "d"])
    assert least == Options(photos=(Path("a"), Path("b")), data_dir=Path("d"))
    words = ["a", "--data-dir=d", "--unit", "kg", "--limits", "3", "4", "--force", "--keys", "7"]
    assert read_command_line(Options, "weigh", words) == Options(
        photos=(Path("a"),), data_dir=Path("d"), unit="kg", limits=(3, 4), force=True, keys="7"
    )


def test_the_docstring_is_the_help() -> None:
    text = " ".join(build_parser(Options, "weigh").format_help().split())
    for words in ("python -m weigh", "Weighs photos.", "Heavy ones first.", "--data-dir",
                  "Folder of the data.", "{g,kg}", "default: [1, 2]"):  # fmt: skip
        assert words in text
    assert "--data_dir" not in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a", "--data-dir", "d", "--data", "e"], "unrecognized arguments: --data e"),
        (["a", "--data_dir", "d"], "unrecognized arguments: --data_dir d"),
        (["a"], "the following arguments are required: --data-dir"),
        (["a", "--data-dir=d", "--unit=t"], "--unit must be Literal['g', 'kg'], got t"),
        (["a", "--data-dir=d", "--limits", "1", "b"], "--limits must be int, got b"),
        (["a", "--data-dir=d", "--limits", "-1"], "--limits must be 0 or more, got (-1,)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read_command_line(Options, "weigh", words)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {sentence}; --help lists the options\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A scale.

    Attributes:
        steps: Steps, in any order.
        is_fine: Whether it is fine.
        names: Names between commas.
    """

    steps: tuple[int, ...] = option((1, 2), read=lambda given: tuple(sorted(given)))
    is_fine: bool = option(False, name="fine")
    names: list[str] = text_option(lambda text: text.split(",") if text else [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Weighs.

    Attributes:
        scale: On what.
        force: Whether to press.
    """

    scale: Scale
    force: bool = False


def test_the_options_of_a_part_stand_for_it() -> None:
    assert read_command_line(Weighing, "weigh", []) == Weighing(scale=Scale())
    words = ["--steps", "3", "1", "--fine", "--names=a,b", "--force"]
    assert read_command_line(Weighing, "weigh", words) == Weighing(
        scale=Scale(steps=(1, 3), is_fine=True, names=["a", "b"]), force=True
    )
    text = build_parser(Weighing, "weigh").format_help()
    assert "--fine" in text and "--scale" not in text


@pytest.mark.parametrize(
    ("words", "inside", "outside"),
    [
        ("1 or more", (1, 1.5, 1e9), (0, 0.99, float("nan"))),
        ("above 0", (1e-9, 7), (0, -1)),
        ("0 to 0.5", (0, 0.25, 0.5), (-0.1, 0.51)),
        ("0 to below 1", (0, 0.999), (1, 1.1)),
        ("above 0 and at most 1", (0.001, 1), (0, 1.001)),
    ],
)
def test_a_range_is_checked_as_its_words_say(
    words: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    kind = make_dataclass("Made", [("share", Annotated[float | None, words], None)])
    for value in (*inside, None):
        check_ranges(kind(share=value))
    for value in outside:
        with pytest.raises(ValueError, match=rf"^data\.share must be {words}, got "):
            check_ranges(kind(share=value), "data.")
