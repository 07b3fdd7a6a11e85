"""Columns that no delimiter parts: of fixed widths, or of a list with blanks between its words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from twinshelf.client.files.forms.row_label import NOTE
from twinshelf.client.files.values.photos import ends_like_photo

# SQL Server draws a line under the header that tells the widths, reStructuredText above it as well.
_RULER = re.compile(r"\s*(?:-{2,}(?: +-{2,})+|={2,}(?: +={2,})+)\s*")
_RULED_WITHIN = 10
_FEW_COLUMNS = 3
_MOSTLY = 0.8
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlankColumns:
    """Where a table begins that blanks part.

    Attributes:
        line_count: Lines before its header.
        starts: Where the columns of fixed widths begin; empty for a list of words.
    """

    line_count: int
    starts: tuple[int, ...] = ()


def find_blank_columns(lines: Sequence[str]) -> BlankColumns | None:
    """Finds a table whose columns blanks part; None where the lines are none.

    Args:
        lines: The first lines of the file.

    Raises:
        ValueError: If its columns cannot be told apart.
    """
    ruled = [place for place, line in enumerate(lines[:_RULED_WITHIN]) if _RULER.fullmatch(line)]
    if ruled and len(lines) > ruled[0] + 1:
        starts = tuple(found.start() for found in re.finditer("[-=]+", lines[ruled[0]]))
        above = ruled[0] - 1
        is_above = above >= 0 and lines[above].strip() != ""
        return BlankColumns(line_count=above if is_above else ruled[0] + 1, starts=starts)
    if (count := _count_before_list(lines)) is not None:
        return BlankColumns(line_count=count)
    starts = _find_widths([line.rstrip() for line in lines if line.strip()])
    return BlankColumns(line_count=0, starts=starts) if starts else None


def _find_widths(texts: Sequence[str]) -> tuple[int, ...]:
    """Where columns begin: behind two blanks in each line; () where lines have no such columns."""
    counts = [len(re.split(r" {2,}", text.strip())) for text in texts]
    is_parted = any(delimiter in texts[0] for delimiter in _DELIMITERS)
    if is_parted or len(counts) < 2 or counts[0] < _FEW_COLUMNS:
        return ()
    if counts.count(counts[0]) <= _MOSTLY * len(counts):
        return ()
    columns = itertools.zip_longest("", "", *texts, fillvalue=" ")
    is_blank = "".join(" " if {*column} == {" "} else "x" for column in columns)
    starts = tuple(found.end() - 1 for found in re.finditer("(?:^|  )(?=x).", is_blank))
    if len(starts) != counts[0]:
        raise ValueError("a table of fixed widths whose columns cannot be told")
    return starts


def cells_of(line: str, starts: Sequence[int]) -> list[str]:
    """Cuts a line where columns begin; one that keeps to none is a text alone, such as a note.

    Args:
        line: Without its end.
        starts: Where the columns begin; others than the first have a blank before them.
    """
    if _RULER.fullmatch(line):
        return [""] * len(starts)
    if NOTE.fullmatch(line) or any(line[start - 1 : start].strip() for start in starts if start):
        return [line.strip()] + [""] * (len(starts) - 1)
    return [line[start:end].strip() for start, end in itertools.pairwise((*starts, None))]


def _count_before_list(lines: Sequence[str]) -> int | None:
    """Counts the lines before a list of photos, with blanks between what each line says of one.

    Data sets have such lists: "image_id class_id path", some below the count of their lines.
    """
    words = [line.split() for line in lines]
    start = int(len(words) > 1 and len(words[0]) == 1 and words[0][0].isdecimal())
    if any(delimiter in lines[start] for delimiter in _DELIMITERS):
        return None
    rows = [row for row in words[start:] if row]
    if len(rows) < 2 or {*map(len, rows)} != {len(rows[0])} or len(rows[0]) < 2:
        return None
    has_photos = any(all(map(ends_like_photo, column)) for column in zip(*rows[1:], strict=True))
    return start if has_photos else None
