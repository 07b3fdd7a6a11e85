"""The models of an encoder in a model repository, and where a version keeps its record."""

from __future__ import annotations

from pathlib import Path

from twinshelf.export.repository import version_folder

PREPROCESSORS = ("image_preprocess", "text_preprocess")
TOWERS = ("image_tower", "text_tower")
GRAPHS = (*TOWERS, "fusion")
IMAGE_ENCODER, TEXT_ENCODER, PRODUCT_ENCODER = "image_encoder", "text_encoder", "product_encoder"
ENSEMBLES = (IMAGE_ENCODER, TEXT_ENCODER, PRODUCT_ENCODER)
# The product encoder last: its configuration completes a version.
MODELS = (*PREPROCESSORS, *GRAPHS, *ENSEMBLES)
RECORD = "published.json"


def record_path(repository: Path, version: int) -> Path:
    """Returns where a version keeps the record of its publication."""
    return version_folder(repository, PRODUCT_ENCODER, version) / RECORD
