"""Small data sets of the published formats, and commands run in this process."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image

from tests.benchmarks.quality.places import Command

KINDS = {"Shirts": "red", "Shoes": "green", "Watches": "blue"}

SHORT = ("--loop.epoch_count=1", "--preprocessing.image_size_px=48")


def run_here(command: Command) -> None:
    """Runs a command without a process of its own; a training is short."""
    module = importlib.import_module(command.module)
    if hasattr(module, "__path__"):  # as python -m does with a package
        module = importlib.import_module(f"{command.module}.__main__")
    is_training = command.module == "twinshelf.training.train"
    status = module.main((*command.arguments, *(SHORT if is_training else ())))
    if status != 0:
        raise RuntimeError(f"ended with status {status}: {command.text}")


def write_sports(folder: Path, cards_per_class: int = 8) -> None:
    folder.mkdir(parents=True)
    columns = ("title", "price", "cat_1", "cat_2", "cat_3", "caracteristics", "img_ref", "target",
               "dealer")  # fmt: skip
    with (folder / "company_data.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for target, word in (("belts", "Ремень"), ("bikes", "Велосипед")):
            for number in range(cards_per_class):
                title = f"{word} модель {number}"
                photo = f"{target}/{number}.jpg"
                writer.writerow((title, 10, word, "", "UNIX", "", photo, target, "shop"))


def write_grocery(folder: Path) -> None:
    """Writes three products, each with training and validation photos."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)

    def draw(name: str, colour: str) -> str:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.array(Image.new("RGB", (36, 48), colour), dtype=np.int16)
        picture += generator.integers(-20, 20, picture.shape, dtype=np.int16)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
        return name

    lists: dict[str, list[str]] = {"train": [], "val": []}
    with (folder / "classes.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("Class Name (str)", "Class ID (int)", "Coarse Class Name (str)",
             "Coarse Class ID (int)", "Iconic Image Path (str)",
             "Product Description Path (str)")
        )  # fmt: skip
        for number, colour in enumerate(("red", "green", "blue")):
            (folder / f"{colour}.txt").write_text(f"A {colour} fruit.", encoding="utf-8")
            icon = draw(f"iconic/{colour}.jpg", colour)
            writer.writerow((f"{colour}-fruit", number, "Fruit", 0, f"/{icon}", f"/{colour}.txt"))
            for part, count in (("train", 5), ("val", 4)):
                photos = [draw(f"{part}/{colour}_{i}.jpg", colour) for i in range(count)]
                lists[part] += [f"{photo}, {number}, 0" for photo in photos]
    for part, lines in lists.items():
        (folder / f"{part}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_fashion(folder: Path, rows_per_type: int = 10) -> None:
    (folder / "images").mkdir(parents=True)
    columns = ("id", "title", "gender", "masterCategory", "subCategory", "articleType",
               "baseColour", "season", "year", "usage", "image")  # fmt: skip
    generator = np.random.default_rng(0)
    with (folder / "styles.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for kind, colour in KINDS.items():
            for number in range(rows_per_type):
                name = f"{kind}-{number}"
                picture = np.array(Image.new("RGB", (40, 30), colour), dtype=np.int16)
                picture += generator.integers(-20, 20, picture.shape, dtype=np.int16)
                path = folder / "images" / f"{name}.jpg"
                Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
                title = f"Puma Men {kind[:-1]} {number}"
                writer.writerow((name, title, "Men", "", "", kind, colour, "", "", "",
                                 f"images/{name}.jpg"))  # fmt: skip


def write_pairs(folder: Path) -> None:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for name, count in (("train", 60), ("valid", 30)):
        lines = []
        for number in range(count):
            code, other = generator.integers(100, 999, 2)
            is_match = number % 3 == 0
            left = f"COL title VAL sony camera dsc{code} black COL price VAL {code}"
            right = f"COL title VAL sony dsc{code if is_match else other} camera COL price VAL 5"
            lines.append(f"{left}\t{right}\t{int(is_match)}")
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_image_weights(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    model = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0)
    torch.save(model.state_dict(), path)
