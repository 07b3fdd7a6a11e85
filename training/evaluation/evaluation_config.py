"""How an evaluation is done, and where it reads and writes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from twinshelf.client.files.names.columns import read_column_mapping
from twinshelf.server.command_line import option, text_option
from twinshelf.training.command_line import Device

RESULTS = "evaluation.json"
OTHER_DATA = "evaluations"
SEED = 42  # of halves, folds and samples


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """How an evaluation is done.

    Attributes:
        top_k: The K of P@K, R@K, F1@K, NDCG@K and Acc@K, rising; Acc@10 is always reported.
        target_precision: Precision that the match threshold is to reach, above 0 and at most 1.
        match_prior: Share of the offers with a match in the catalogue that probabilities stand for
            unless a request says otherwise, above 0 to 1.
        device: Where embeddings and scores are computed.

    Raises:
        ValueError: If `top_k` does not rise from 1 or more.
    """

    top_k: tuple[int, ...] = option((1, 5, 10), read=lambda given: tuple(sorted(set(given))))
    target_precision: Annotated[float, "above 0 and at most 1"] = 0.95
    match_prior: Annotated[float, "above 0 and at most 1"] = 0.5
    device: Device = "auto"

    def __post_init__(self) -> None:
        if not self.top_k or list(self.top_k) != sorted(set(self.top_k)) or self.top_k[0] < 1:
            raise ValueError(f"top_k must be rising numbers of 1 or more, got {self.top_k}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """Evaluates a trained encoder on held-out offers, by image, by text and by both.

    Attributes:
        run: Folder of the run, written by `training.train`.
        queries: Table of held-out offers; default: the run's own.
        gallery: Table of products to search; default: the run's own.
        judged_offers: Table of offers whose `group` is the product that somebody said they show
            (offers.csv of the web page): what is fitted to the run's data is fitted to them, too.
        columns: Columns of both tables, where they have other names than usual, such as
            title=name,images=photo: our field to the file's columns.
        output: Folder of the results; default: the run's for its own data, and for other
            data a folder in it, named after the queries and a digest of both paths.
        config: How it is done.
        judgements: Judged searches in the form of Amazon ESCI, a folder or a joined file: NDCG over
            the judged products of the held-out queries as well.
        tune: With --queries or --gallery: fit thresholds on half of these queries instead of taking
            those of the run.
        plots: Draw curves.
    """

    run: Path
    queries: Path | None = None
    gallery: Path | None = None
    judged_offers: Path | None = None
    columns: Mapping[str, Sequence[str]] = text_option(read_column_mapping)
    output: Path | None = None
    config: EvaluationConfig = EvaluationConfig()
    judgements: Path | None = None
    tune: bool = False
    plots: bool = True

    @property
    def is_own_data(self) -> bool:
        """Whether the run is evaluated on the data set that it was trained for."""
        return self.queries is None and self.gallery is None

    @property
    def results_folder(self) -> Path:
        """Folder of the results."""
        if self.output is not None:
            return self.output
        if self.is_own_data:
            return self.run
        paths = (self.queries, self.gallery)
        text = "\n".join(str(path and path.absolute()) for path in paths)
        digest = hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
        return self.run / OTHER_DATA / f"{next(filter(None, paths), self.run).stem}-{digest}"

    @property
    def name(self) -> str:
        """Name under which the results are tracked."""
        if self.results_folder == self.run:
            return Path(RESULTS).stem
        return f"{OTHER_DATA}/{self.results_folder.resolve().name}"
