"""How a catalogue is grouped."""

from __future__ import annotations

from dataclasses import dataclass

MOST_EXACT_ROWS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingSettings:
    """How a catalogue is grouped.

    Attributes:
        neighbour_count: Nearest products of each product that may become its edges, 1 or more; a
            group can be larger, by way of common neighbours.
        needs_mutual_edges: Whether both products must be among each other's neighbours.
        most_members: Largest group, 2 or more; a larger one is split where it hangs together
            least.
        least_density: Share of the possible edges within a group that must be there, 0 to 1, where
            ten per product are enough; a looser group, such as a chain of look-alikes, is split.
            0 allows chains.
        most_exact_rows: Products up to which neighbours are searched exactly; above, by usearch.
        thread_count: Threads of usearch, 1 or more.
        device: Where scores are computed: "cpu" or "cuda".

    Raises:
        ValueError: If a value is out of range.
    """

    neighbour_count: int = 50
    needs_mutual_edges: bool = True
    most_members: int = 50
    least_density: float = 0.4
    most_exact_rows: int = MOST_EXACT_ROWS
    thread_count: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in (("neighbour_count", 1), ("most_members", 2), ("thread_count", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more, got {getattr(self, name)}")
        if not 0 <= self.least_density <= 1:
            raise ValueError(f"least_density must be 0 to 1, got {self.least_density}")
        if self.most_exact_rows < 0:
            raise ValueError(f"most_exact_rows must be 0 or more, got {self.most_exact_rows}")
