"""What the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from itertools import islice
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from twinshelf.client.category_records import CategoryPrediction
from twinshelf.client.files.findings import count_of
from twinshelf.client.pair_records import PairScore
from twinshelf.client.records import (
    CatalogStats,
    DeleteResult,
    Match,
    MatchResult,
    Product,
    StoredProduct,
)

if TYPE_CHECKING:
    from twinshelf.client.changes import ProductChange
    from twinshelf.client.errors import TwinshelfError

Shown = TypeVar("Shown")
# Far enough for any terminal; a pipe is not folded to the 80 columns that rich would assume.
PIPE_WIDTH = 160
# Narrower ones fold the lines themselves: a table would lose its figures.
LEAST_WIDTH = 80
# Beside those of terminals: ends of lines and of paragraphs, what turns the direction of the text
# behind it, and halves of characters, which cannot be written.
_BEYOND_ASCII = r"\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROLS = re.compile(rf"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}]")
_UNESCAPED_BY_JSON = re.compile(f"[{_BEYOND_ASCII}]")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves it to the command: to rich a reader that has gone is a failure."""
        raise BrokenPipeError


def make_console(stream: TextIO) -> Console:
    """Makes a console that prints tables to a stream.

    Args:
        stream: Usually standard output or standard error.
    """
    width = None if stream.isatty() else PIPE_WIDTH
    console = _Console(file=stream, width=width, highlight=False, soft_wrap=False)
    console.width = max(console.width, LEAST_WIDTH)
    return console


def printable(text: str) -> str:
    """Returns what others wrote, without what would move the cursor, colour or turn the text."""
    return _CONTROLS.sub("\ufffd", text)


def plain(text: str) -> Text:
    """Returns what others wrote as text without markup, and printable."""
    return Text(printable(text))


def write_json(stream: TextIO, value: dict[str, Any]) -> None:
    """Writes one object on one line.

    Args:
        stream: Where to.
        value: Made of what JSON knows.
    """
    is_unicode = (stream.encoding or "utf-8").lower().startswith("utf")
    text = json.dumps(value, ensure_ascii=not is_unicode)
    stream.write(_UNESCAPED_BY_JSON.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text) + "\n")


def first_of(found: Iterator[Shown], count: int | None) -> tuple[list[Shown], str]:
    """Returns what a list prints.

    Args:
        found: All that there is.
        count: How many are printed at most; None for all.

    Returns:
        The first, and a line that says so when there are more, or "".
    """
    shown = list(islice(found, count))
    has_more = count is not None and next(found, None) is not None
    return shown, f"the first {count:,}; --all prints all of them\n" if has_more else ""


def product_json(product: Product) -> dict[str, Any]:
    """Returns a product as JSON knows it, without the photos' bytes."""
    value = {each.name: getattr(product, each.name) for each in fields(product)}
    del value["image"], value["further_images"]
    value["attributes"] = dict(product.attributes)
    value["update_time"] = product.update_time.isoformat() if product.update_time else None
    return value


def match_result_json(result: MatchResult) -> dict[str, Any]:
    """Returns the matches of an offer as JSON knows them."""
    return {
        "matches": [_match_json(match) for match in result.matches],
        "no_match_probability": result.no_match_probability,
        "pattern": result.pattern,
        "encoder": asdict(result.encoder),
        "scorer": result.scorer and asdict(result.scorer),
        "filter_plan": asdict(result.filter_plan) if result.filter_plan else None,
    }


def stored_product_json(stored: StoredProduct) -> dict[str, Any]:
    """Returns a product and its encoder as JSON knows them."""
    return product_json(stored.product) | {"encoder_digest": stored.encoder_digest}


def product_change_json(change: ProductChange) -> dict[str, Any]:
    """Returns a change as JSON knows it; without a product where none came."""
    value: dict[str, Any] = {
        "change_sequence": change.change_sequence,
        "kind": change.kind,
        "product_id": change.product_id,
    }
    return value | ({"product": product_json(change.product)} if change.product else {})


def delete_result_json(result: DeleteResult) -> dict[str, Any]:
    """Returns what was removed as JSON knows it."""
    return asdict(result) | {"missing_product_ids": list(result.missing_product_ids)}


def error_json(error: TwinshelfError) -> dict[str, Any]:
    """Returns an error as JSON knows it."""
    return {
        "error": {
            "code": error.code.name,
            "message": error.message,
            "reason": error.reason,
            "request_id": error.request_id,
            "retry_after_s": error.retry_after_s,
            "field_violations": [asdict(violation) for violation in error.field_violations],
        }
    }


