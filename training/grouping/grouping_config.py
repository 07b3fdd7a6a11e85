"""How a catalogue is grouped, and where that reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from twinshelf.client.files.names.columns import read_column_mapping
from twinshelf.server.command_line import text_option
from twinshelf.training.command_line import Device

MOST_EXACT_ROWS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingConfig:
    """How a catalogue is grouped.

    Attributes:
        neighbour_count: Nearest products of each product that may become its edges, where both
            have each other among them, 1 or more; a group can be larger, by way of common
            neighbours.
        most_members: Largest group, 2 or more; a larger one is split where it hangs together
            least.
        least_density: Share of the possible edges within a group that must be there, 0 to 1, where
            ten per product are enough; a looser group, such as a chain of look-alikes, is split.
            0 allows chains.
        most_exact_rows: Products up to which neighbours are searched exactly; above, by usearch.
        thread_count: Threads of usearch, 1 or more.
        device: Where embeddings and scores are computed.
    """

    neighbour_count: Annotated[int, "1 or more"] = 50
    most_members: Annotated[int, "2 or more"] = 50
    least_density: Annotated[float, "0 to 1"] = 0.4
    most_exact_rows: Annotated[int, "0 or more"] = MOST_EXACT_ROWS
    thread_count: Annotated[int, "1 or more"] = 1
    device: Device = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingOptions:
    """Finds groups of the same product in a whole catalogue, by photo, text and both.

    When the file has groups of its own, the found ones are compared with them.

    Attributes:
        run: Folder of the run, with its calibration.
        products: Tables of the catalogue.
        output: Table of the groups, ending in .parquet; results lie beside it, ending in .json.
        columns: Columns of the tables, where they have other names than usual, such as
            title=name,images=photo: our field to the file's columns.
        previous: Table of an earlier grouping, whose names are kept; default: named anew.
        config: How it is done.

    Raises:
        ValueError: If the output has another ending.
    """

    run: Path
    products: tuple[Path, ...]
    output: Path
    columns: Mapping[str, Sequence[str]] = text_option(read_column_mapping)
    previous: Path | None = None
    config: GroupingConfig = GroupingConfig()

    def __post_init__(self) -> None:
        if self.output.suffix.lower() != ".parquet":
            raise ValueError(f"the table of groups must end in .parquet, got {self.output.name}")

    @property
    def results(self) -> Path:
        """File of the results."""
        return self.output.with_suffix(".json")
