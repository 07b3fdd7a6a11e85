"""What the demonstration prints of its results: metrics, matches, recall through the service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from twinshelf.client.commands.output import probability_style
from twinshelf.client.demo.held_out import MatchedOffer, mean_probability, photo_path, recall_at_1

NAMES = {"image": "photo only", "text": "text only", "both": "photo and text"}
METRICS_SHOWN = ("R@1", "R@5", "R@10", "P@1", "F1@1", "NDCG@10", "MAP", "Acc@10")


def metrics_table(evaluation: Path) -> RenderableType:
    """Returns the metrics of `make evaluate` by modality.

    Args:
        evaluation: Its JSON file.
    """
    value: dict[str, Any] = json.loads(evaluation.read_text(encoding="utf-8"))
    patterns: dict[str, Any] = value["patterns"]
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    for pattern in patterns:
        table.add_column(pattern, justify="right")
    for name in METRICS_SHOWN:
        cells = [patterns[pattern]["metrics"].get(name) for pattern in patterns]
        if any(cells):
            table.add_row(name, *(_number(cell["value"] if cell else None) for cell in cells))
    counts = f"{value['query_count']} held-out offers, {value['gallery_count']} products"
    return _titled(f"Evaluation: {counts}", table)


def recall_table(matched: Mapping[str, Sequence[MatchedOffer]]) -> RenderableType:
    """Returns recall@1 as measured through the matching service, beside what it said to expect.

    Args:
        matched: Matched offers by modality.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("offer has")
    table.add_column("offers", justify="right")
    table.add_column("recall@1", justify="right")
    table.add_column("mean probability", justify="right")
    for pattern, offers in matched.items():
        found, expected = recall_at_1(offers), mean_probability(offers)
        cells = [_number(value if offers else None) for value in (found, expected)]
        table.add_row(NAMES[pattern], str(len(offers)), Text(cells[0], style="bold"), cells[1])
    return _titled("Recall@1 through the matching service", table)


def matches_table(matched: Sequence[MatchedOffer]) -> RenderableType:
    """Returns offers beside their best match.

    Args:
        matched: The offers to show.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("offer", ratio=1)
    table.add_column("best match", ratio=1)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for each in matched:
        best = each.matches[0] if each.matches else None
        table.add_row(
            Text(offer_name(each)),
            Text(best.product.title or best.product.product_id) if best else "–",
            Text(f"{best.probability:.0%}", style=probability_style(best.probability))
            if best
            else "",
            Text("right", style="green") if each.found else Text("wrong", style="red"),
        )
    return _titled("Held-out offers and their best matches", table)


def sheet_title(name: str, matched: Mapping[str, Sequence[MatchedOffer]]) -> tuple[str, str]:
    """Returns title and subtitle of the contact sheet.

    Args:
        name: Of the run.
        matched: Matched offers by modality.
    """
    recalls = [
        f"{names} {recall_at_1(matched[pattern]):.1%}"
        for pattern, names in NAMES.items()
        if matched[pattern]
    ]
    count = max(len(offers) for offers in matched.values())
    return (
        f"Twinshelf · {name}",
        f"{count} held-out offers matched through the service; recall@1: {', '.join(recalls)}",
    )


def offer_name(matched: MatchedOffer) -> str:
    """Returns what a person would call an offer: its title, else its photo's name."""
    offer = matched.offer
    photo = photo_path(offer)
    return offer.title or (photo.name if photo is not None else offer.product_id)


def _titled(title: str, table: Table) -> RenderableType:
    # Not the table's own title, which would be folded to the width of the table.
    return Group(Text(title, style="bold"), table)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
