"""The rows whose encoder is trained: groceries, fashion, sports goods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.quality.places import Command, Places
from tests.benchmarks.quality.results import Measurement
from tests.benchmarks.quality.row import Row, read_estimate, read_values
from twinshelf.training.catalogues.prepare import TABLES

TRAINED = "weights.safetensors"
_HALVES = "K is tuned on one half of the held-out rows, the other half is reported."
_FASHION_REACH = {"image": 0.88, "text": 0.95, "both": 0.96}
_FASHION_NAMES = {"image": "image", "text": "title", "both": "both"}


def grocery_row(places: Places) -> Row:
    """Photos of groceries to their catalogue, and to their fine product."""
    data, run, source = places.data("grocery"), places.run("grocery"), places.data_root / "grocery"
    return Row(
        name="grocery",
        run=run,
        sources=(source, places.image_weights),
        prepare=(_prepare("grocery", source, data),),
        train=_train("grocery", data, run, f"--model.image.weights={places.image_weights}"),
        evaluate=(
            Command.of("twinshelf.training.evaluation", "--run", run),
            Command.of(
                "twinshelf.training.categories",
                "--run",
                run,
                "--label",
                "group",
                "--modality",
                "image",
                "--gallery",
                data / "gallery.parquet",
                data / "train.parquet",
            ),
        ),  # fmt: skip
        read=lambda: (_grocery_recall(run), _grocery_product(run)),
    )


def fashion_row(places: Places) -> Row:
    """Article types of clothes by image, title and both."""
    tables, data = places.data("fashion"), places.data("fashion-types")
    run, source = places.run("fashion"), places.data_root / "fashion"
    options = [f"--model.image.weights={places.image_weights}"]
    if places.text_encoder is not None:
        options += [f"--model.text.name={places.text_encoder}", "--optimizer.text_lr=1e-4"]
    sources = (source, places.image_weights, places.text_encoder)
    return Row(
        name="fashion",
        run=run,
        sources=tuple(path for path in sources if path is not None),
        prepare=(
            _prepare("fashion", source, tables),
            Command.of(
                "tests.benchmarks.quality.class_tables",
                "--tables",
                tables,
                "--out",
                data,
                makes=_tables(data),
            ),  # fmt: skip
        ),
        train=_train("fashion_types", data, run, *options),
        evaluate=(
            Command.of(
                "twinshelf.training.categories",
                "--run",
                run,
                "--label",
                "category",
                "--gallery",
                data / "gallery.parquet",
                data / "train.parquet",
            ),
        ),  # fmt: skip
        read=lambda: tuple(_fashion_type(run, pattern) for pattern in _FASHION_REACH),
    )


def sports_row(places: Places) -> Row:
    """Classes of sports goods by title."""
    data, run, source = places.data("sports"), places.run("sports"), places.data_root / "sports"
    return Row(
        name="sports",
        run=run,
        sources=(source,),
        prepare=(_prepare("sports", source, data),),
        train=_train("sports", data, run),
        evaluate=(Command.of("twinshelf.training.evaluation", "--run", run),),
        read=lambda: (_sports_accuracy(run),),
    )


def _prepare(name: str, source: Path, out: Path) -> Command:
    return Command.of("twinshelf.training.catalogues.prepare", "--data", name, "--data-dir", source,
                      "--out", out, makes=_tables(out))  # fmt: skip


def _tables(folder: Path) -> list[Path]:
    return [folder / f"{name}.parquet" for name in TABLES]


def _train(preset: str, data: Path, run: Path, *options: str) -> Command:
    return Command.of("twinshelf.training.train", "--config", preset, "--data.folder", data,
                      "--output", run, "--loop.show_progress=false", *options,
                      makes=[run / TRAINED])  # fmt: skip


def _grocery_recall(run: Path) -> Measurement:
    found = read_estimate(run / "evaluation.json", "patterns", "image", "metrics", "R@1")
    return Measurement(
        task="photo → catalogue, image only, recall@1 on validation photos",
        data="grocery, 81 products",
        reference=".31 frozen MobileNetV2",
        reach=0.85,
        value=found.value,
        low=found.low,
        high=found.high,
    )


def _grocery_product(run: Path) -> Measurement:
    path = run / "categories" / "group" / "categories.json"
    found = read_estimate(path, "patterns", "image", "knn", "reported", "accuracy")
    return Measurement(
        task="fine product by kNN over catalogue + training photos, accuracy",
        data="grocery",
        reference=".73 frozen",
        reach=0.90,
        value=found.value,
        low=found.low,
        high=found.high,
        note=_HALVES,
    )


def _fashion_type(run: Path, pattern: str) -> Measurement:
    path = run / "categories" / "category" / "categories.json"
    reported = read_values(path, "patterns", pattern, "knn", "reported")
    value = reported["weighted_f1"]
    return Measurement(
        task=f"article type by kNN, weighted F1: {_FASHION_NAMES[pattern]}",
        data="fashion, 74 types",
        reference=".77 image, frozen (accuracy)",
        reach=_FASHION_REACH[pattern],
        value=float("nan") if value is None else float(value),
        note=_HALVES,
    )


def _sports_accuracy(run: Path) -> Measurement:
    found = read_estimate(run / "evaluation.json", "patterns", "text", "metrics", "Acc@10")
    return Measurement(
        task="Acc@10 by target class, title only, leave-one-out",
        data="sports cards, held-out half",
        reference="73.2 zero-shot (on its full set)",
        reach=0.95,
        value=found.value,
        low=found.low,
        high=found.high,
        note=_precision_note(run),
    )


def _precision_note(run: Path) -> str:
    found = read_estimate(run / "evaluation.json", "patterns", "text", "metrics", "P@10")
    return (
        "Acc@10: a card of the same class is among the first ten; "
        f"of the ten, {found.value:.1%} are of it. The interval draws whole classes."
    )


MATCHING_ROWS: dict[str, Callable[[Places], Row]] = {
    "grocery": grocery_row,
    "fashion": fashion_row,
    "sports": sports_row,
}
