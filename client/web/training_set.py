"""Judged pairs as a folder for `make pairs`: those to learn from, and those to choose on."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from twinshelf.client.web.judgements import JudgedPair
from twinshelf.client.web.pair_export import ditto_lines

VALIDATION_SHARE: Final = 0.2
# The names that `make pairs` reads.
_TRAIN, _VALIDATION = "train.txt", "valid.txt"


def training_set(pairs: Iterable[JudgedPair]) -> bytes:
    """Makes a ZIP of train.txt and valid.txt in Ditto's form.

    Pairs that hang together through shared records stay on one side, so that a scorer is chosen on
    records that it has not seen.

    Args:
        pairs: That were judged; those that somebody was unsure of are left out.

    Raises:
        ValueError: If one of the sides would lack pairs of the same item, or of different ones.
    """
    sides = _split([each for each in pairs if each.verdict in ("same", "different")])
    for name, side in zip((_TRAIN, _VALIDATION), sides, strict=True):
        if len({pair.verdict for pair in side}) < 2:
            raise ValueError(
                f"Judge more pairs: {name} needs one of the same item and one of different items "
                "at least, of records that are in no other pair."
            )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, side in zip((_TRAIN, _VALIDATION), sides, strict=True):
            file.writestr(name, "".join(ditto_lines(side)))
    return content.getvalue()


def _split(pairs: Sequence[JudgedPair]) -> tuple[list[JudgedPair], list[JudgedPair]]:
    """Draws whole clusters for validation until it has its share of each verdict."""
    train: list[JudgedPair] = []
    validation: list[JudgedPair] = []
    total = Counter(pair.verdict for pair in pairs)
    missing = {verdict: max(1, round(VALIDATION_SHARE * total[verdict])) for verdict in total}
    for cluster in sorted(_clusters(pairs), key=_draw):
        counts = Counter(pair.verdict for pair in cluster)
        # One that would take more than is missing, or all of a verdict, is learnt from.
        fits = all(count <= min(missing[each], total[each] - 1) for each, count in counts.items())
        (validation if fits else train).extend(cluster)
        for each, count in counts.items():
            missing[each] -= count if fits else 0
    return train, validation


def _clusters(pairs: Sequence[JudgedPair]) -> list[list[JudgedPair]]:
    """Groups pairs that share a record, directly or through others."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        """Follows a record to the one that stands for its cluster."""
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent[above]
        return key

    for pair in pairs:
        parent[root(pair.left_key)] = root(pair.right_key)
    clusters: defaultdict[str, list[JudgedPair]] = defaultdict(list)
    for pair in pairs:
        clusters[root(pair.left_key)].append(pair)
    return list(clusters.values())


def _draw(cluster: Sequence[JudgedPair]) -> str:
    """The place of a cluster in the draw: by chance, and the same every time."""
    least = min(key for pair in cluster for key in (pair.left_key, pair.right_key))
    return hashlib.sha256(least.encode(errors="surrogatepass")).hexdigest()
