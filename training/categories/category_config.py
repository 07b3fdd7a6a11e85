"""How categories are predicted and evaluated, and where that reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from twinshelf.client.files.names.columns import read_column_mapping
from twinshelf.server.command_line import option, text_option
from twinshelf.training.command_line import Device

LabelField = Literal["category", "group"]
Pattern = Literal["image", "text", "both"]

FOLDER = "categories"
SEED = 42  # of the halves that tune and report


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryConfig:
    """How categories are predicted and evaluated.

    Attributes:
        label: What is predicted.
        patterns: Modality patterns to predict by.
        target_accuracy: Share of the answers that are to be right, above 0, at most 1.
        device: Where embeddings and scores are computed.
    """

    label: LabelField = "category"
    patterns: tuple[Pattern, ...] = option(
        ("image", "text", "both"), name="modality", read=lambda given: tuple(dict.fromkeys(given))
    )
    target_accuracy: Annotated[float, "above 0 and at most 1"] = 0.95
    device: Device = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryOptions:
    """Predicts categories by vote of the nearest products and by a small network.

    What can be tuned is tuned on one part of the offers; weighted F1 is reported on the other.

    Attributes:
        run: Folder of the run.
        gallery: Tables of products whose labels are known; default: the run's own gallery.
        queries: Table of held-out offers; default: the run's own.
        validation: Table of offers to tune on; default: one half of the queries is tuned on and
            the other reported.
        kazanexpress: Folder of KazanExpress, whose `test.parquet` is predicted as well, in
            `result.parquet` beside the results.
        chosen: Folder of an earlier result, whose K, thresholds and networks are used; default:
            tuned anew.
        columns: Columns of the tables, where they have other names than usual, such as
            title=name,images=photo: our field to the file's columns.
        output: Folder of the results; default: `RUN/categories/LABEL`.
        config: How it is done.
    """

    run: Path
    gallery: tuple[Path, ...] = ()
    queries: Path | None = None
    validation: Path | None = None
    chosen: Path | None = None
    kazanexpress: Path | None = None
    columns: Mapping[str, Sequence[str]] = text_option(read_column_mapping)
    output: Path | None = None
    config: CategoryConfig = CategoryConfig()

    @property
    def results_folder(self) -> Path:
        """Folder of the results."""
        return self.output or self.run / FOLDER / self.config.label
