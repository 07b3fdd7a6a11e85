"""Category prediction of a run: files in, results and networks out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.evaluation.tiny_run import SETTINGS as PREPROCESSING
from tests.training.evaluation.tiny_run import make_run
from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import read_table, write_table
from twinshelf.training.categories.__main__ import main
from twinshelf.training.categories.category_config import CategoryConfig, CategoryOptions
from twinshelf.training.categories.category_run import predict_categories
from twinshelf.training.checkpoint import PREPROCESSING as PREPROCESSING_FILE
from twinshelf.training.evaluation.embedded_products import EmbeddedProducts, Embedder
from twinshelf.training.runs.environment import read_environments

pytestmark = pytest.mark.slow

SETTINGS = CategoryConfig(label="group")


def products(path: Path) -> list[Product]:
    return [row for row in read_table(path) if isinstance(row, Product)]


def data(run: Path) -> Path:
    return run.parent / "data"


def test_results_are_saved_and_halves_do_not_overlap(run: Path, tmp_path: Path) -> None:
    result = predict_categories(CategoryOptions(run=run, output=tmp_path, config=SETTINGS))
    saved = json.loads((tmp_path / "categories.json").read_text())
    assert saved["label"] == "group"
    assert set(saved["patterns"]) == {"image", "text", "both"}
    for methods in result.patterns.values():
        assert set(methods) == {"knn", "mlp"}
        assert methods["knn"].reported.query_count == 10
    assert "10 of 20 queries" in result.notes[0]
    assert (tmp_path / "mlp_both.safetensors").is_file()


def test_a_tracked_run_gets_the_figures_in_its_loggers(tmp_path: Path) -> None:
    tracked = make_run(tmp_path, "tensorboard")
    settings = replace(SETTINGS, patterns=("image",))
    result = predict_categories(CategoryOptions(run=tracked, config=settings))
    events = EventAccumulator(str(tracked / "logs"))
    events.Reload()
    (event,) = events.Scalars("categories/group/patterns/image/knn/reported/weighted_f1")
    expected = result.patterns["image"]["knn"].reported.weighted_f1
    assert event.value == pytest.approx(expected, abs=1e-6)
    assert list(read_environments(tracked / "categories" / "group")) == ["categories/group"]


def test_an_earlier_choice_is_tried_on_all_queries_without_tuning(
    run: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, patterns=("image",))
    first = predict_categories(CategoryOptions(run=run, output=tmp_path / "a", config=settings))
    used_again = CategoryOptions(
        run=run, chosen=tmp_path / "a", output=tmp_path / "b", config=settings
    )
    again = predict_categories(used_again)
    chosen, used = first.patterns["image"], again.patterns["image"]
    assert {name: each.choice for name, each in used.items()} == {
        name: each.choice for name, each in chosen.items()
    }
    assert used["knn"].reported.query_count == 20
    with pytest.raises(ValueError, match="tune it first"):
        predict_categories(replace(used_again, config=replace(settings, patterns=("text",))))
    with pytest.raises(ValueError, match="predicts the group, not the category"):
        predict_categories(replace(used_again, config=replace(settings, label="category")))


def test_a_validation_file_tunes_so_that_all_queries_are_reported(
    run: Path, tmp_path: Path
) -> None:
    queries = products(data(run) / "queries.parquet")
    write_table(tmp_path / "validation.parquet", queries[::2])
    write_table(tmp_path / "test.parquet", queries[1::2])
    options = CategoryOptions(
        run=run,
        gallery=(data(run) / "gallery.parquet", tmp_path / "validation.parquet"),
        queries=tmp_path / "test.parquet",
        validation=tmp_path / "validation.parquet",
        output=tmp_path,
        config=replace(SETTINGS, patterns=("both",)),
    )
    result = predict_categories(options)
    assert result.gallery_count == 20
    assert result.patterns["both"]["knn"].reported.query_count == 10


@pytest.mark.parametrize(
    ("category", "message"),
    [
        ("", "no row of .*gallery.* has a category"),
        ("tea", "at least two different labels.*'tea'"),
    ],
)
def test_a_gallery_of_one_label_or_none_is_refused(
    run: Path, tmp_path: Path, category: str, message: str
) -> None:
    gallery = [
        replace(product, category=category) for product in products(data(run) / "gallery.parquet")
    ]
    write_table(tmp_path / "gallery.parquet", gallery)
    options = CategoryOptions(
        run=run,
        gallery=(tmp_path / "gallery.parquet",),
        output=tmp_path,
        config=replace(SETTINGS, label="category"),
    )
    with pytest.raises(ValueError, match=message):
        predict_categories(options)


def test_what_no_product_has_is_left_out_and_the_rest_is_predicted(
    run: Path, tmp_path: Path
) -> None:
    gallery = [replace(p, images=()) for p in products(data(run) / "gallery.parquet")]
    write_table(tmp_path / "titles.parquet", gallery)
    options = CategoryOptions(
        run=run, gallery=(tmp_path / "titles.parquet",), output=tmp_path, config=SETTINGS
    )
    found = predict_categories(options)
    assert set(found.patterns) == {"text", "both"}
    assert "too few queries or products have what 'image' needs" in found.notes
    with pytest.raises(ValueError, match="no query, or no product, has what"):
        predict_categories(replace(options, config=replace(SETTINGS, patterns=("image",))))


def test_offers_are_embedded_without_the_category_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path)
    settings = replace(PREPROCESSING, text_fields=("title", "category"))
    (run / PREPROCESSING_FILE).write_text(settings.to_json())
    read: dict[str, set[str]] = {}
    embed = Embedder.embed

    def note(
        embedder: Embedder, name: str, rows: Sequence[Product], *, are_passages: bool
    ) -> EmbeddedProducts:
        read[name] = {row.category for row in rows}
        return embed(embedder, name, rows, are_passages=are_passages)

    monkeypatch.setattr(Embedder, "embed", note)
    for label, of_queries in (("category", {""}), ("group", {"c0", "c1"})):
        config = CategoryConfig(label=label, patterns=("text",))  # type: ignore[arg-type]
        found = predict_categories(CategoryOptions(run=run, config=config))
        assert read == {"gallery": {"c0", "c1"}, "queries": of_queries}
        assert found.patterns["text"]["knn"].reported.query_count == 10
        assert any("is not embedded" in note for note in found.notes) == (label == "category")


def test_the_command_prints_a_table(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--run", str(run), "--modality", "text"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "neighbours" in text and "network" in text and "…" not in text
    (tmp_path / "empty.csv").write_text("product_id,title\n")
    assert main([*arguments, "--queries", str(tmp_path / "empty.csv")]) == 1
    assert "empty.csv holds no usable row" in capsys.readouterr().err
    assert main([*arguments, "--chosen", str(tmp_path)]) == 1
    assert "run training.categories first" in capsys.readouterr().err


TITLES = {11937: ("red tea", "red tea box", "tea red cup"), 12: ("blue milk", "milk blue jar")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two categories, and of four products to predict."""
    known = [(number, title) for number, titles in TITLES.items() for title in titles]
    unknown = ["red tea jar", "milk blue", "", "tea"]
    frames = {
        "train": [
            {**_row(row, title), "category_id": number, "category_name": f"name {number}"}
            for row, (number, title) in enumerate(known)
        ],
        "test": [_row(100 + row, title) for row, title in enumerate(unknown)],
    }
    for part, rows in frames.items():
        pd.DataFrame(rows).to_parquet(tmp_path / f"{part}.parquet")
    for label in ("group", "category"):
        products = [
            Product(
                product_id=str(row),
                title=title,
                group=str(number) if label == "group" else "",
                category=f"name {number}",
            )
            for row, (number, title) in enumerate(known)
        ]
        write_table(tmp_path / f"{label}.parquet", products)
        offers = [Product(product_id=f"o{p.product_id}", title=p.title, group=p.group,
                          category=p.category) for p in products]  # fmt: skip
        write_table(tmp_path / f"{label}_offers.parquet", offers)
    return tmp_path


def _row(product_id: int, title: str) -> dict[str, object]:
    fields = json.dumps({"title": title})
    return {"product_id": product_id, "shop_title": "", "text_fields": fields}


@pytest.mark.parametrize("label", ["group", "category"])
def test_every_product_without_a_category_gets_one(run: Path, folder: Path, label: str) -> None:
    arguments = ["--run", str(run), "--label", label, "--modality", "text"]
    tables = ["--gallery", str(folder / f"{label}.parquet"),
              "--queries", str(folder / f"{label}_offers.parquet"),
              "--validation", str(folder / f"{label}_offers.parquet")]  # fmt: skip
    output = ["--kazanexpress", str(folder), "--output", str(folder / "out")]
    assert main([*arguments, *tables, *output, "--device", "cpu"]) == 0
    table = pq.read_table(folder / "out" / "result.parquet")
    assert table.column_names == ["product_id", "predicted_category_id"]
    answers = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert list(answers) == [100, 101, 102, 103]
    assert set(answers.values()) <= set(TITLES)
    assert answers[102] == 11937  # nothing to go by: the most frequent category
