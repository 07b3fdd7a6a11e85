"""What an ablation compares, and where it reads and writes: the options of its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinshelf.training.command_line import Device

RESULTS = "ablation.json"
OTHER_FILES = "ablations"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationConfig:
    """Compares a run by image, title, category and all text, before and after its training.

    Every variant is searched exactly and by usearch.

    Attributes:
        run: Folder of the run (see training.train).
        queries: Table of offers; default: the run's own.
        gallery: Table of products to search; default: the run's own.
        image_weights: Image weights before training; default: those that the run names.
        text_encoder: Folder of the pretrained text encoder; default: the one that the run names.
        output: File of the results; default: RUN/ablation.json.
        device: Where embeddings and scores are computed.
        width: Width of the table, in characters; default: the terminal's.

    Raises:
        ValueError: If a value is out of range.
    """

    run: Path
    queries: Path | None = None
    gallery: Path | None = None
    image_weights: Path | None = None
    text_encoder: str | None = None
    output: Path | None = None
    device: Device = "auto"
    width: int | None = None

    def __post_init__(self) -> None:
        if self.width is not None and self.width < 1:
            raise ValueError(f"width must be 1 or more, got {self.width}")

    @property
    def results(self) -> Path:
        """File of the results."""
        return self.output or self.run / RESULTS

    @property
    def name(self) -> str:
        """Name under which the results are tracked."""
        if self.results.resolve() == (self.run / RESULTS).resolve():
            return self.results.stem
        return f"{OTHER_FILES}/{self.results.stem}"
