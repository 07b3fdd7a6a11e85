"""The command `twinshelf`: what it prints, where, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from client.cli import main
from client.options import read_weights
from client.records import ModalityWeights, Product
from client.sync_client import TwinshelfClient
from tests.client.fake_service import REFUSED, FakeService


@pytest.fixture(autouse=True)
def _address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINSHELF_ADDRESS", address)


@pytest.fixture
def stocked(client: TwinshelfClient) -> None:
    rows = [
        Product(product_id="tea", title="Green tea", brand="Leaf", price=1234.5),
        Product(product_id="mug", title="Mug [bold]red[/bold]"),
    ]
    assert all(answer.error is None for answer in client.upsert(rows))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "products.csv"
    path.write_text("product_id,title\np1,tea\n,none\np3,refused\np4,mug\n")
    return path


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_index_lists_failed_rows_by_number_and_exits_1(
    table: Path, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.row_failures = {"p3": [REFUSED]}
    assert main(["index", str(table)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["2", "product_id", "is", "empty"] for line in lines)
    assert any(line.split()[:2] == ["3", "p3"] and "not an image" in line for line in lines)
    assert lines[-1] == "2 products stored, 0 of them replaced; 2 rows failed"


def test_index_writes_json_lines_alone_to_stdout(
    table: Path, service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.row_failures = {"p3": [REFUSED]}
    assert main(["--json", "index", str(table)]) == 1
    *failures, counts = json_lines(capsys.readouterr().out)
    assert [failure["row_number"] for failure in failures] == [2, 3]
    assert counts == {"stored_count": 2, "replaced_count": 0, "failed_count": 2}


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


def test_match_without_matches_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["match", "--title", "tea"]) == 0
    assert capsys.readouterr().out == "no product matches\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["match"], "needs a photo or a text"),
        (["match", "--image", "no.jpg"], "there is no photo no.jpg"),
    ],
)
def test_input_that_cannot_be_used_exits_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["match", "--title", "x", "-k", "0"],
        ["match", "--title", "x", "-k", "99999999999"],
        ["match", "--title", "x", "--weights", "image=a"],
        ["match", "--title", "x", "--weights", "image=0,text=0"],
        ["match", "--title", "x", "--min-probability", "2"],
        ["match", "--title", "x", "--attribute", "red"],
        ["stats", "--timeout", "0"],
        ["index", "x.csv", "--columns", "colour=x"],
        [],
    ],
)
def test_a_wrong_option_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "error:" in capsys.readouterr().err


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


def test_a_service_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--address", "127.0.0.1:1", "--timeout", "0.5"]) == 1
    err = capsys.readouterr().err
    assert "127.0.0.1:1 (Connection refused)" in err and "make serve" in err
    assert "Traceback" not in err


def test_text_that_is_no_unicode_is_unusable_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["match", "--title", "\udcff"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_weights_left_out_are_zero() -> None:
    assert read_weights("text=2") == ModalityWeights(image=0, text=2)
