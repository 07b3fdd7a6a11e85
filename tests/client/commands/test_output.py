"""What others wrote reaches a terminal as text alone, and JSON as what it was."""

from __future__ import annotations

import io
import json

import pytest

from twinshelf.client.commands.options import complain
from twinshelf.client.commands.output import plain, write_json

# What clears the screen, colours, ends a line, turns what stands behind it, or is half a sign.
HOSTILE = "\x1b[2J\x9b31m\x7f\r\x85\u2028\u2029\u202a\u202e\u2066\u2069\udce9"
# Letters and marks of other scripts, an emoji of several signs, what a description is made of.
HARMLESS = "שלום\u200f مرحبا\u061c 👩\u200d🔬 ½\u00a0é\tx\n"


def test_tables_and_complaints_show_text_alone(capsys: pytest.CaptureFixture[str]) -> None:
    complain(HOSTILE + HARMLESS)
    for shown in (plain(HOSTILE + HARMLESS).plain, capsys.readouterr().err):
        assert not set(HOSTILE) & (set(shown) - set("[2J31m"))
        assert HARMLESS in shown


def test_json_escapes_what_is_no_text_and_reads_the_same() -> None:
    stream = io.StringIO()
    write_json(stream, {HOSTILE: HOSTILE + HARMLESS + '\\"\\u202e'})
    written = stream.getvalue()
    assert written.count("\n") == 1 and "👩" in written
    assert not set(HOSTILE) & (set(written) - set("[2J31m"))
    assert json.loads(written) == {HOSTILE: HOSTILE + HARMLESS + '\\"\\u202e'}
