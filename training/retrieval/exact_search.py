"""Exact search of a gallery in bounded memory, by the score that the matching service gives.

score = w·cos_image + (1 - w)·cos_text, with w the weight of the image; where both sides share only
one modality, its cosine alone. Pairs that share none have no score and are no candidates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from twinshelf.training.command_line import choose_device
from twinshelf.training.retrieval.embeddings import ProductEmbeddings
from twinshelf.training.retrieval.metrics import RelevantPairs, RelevantRanks, pairs_by_group

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

NO_CANDIDATE = -1
# One row is always taken; larger blocks are slower, for their memory is never reused.
SCORE_BLOCK_BYTES = 16 * 2**20
# So far behind that no metric counts it.
UNRANKED = 1 << 40
# Of more items of one query the scores are sorted once, for counting looks at all for each item.
MOST_COUNTED = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """The best gallery products of each query, best first.

    Attributes:
        items: Rows of the gallery, int64 (Q, K); `NO_CANDIDATE` where there are fewer than K.
        scores: Their scores, -1 to 1, float32 (Q, K); -inf where there is no candidate.
    """

    items: Ints
    scores: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Retrieval:
    """What a search of the whole gallery found.

    Attributes:
        candidates: The best gallery products of each query.
        ranks: Ranks of all relevant products, in the whole ranking.
    """

    candidates: Candidates
    ranks: RelevantRanks


def retrieve(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    *,
    image_weight: float,
    k: int,
    relevant: RelevantPairs | None = None,
    excluded: Ints | None = None,
    device: str = "cpu",
) -> Retrieval:
    """Searches the whole gallery for every query, a block of queries at a time.

    Equal scores are ordered by the row of the gallery, so the answer is one whatever the block.

    Args:
        queries: Embeddings of the queries (Q).
        gallery: Embeddings of the gallery (G).
        image_weight: Weight of the image in the score, 0 to 1.
        k: Candidates to keep per query, 1 or more.
        relevant: Relevant pairs; None ranks nothing.
        excluded: Gallery row that is the query itself and no candidate, int64 (Q,); -1 for none.
        device: Where the scores are computed: "cpu", "cuda" or "auto".

    Raises:
        ValueError: If the embeddings differ in length, or there is nothing to search.
    """
    relevant = relevant or pairs_by_group([""] * len(queries), ())
    if relevant.query_count != len(queries):
        raise ValueError(f"relevant pairs are of {relevant.query_count}, not {len(queries)}")
    items = np.full((len(queries), k), NO_CANDIDATE, dtype=np.int64)
    best = np.full((len(queries), k), -math.inf, dtype=np.float32)
    ranks = np.zeros(len(relevant.queries), dtype=np.int64)
    width = min(k, len(gallery))
    for start, scores in score_blocks(queries, gallery, image_weight=image_weight, device=device):
        stop = start + len(scores)
        if excluded is not None:
            rows = np.flatnonzero(excluded[start:stop] >= 0)
            scores[torch.from_numpy(rows), torch.from_numpy(excluded[start + rows])] = -math.inf
        of_block = slice(*np.searchsorted(relevant.queries, [start, stop]))
        ranks[of_block] = rank_items(scores.cpu().numpy(), *relevant.of_queries(start, stop))
        near, highest = (each.cpu().numpy() for each in _best(scores, width))
        items[start:stop, :width], best[start:stop, :width] = near, highest
    return Retrieval(
        candidates=Candidates(items=items, scores=best),
        ranks=RelevantRanks.of_pairs(len(queries), relevant.queries, ranks),
    )


def score_blocks(
    queries: ProductEmbeddings,
    gallery: ProductEmbeddings,
    *,
    image_weight: float,
    device: str = "cpu",
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yields the first query of each block and its scores, float32 (B, G); -inf for no score.

    Raises:
        ValueError: If the embeddings differ in length, the gallery is empty, or the weight is out
            of range.
    """
    if not 0 <= image_weight <= 1:
        raise ValueError(f"image_weight must be 0 to 1, got {image_weight}")
    if not len(gallery):
        raise ValueError("the gallery is empty: there is nothing to search")
    for name in ("image", "text"):
        ours, theirs = getattr(queries, name).shape[1], getattr(gallery, name).shape[1]
        if ours != theirs:
            raise ValueError(
                f"{name} embeddings of queries and gallery must be equally long, "
                f"got {ours} and {theirs}"
            )
    shares = np.array([image_weight, 1 - image_weight], dtype=np.float32)
    query_side = torch.from_numpy(queries.joined(image=image_weight, text=1 - image_weight))
    gallery_side = torch.from_numpy(gallery.joined(image=image_weight > 0, text=image_weight < 1))
    query_shares = torch.from_numpy(queries.presence * shares)  # (Q, 2)
    presence = torch.from_numpy(gallery.presence.astype(np.float32))  # (G, 2)
    if bool((presence == presence[0]).all()):
        presence = presence[:1]  # one denominator for the whole row
    device = choose_device(device)
    gallery_side, presence = gallery_side.to(device), presence.to(device)
    block = max(1, SCORE_BLOCK_BYTES // (4 * len(gallery)))
    for start in range(0, len(queries), block):
        rows = slice(start, start + block)
        scores = query_side[rows].to(device) @ gallery_side.T  # (B, G)
        shared = query_shares[rows].to(device) @ presence.T  # (B, G) or (B, 1)
        yield start, scores.div_(shared).masked_fill_(shared == 0, -math.inf)


def rank_items(scores: Floats, rows: Ints, items: Ints) -> Ints:
    """Ranks given items among all, 1 is best; of equal scores the smaller item is better.

    Args:
        scores: Scores of a block of queries, (B, G); -inf for what is no candidate.
        rows: Row of the block per pair, int64 (P,).
        items: Gallery row per pair, int64 (P,).

    Returns:
        The rank of each pair's item, int64 (P,); beyond `UNRANKED` for what is no candidate.
    """
    ranks = np.empty(len(rows), dtype=np.int64)
    starts = np.flatnonzero(np.diff(rows, prepend=-1)).tolist()
    for start, stop in pairwise([*starts, len(rows)]):
        line, own = scores[rows[start]], items[start:stop]
        values = line[own]
        is_tied = values > -math.inf
        if len(own) > MOST_COUNTED:
            rising = np.sort(line)
            ends = np.searchsorted(rising, values, side="right")
            above = len(line) - ends
            is_tied &= ends - np.searchsorted(rising, values, side="left") > 1
        else:
            above = np.array([np.count_nonzero(line > value) for value in values])
        for place in np.flatnonzero(is_tied):
            above[place] += np.count_nonzero(line[: own[place]] == values[place])
        ranks[start:stop] = np.where(values > -math.inf, 1 + above, UNRANKED + own)
    return ranks


def _best(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the items and scores of the k best, (B, k), equal scores by item."""
    best, items = scores.topk(k, dim=1)
    # torch.topk takes any of equal scores: where the last one has equals outside, take in order.
    crowded = torch.nonzero((scores >= best[:, -1:]).sum(1) > k)[:, 0]
    if len(crowded):
        order = scores[crowded].sort(dim=1, descending=True, stable=True)
        best[crowded], items[crowded] = order.values[:, :k], order.indices[:, :k]
    by_item = items.argsort(dim=1)
    best, items = best.gather(1, by_item), items.gather(1, by_item)
    by_score = best.argsort(dim=1, descending=True, stable=True)
    best, items = best.gather(1, by_score), items.gather(1, by_score)
    return items.masked_fill(torch.isneginf(best), NO_CANDIDATE), best
