"""Judged pairs for programs: a CSV table, and the lines of Ditto's form."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from twinshelf.client.records import Product
from twinshelf.client.web.judgements import JudgedPair
from twinshelf.client.web.uncertain_pairs import is_stored

_FIELDS: Final = tuple(
    "product_id title description category brand seller price attributes".split()
)
_DITTO_FIELDS: Final = ("title", "description", "category", "brand", "price")
# Further columns that readers of the form take for one of these.
_DITTO_NAMES: Final = frozenset((*_DITTO_FIELDS, "name", "manufacturer"))


def csv_lines(pairs: Iterable[JudgedPair]) -> Iterator[str]:
    """Yields a table: both records, the verdict, who said it and when.

    Args:
        pairs: That were judged.
    """
    yield csv_line(
        [f"{side}_{name}" for side in ("left", "right") for name in _FIELDS]
        + ["verdict", "label", "score", "probability", "judged_by", "judged_at"]
    )
    for pair in pairs:
        yield csv_line(
            [_cell(record, name) for record in (pair.left, pair.right) for name in _FIELDS]
            + [pair.verdict, {"same": "1", "different": "0"}.get(pair.verdict, "")]
            + [f"{pair.score:.6f}", f"{pair.probability:.6f}", pair.judged_by]
            + [datetime.fromtimestamp(pair.judged_at_s, UTC).isoformat(timespec="seconds")]
        )


def offer_lines(pairs: Iterable[JudgedPair]) -> Iterator[str]:
    """Yields a table of the offers that show a known product: their `group` is its identifier.

    Offers of several files may share an identifier, which readers of a table take for one offer:
    those that come later have another.

    Args:
        pairs: That were judged; of an offer with several right products the first counts.
    """
    yield csv_line([*_FIELDS, "image", "group"])
    offers: dict[str, JudgedPair] = {}
    given_ids: set[str] = set()
    for pair in pairs:
        offer, product, key = pair.left, pair.right, pair.left_key
        if is_stored(key) and not is_stored(pair.right_key):  # pairs lie in the order of their keys
            offer, product, key = product, offer, pair.right_key
        if pair.verdict == "same" and offers.setdefault(key, pair) is pair:
            if offer.product_id in given_ids:
                digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
                offer = replace(offer, product_id=f"{offer.product_id}-{digest[:16]}")
            given_ids.add(offer.product_id)
            fields = [_cell(offer, name) for name in (*_FIELDS, "image_uri")]
            yield csv_line([*fields, product.product_id])


def ditto_lines(pairs: Iterable[JudgedPair]) -> Iterator[str]:
    """Yields lines such as "COL title VAL red tea<TAB>COL title VAL tea, red<TAB>1".

    Pairs that somebody was unsure of are left out. Source of the form: Li et al., Deep Entity
    Matching with Pre-Trained Language Models (VLDB 2021).

    Args:
        pairs: That were judged.
    """
    for pair in pairs:
        if pair.verdict in ("same", "different"):
            label = int(pair.verdict == "same")
            yield f"{_ditto_record(pair.left)}\t{_ditto_record(pair.right)}\t{label}\n"


def csv_line(cells: Sequence[str]) -> str:
    """Returns a line of a CSV table, as RFC 4180 ends and quotes it."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)  # quotes what holds either half of its line's end
    return line.getvalue()


def _cell(record: Product, name: str) -> str:
    value = getattr(record, name)
    if name == "attributes":
        return json.dumps(value, ensure_ascii=False) if value else ""
    return "" if value is None else str(value)


def _ditto_record(record: Product) -> str:
    fields = [(name, _cell(record, name)) for name in _DITTO_FIELDS]
    fields += [(_ditto_name(name), value) for name, value in record.attributes.items()]
    return " ".join(f"COL {name} VAL {_ditto_text(value)}" for name, value in fields)


def _ditto_name(name: str) -> str:
    """Makes the name of an attribute one word, and none of a field."""
    word = "_".join(name.split())
    return f"attribute_{word}" if word.casefold() in _DITTO_NAMES else word


def _ditto_text(text: str) -> str:
    """Makes a text that holds no separator of the form."""
    return re.sub(r"\bCOL\b", "col", " ".join(text.split()))