def match_table(result: MatchResult) -> Table:
    """Returns the matches of an offer as a table."""
    is_found = any(match.is_match for match in result.matches)
    found = "✓ is a match" if is_found else "none is sure enough"
    caption = f"{found}; probability that the catalogue has none: {result.no_match_probability:.1%}"
    if result.filter_plan is not None:
        allowed = count_of(result.filter_plan.allowed_count, "product")
        caption += f"\n{allowed} allowed, {result.filter_plan.search} search"
    table = Table(box=None, pad_edge=False, caption=caption, caption_justify="left")
    has_pairs = result.scorer is not None
    for name in (
        "#",
        "probability",
        "",
        *(["pair"] if has_pairs else []),
        "score",
        "image",
        "text",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    # A long identifier is folded, so that the figures keep their room.
    table.add_column("product", overflow="fold")
    for name in ("title", "brand"):
        table.add_column(name)
    table.add_column("price", justify="right", no_wrap=True)
    for rank, match in enumerate(result.matches, start=1):
        table.add_row(
            str(rank),
            Text(f"{match.probability:.1%}", style=probability_style(match.probability)),
            "✓" if match.is_match else "",
            *([_share(match.pair_probability)] if has_pairs else []),
            f"{match.score:.3f}",
            _cosine(match.image_score),
            _cosine(match.text_score),
            plain(match.product.product_id),
            plain(match.product.title),
            plain(match.product.brand),
            _price(match.product.price),
        )
    return table


def pair_verdict(score: PairScore) -> str:
    """Returns in a sentence whether two records are the same item, and how alike they are."""
    cosines = {"image": score.image_cosine, "text": score.text_cosine, "fused": score.fused_cosine}
    known = [f"{name} {value:.3f}" for name, value in cosines.items() if value is not None]
    verdict = "the same item" if score.is_match else "not the same item"
    threshold = f"a match from {score.scorer.threshold:.1%} on"
    return f"{score.probability:.1%}: {verdict} ({'; '.join([threshold, *known])})"


def reasons_table(score: PairScore) -> Table:
    """Returns what the features did to the probability of a pair as a table."""
    table = Table(box=None, pad_edge=False)
    for name in ("log odds", "value"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("feature", overflow="fold")
    for reason in score.reasons:
        value = "–" if reason.value is None else f"{reason.value:.3g}"
        table.add_row(f"{reason.log_odds:+.2f}", value, plain(reason.feature))
    return table


def category_votes_table(prediction: CategoryPrediction) -> Table:
    """Returns the categories that were voted for, and the products that did, as a table."""
    table = Table(box=None, pad_edge=False)
    for name in ("share", "score"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("category")
    table.add_column("product", overflow="fold")
    table.add_column("title")
    for each in prediction.categories:
        table.add_row(f"{each.share:.1%}", "", Text(printable(each.category), style="bold"), "", "")
    for vote in prediction.votes:
        table.add_row(
            f"{vote.share:.1%}",
            f"{vote.score:.3f}",
            plain(vote.category),
            plain(vote.product_id),
            plain(vote.title),
        )
    return table


def probability_style(probability: float) -> str:
    """Returns the colour of a probability: green, yellow or red."""
    if probability >= 0.8:
        return "green"
    return "yellow" if probability >= 0.4 else "red"


def product_list_table(products: list[Product]) -> Table:
    """Returns products as a table, one a line."""
    table = Table(box=None, pad_edge=False)
    table.add_column("product", overflow="fold")
    for name in ("title", "category", "brand"):
        table.add_column(name)
    table.add_column("price", justify="right", no_wrap=True)
    table.add_column("embedded", no_wrap=True)
    for product in products:
        table.add_row(
            plain(product.product_id),
            plain(product.title),
            plain(product.category),
            plain(product.brand),
            _price(product.price),
            product.pattern,
        )
    return table


def stored_product_table(stored: StoredProduct) -> Table:
    """Returns one product as a table of names and values; empty ones are left out."""
    product = stored.product
    rows: dict[str, str] = {
        "product": product.product_id,
        "title": product.title,
        "description": product.description,
        "category": product.category,
        "brand": product.brand,
        "seller": product.seller,
        "price": _price(product.price),
        **product.attributes,
        "photo": product.image_uri,
        "embedded": product.pattern,
        "updated": f"{product.update_time:%Y-%m-%d %H:%M:%S} UTC" if product.update_time else "",
        "encoder": stored.encoder_digest,
    }
    return _facts_table({name: value for name, value in rows.items() if value})


def stats_table(stats: CatalogStats) -> Table:
    """Returns the counts of the catalogue as a table of names and values."""
    rows = {
        "products": f"{stats.product_count:,}",
        "with photo": f"{stats.image_count:,}",
        "photos": f"{stats.photo_count:,}",
        "with text": f"{stats.text_count:,}",
        "indexed vectors": f"{stats.indexed_vector_count:,}",
        "vector length": str(stats.embedding_dimension),
        "last change": f"{stats.change_sequence:,}",
        "encoder": f"version {stats.encoder.version}, {stats.encoder.digest}"
        if stats.encoder.digest
        else "away",
    }
    if stats.stale_product_count:
        rows["stale"] = f"{stats.stale_product_count:,} embedded by another encoder: index again"
    if stats.damaged_product_count:
        rows["damaged"] = (
            f"{stats.damaged_product_count:,} set aside, the log of the service names them: index "
            "them again"
        )
    return _facts_table(rows)


def _facts_table(rows: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(plain(name), plain(value))
    return table


def _match_json(match: Match) -> dict[str, Any]:
    return {
        "product": product_json(match.product),
        "score": match.score,
        "probability": match.probability,
        "is_match": match.is_match,
        "pattern": match.pattern,
        "image_score": match.image_score,
        "text_score": match.text_score,
        "pair_probability": match.pair_probability,
    }


def _share(probability: float | None) -> str:
    return "–" if probability is None else f"{probability:.1%}"


def _cosine(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _price(price: float | None) -> str:
    return "" if price is None else f"{price:,.2f}"
