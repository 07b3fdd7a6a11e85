"""A catalogue of coloured squares, small enough to be learnt in seconds."""

from pathlib import Path

import numpy as np
from PIL import Image

from twinshelf.training.catalogues.product import Product
from twinshelf.training.catalogues.table import write_table
from twinshelf.training.config import TrainConfig, read_config

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "white", "brown", "pink")


def write_small_catalogue(folder: Path, *, group_count: int = 8, offer_count: int = 4) -> None:
    """Writes the three tables: the last two groups are held out; some rows lack a modality."""
    generator = np.random.default_rng(0)
    rows: dict[str, list[Product]] = {"train": [], "gallery": [], "queries": []}
    (folder / "images").mkdir(parents=True)
    for group in range(group_count):
        for offer in range(offer_count):
            path = folder / "images" / f"{group}-{offer}.jpg"
            size = (40 + 4 * offer, 30)
            picture = np.array(Image.new("RGB", size, COLOURS[group]), dtype=np.int16)
            picture += generator.integers(-20, 20, picture.shape, dtype=np.int16)
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
            lacks_image, lacks_text = (group, offer) == (0, 1), (group, offer) == (1, 1)
            product = Product(
                product_id=f"p{group}-{offer}",
                title="" if lacks_text else f"{COLOURS[group]} paint {offer} l",
                category="paint",
                images=() if lacks_image else (path,),
                group=f"g{group}",
            )
            held_out = group >= group_count - 2
            if offer == 0:
                rows["gallery"].append(product)
            elif held_out:
                rows["queries"].append(product)
            if not held_out:
                rows["train"].append(product)
    for name, products in rows.items():
        write_table(folder / f"{name}.parquet", products)


def small_config(folder: Path, *options: str) -> TrainConfig:
    """Returns a configuration that trains on the small catalogue in a second or two."""
    return read_config(small_options(folder, *options))


def small_options(folder: Path, *options: str) -> list[str]:
    """Returns the same as a command line; what is given last wins."""
    return [
        f"--data.folder={folder / 'data'}",
        f"--data.pixel_cache={folder / 'pixels'}",
        f"--output={folder / 'run'}",
        "--data.validation_share=0.34",
        "--model.image.name=test_efficientnet",
        "--model.embedding_dim=16",
        "--model.text.scratch.width=16",
        "--model.text.scratch.layer_count=1",
        "--preprocessing.image_size_px=32",
        "--preprocessing.token_buckets=[8,16]",
        "--sampler.groups_per_batch=3",
        "--sampler.rows_per_group=3",
        "--loop.epoch_count=1",
        "--loop.accelerator=cpu",
        "--loop.device_count=1",
        "--loop.show_progress=false",
        "--loop.loggers=[]",
        *options,
    ]
