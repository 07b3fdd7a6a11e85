"""The command `twinshelf`: what it prints, where, and its exit status."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.client.fake_service import REFUSED, FakeService
from twinshelf.client.cli import main
from twinshelf.client.commands import output
from twinshelf.client.commands.match_options import read_weights
from twinshelf.client.records import EncoderInfo, Match, MatchResult, ModalityWeights, Product
from twinshelf.client.sync_client import Client


@pytest.fixture(autouse=True)
def _address(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TWINSHELF_ADDRESS", address)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def stocked(client: Client) -> None:
    rows = [
        Product(product_id="tea", title="Green tea", brand="Leaf", price=1234.5),
        Product(product_id="mug", title="Mug [bold]red[/bold]"),
    ]
    assert all(answer.error is None for answer in client.upsert(rows))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "products.csv"
    path.write_text("product_id,title\np1,tea\np2,NULL\np3,refused\np4,mug\n")
    return path


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_index_lists_failed_rows_by_number_and_exits_1(
    table: Path, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.row_failures = {"p3": [REFUSED]}
    assert main(["index", str(table)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:4] == ["2", "nothing", "to", "embed:"] for line in lines)
    assert any(line.split()[:2] == ["3", "p3"] and "not an image" in line for line in lines)
    assert lines[-1] == "2 products stored, 0 of them replaced; 2 rows failed"


def test_index_writes_json_lines_alone_to_stdout(
    table: Path, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.row_failures = {"p3": [REFUSED]}
    assert main(["--json", "index", str(table)]) == 1
    *failures, counts = json_lines(capsys.readouterr().out)
    assert [failure["row_number"] for failure in failures] == [2, 3]
    assert counts == {
        "stored_count": 2,
        "replaced_count": 0,
        "resumed_count": 0,
        "failed_count": 2,
        "findings": [],
    }


def test_an_update_sends_only_the_fields_that_a_row_has(
    tmp_path: Path, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(
        "product_id,price,attributes,title\n"
        'a,3,"{""stock"": ""2"", ""size"": ""L""}",new\n'
        "b,,,new\n"
        "c,4,,\n"
        ",5,,\n"
    )
    assert main(["index", str(path), "--update", "price,attributes"]) == 1
    assert service.last_masks == [
        ("price", "attributes.stock", "attributes.size"),
        ("price",),
    ]
    printed = capsys.readouterr().out
    assert "nothing to update: no price, attributes" in printed
    assert "needs its product_id" in printed
    service.last_masks.clear()
    assert main(["index", str(path), "--update", "attributes.stock"]) == 1
    assert service.last_masks == [("attributes.stock",)]


def test_an_update_of_an_unknown_field_or_without_identifiers_exits_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("name,price\ntea,3\n")
    assert main(["index", str(path), "--update", "colour"]) == 2
    assert "attributes.NAME" in capsys.readouterr().err
    assert main(["index", str(path), "--update", "price"]) == 2
    assert "needs a column of product_id" in capsys.readouterr().err


def test_index_exits_0_when_every_row_is_stored(
    tmp_path: Path, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "products.csv"
    path.write_text("sku,name\np1,tea\n")
    for replaced in (0, 1):
        assert main(["index", str(path), "--columns", "product_id=sku,title=name"]) == 0
        assert f"1 product stored, {replaced} of them replaced" in capsys.readouterr().out
    assert service.products["p1"].title == "tea"


def test_index_of_an_unusable_file_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "no.csv"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "twinshelf: there is no file no.csv\n" and not captured.out


def test_match_prints_a_table_and_leaves_markup_alone(
    stocked: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["match", "--title", "tea", "-k", "2"]) == 0
    out = capsys.readouterr().out
    assert "95.0%" in out and "1,234.50" in out and "Mug [bold]red[/bold]" in out


def test_match_sends_what_was_asked(
    stocked: None, service: FakeService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"photo")
    arguments = ["match", "--image", str(photo), "--title", "t", "--description", "d"]
    arguments += ["--brand", "b", "--category", "c", "--attribute", "size=L", "-k", "1"]
    arguments += ["--weights", "image=.7,text=.3", "--min-probability", "0.5", "--json"]
    arguments += ["--match-prior", "0.2", "--target-precision", "0.9"]
    arguments += ["--price", "2.5", "--pair-count", "1"]
    assert main(arguments) == 0
    (result,) = json_lines(capsys.readouterr().out)
    assert [match["product"]["product_id"] for match in result["matches"]] == ["mug"]
    assert result["encoder"]["version"] == 3 and "image" not in result["matches"][0]["product"]
    request = service.last_match
    assert request is not None
    offer = request.offer
    assert (offer.image, offer.title, offer.description) == (b"photo", "t", "d")
    assert (offer.brand, offer.category, dict(offer.attributes)) == ("b", "c", {"size": "L"})
    assert (request.match_count, request.min_probability) == (1, 0.5)
    assert (request.match_prior, request.target_precision) == (0.2, 0.9)
    assert (offer.price, request.pair_count) == (2.5, 1)
    assert [match["pair_probability"] for match in result["matches"]] == [pytest.approx(0.7)]


def test_match_shows_pairs_where_they_were_asked_for(
    stocked: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["match", "--title", "tea", "-k", "2", "--pair-count", "1"]) == 0
    assert "70.0%" in capsys.readouterr().out
    assert main(["match", "--title", "tea", "-k", "2"]) == 0
    assert "pair" not in capsys.readouterr().out


def test_score_prints_verdict_cosines_and_reasons(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", "--title", "green tea", "--price", "3", "tea"]) == 0
    out = capsys.readouterr().out
    for words in ("93.0%: the same item (a match from 60.0% on; text 0.800", "+1.25", "–"):
        assert words in out
    request = service.last_pair
    assert request is not None
    assert (request.left.offer.title, request.left.offer.price) == ("green tea", 3)
    assert (request.right.product_id, request.reason_count) == ("tea", 5)


def test_score_of_two_products_prints_json(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", "tea", "mug", "--reasons", "1", "--json"]) == 0
    (found,) = json_lines(capsys.readouterr().out)
    assert (found["probability"], found["image_cosine"], found["encoder"]) == (0.93, None, None)
    assert [reason["feature"] for reason in found["reasons"]] == ["title_word_jaccard"]
    assert service.last_pair is not None
    assert service.last_pair.left.product_id == "tea"


def test_categorise_prints_the_category_and_who_voted(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["categorise", "--title", "tea", "-k", "3", "--levels", "2", "--without", "mug"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    for words in ("Grocery/Tea (not calibrated, ahead by 50.0%", "75.0%", "0.875", "Tea [b]"):
        assert words in out
    request = service.last_category
    assert request is not None
    assert (request.offer.title, request.neighbour_count) == ("tea", 3)
    assert (request.level_count, request.excluded_product_id) == (2, "mug")


def test_categorise_may_abstain(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["categorise", "--title", "tea", "--min-margin", "0.9"]
    assert main(arguments) == 0
    assert "no answer (probability 0.88, ahead by 50.0% of the votes)" in capsys.readouterr().out
    assert main([*arguments, "--json", "--target-precision", "0.9"]) == 0
    (found,) = json_lines(capsys.readouterr().out)
    assert (found["category"], found["votes"][0]["category"]) == ("", "Grocery/Tea")
    assert found["probability"] == 0.875
    asked = service.last_category
    assert asked and (asked.target_precision, asked.HasField("neighbour_count")) == (0.9, False)


@pytest.mark.slow
def test_match_sends_the_filter_and_prints_how_it_was_searched(
    stocked: None, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["match", "--title", "tea", "--filter", "category=Grocery", "--filter", "price<=9"]
    assert main(arguments) == 0
    assert "2 products allowed, exact search" in capsys.readouterr().out
    assert service.last_match is not None
    category, price = service.last_match.filter.all_of.filters
    assert category.category.values == ["Grocery"]
    assert price.price.max == 9 and not price.price.HasField("min")
    assert main(["--json", *arguments]) == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert line["filter_plan"] == {"search": "exact", "allowed_count": 2}


def test_match_of_a_file_leaves_out_each_offers_own_product_and_seller(
    stocked: None, service: FakeService, tmp_path: Path
) -> None:
    offers = tmp_path / "offers.csv"
    offers.write_text("product_id,title,seller\nmug,mug,acme\n")
    arguments = ["--exclude-own", "product", "--exclude-own", "seller", "--at-most", "seller=2"]
    output_table = str(tmp_path / "matches.csv")
    assert main(["match", str(offers), "--output", output_table, *arguments]) == 0
    request = service.last_match
    assert request is not None
    assert request.excluded_product_ids == ["mug"]
    assert request.filter.none_of.filters[0].seller.values == ["acme"]
    assert (request.value_limit.field, request.value_limit.match_count) == ("seller", 2)
    assert main(["match", str(offers), "--output", output_table]) == 0
    assert service.last_match is not None
    assert not service.last_match.excluded_product_ids
    assert not service.last_match.HasField("filter")


def test_match_without_matches_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["match", "--title", "tea"]) == 0
    assert capsys.readouterr().out == "no product matches\n"
    assert main(["match", "--title", "tea", "--filter", "category=grocery"]) == 0
    assert "no product matches: the filter allows 0 products" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["match"], "needs a file of offers, or a photo or a text"),
        (["match", "--image", "no.jpg"], "there is no photo no.jpg"),
        (["score", "tea"], "score needs two records"),
        (["categorise", "-k", "3"], "categorise needs a photo or a text"),
        (["score", "tea", "mug", "--title", "x"], "got 3"),
    ],
)
def test_input_that_cannot_be_used_exits_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_get_list_delete_and_stats_print_tables(
    stocked: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "tea"]) == 0
    assert "Green tea" in capsys.readouterr().out
    assert main(["list", "--limit", "1"]) == 0
    captured = capsys.readouterr()
    assert "mug" in captured.out and "tea" not in captured.out and "--all" in captured.err
    assert main(["stats"]) == 0
    assert "embedded by another encoder" in capsys.readouterr().out
    assert main(["delete", "tea", "no"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "1 product removed\n" and "not in the catalogue: no" in captured.err


def test_get_list_delete_and_stats_print_json(
    stocked: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["get", "tea", "--json"]) == 0
    (product,) = json_lines(capsys.readouterr().out)
    assert product["price"] == 1234.5 and product["update_time"] == "2023-11-14T22:13:20+00:00"
    assert main(["list", "--all", "--json"]) == 0
    assert [each["product_id"] for each in json_lines(capsys.readouterr().out)] == ["mug", "tea"]
    assert main(["stats", "--json"]) == 0
    assert json_lines(capsys.readouterr().out)[0]["encoder"]["version"] == 3
    assert main(["delete", "--json", "tea"]) == 0
    assert json_lines(capsys.readouterr().out) == [{"deleted_count": 1, "missing_product_ids": []}]


def test_a_snapshot_tells_what_it_holds(stocked: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot"]) == 0
    assert capsys.readouterr().out == "2 vectors stored, up to change 7\n"
    assert main(["snapshot", "--json"]) == 0
    assert json_lines(capsys.readouterr().out) == [{"vector_count": 2, "change_sequence": 7}]


def test_an_error_of_the_service_is_one_sentence_and_in_json_an_object(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["get", "no"]) == 1
    assert capsys.readouterr().err == (
        "twinshelf: the catalogue holds no product 'no' [NOT_FOUND]\n"
    )
    assert main(["get", "no", "--json"]) == 1
    (value,) = json_lines(capsys.readouterr().out)
    assert value["error"]["code"] == "NOT_FOUND"
    assert value["error"]["reason"] == "PRODUCT_NOT_FOUND"


@pytest.mark.slow
def test_a_service_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--address", "127.0.0.1:1", "--timeout", "0.5"]) == 1
    err = capsys.readouterr().err
    assert "127.0.0.1:1 (Connection refused)" in err and "make up" in err
    assert "Traceback" not in err


def test_a_table_that_cannot_be_written_is_unusable_input(
    stocked: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offers = tmp_path / "offers.csv"
    offers.write_text("id,title\n1,tea\n")
    assert main(["match", str(offers), "--output", str(tmp_path / "none" / "m.csv")]) == 2
    assert "none/m.csv" in capsys.readouterr().err


def test_text_that_is_no_unicode_is_unusable_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["match", "--title", "caf\udce9"]) == 2
    assert "title must be a text that UTF-8 can hold, got 'caf\\udce9'" in capsys.readouterr().err
    assert main(["get", "caf\udce9"]) == 2
    assert capsys.readouterr().err == "twinshelf: text must be UTF-8, got 'caf\\udce9'\n"


def test_weights_left_out_are_zero() -> None:
    assert read_weights("text=2") == ModalityWeights(image=0, text=2)


def test_tables_keep_their_figures_at_80_columns_beside_a_long_id() -> None:
    product = Product(
        product_id="https://www.example.com/feeds/snippets/" + "1843" * 9,
        title="Microsoft Windows Vista Ultimate, upgrade",
        brand="Microsoft",
        category="Operating systems",
        price=1234567.5,
        pattern="both",
    )
    match = Match(
        product=product,
        score=0.987,
        probability=0.123,
        is_match=True,
        pattern="both",
        image_score=0.456,
        text_score=0.789,
    )
    encoder = EncoderInfo(digest="sha256:0", version=1)
    result = MatchResult(
        matches=(match,), pattern="both", encoder=encoder, no_match_probability=0.25
    )
    for table, figures in (
        (
            output.match_table(result),
            ("12.3%", "✓ is a", "25.0%", "0.987", "0.456", "0.789", "1,234,567.50"),
        ),
        (
            output.match_table(replace(result, matches=(replace(match, is_match=False),))),
            ("none is sure enough; probability that the catalogue has none: 25.0%",),
        ),
        (output.product_list_table([product]), ("1,234,567.50", "both")),
    ):
        stream = io.StringIO()
        Console(file=stream, width=80).print(table)
        assert max(map(len, stream.getvalue().splitlines())) <= 80
        assert all(figure in stream.getvalue() for figure in figures)


def test_options_of_the_service_stand_before_or_after_the_command(
    stocked: None, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--json", "--address", address, "stats"]) == 0
    assert json_lines(capsys.readouterr().out)
    assert main(["--address", "127.0.0.1:1", "stats", "--address", address, "--json"]) == 0
    assert json_lines(capsys.readouterr().out)
