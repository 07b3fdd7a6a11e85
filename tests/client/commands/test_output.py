"""What others wrote reaches a terminal as text alone, and JSON as what it was."""

from __future__ import annotations

import io
import json
import re

import pytest

from tests.client.fake_service import FakeService
from twinshelf.client.cli import main
from twinshelf.client.commands.options import complain
from twinshelf.client.commands.output import make_console, plain, stats_table, write_json
from twinshelf.client.commands.row_progress import RowProgress
from twinshelf.client.conversions import catalog_stats
from twinshelf.v1.catalog_service_pb2 import GetCatalogStatsResponse
from twinshelf.v1.product_pb2 import Product

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


def test_tables_keep_their_columns_and_what_is_drawn_anew_keeps_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    assert (console := make_console(stream)).width == 80
    with RowProgress(console, "products.csv", 10_000) as progress:
        progress.advance()
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "products.csv" in drawn and max(map(len, re.split("[\r\n]", drawn))) <= 40


def test_an_output_without_unicode_holds_what_it_can(
    address: str, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.products["a"] = Product(product_id="a", title="Çay 茶 👩")
    for arguments, shown in ((["--json"], "Çay 茶 👩"), ([], "Çay ? ?")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
        monkeypatch.setattr("sys.stdout", stream)
        assert main(["list", "--address", address, *arguments]) == 0
        stream.seek(0)
        text = stream.read()
        assert shown in (json.loads(text)["title"] if arguments else text)


def test_the_counts_tell_of_damage_and_of_an_encoder_that_is_away(
    address: str, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.damaged_product_count = 2
    assert main(["stats", "--address", address]) == 0
    assert "2 set aside" in capsys.readouterr().out
    assert main(["stats", "--address", address, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["damaged_product_count"] == 2
    console = make_console(stream := io.StringIO())
    console.print(stats_table(catalog_stats(GetCatalogStatsResponse(product_count=3))))
    assert "away" in stream.getvalue() and "set aside" not in stream.getvalue()
