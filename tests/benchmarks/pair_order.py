"""What it gives to let the pair scorer order the best matches: recall@1 and the first match's ECE.

python -m tests.benchmarks.pair_order --run runs/generated

The scorer learns from the run's own training products; the offers and their products are held out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twinshelf.training.catalogues.product import Pair, Product
from twinshelf.training.catalogues.table import read_table
from twinshelf.training.checkpoint import TrainedEncoder, load_encoder
from twinshelf.training.evaluation.embedded_products import embed_products
from twinshelf.training.evaluation.reliability import measure_reliability
from twinshelf.training.pairs.blend import BlendedScorer
from twinshelf.training.pairs.labelled_pairs import LabelledPairs
from twinshelf.training.pairs.pair_config import CrossEncoderConfig
from twinshelf.training.pairs.pair_training import train_pair_scorer

PAIR_COUNT = 10
RIVAL_COUNT = 6  # of each offer that is learnt from
VALIDATION_SHARE = 0.2
Products = list[Product]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each pattern of the offers."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pair_order")
    parser.add_argument("--run", type=Path, required=True, help="folder of a trained encoder")
    encoder = load_encoder(parser.parse_args(arguments).run)
    folder = Path(encoder.config.data.folder)
    train, queries, gallery = (
        [row for row in read_table(folder / f"{name}.parquet") if isinstance(row, Product)]
        for name in ("train", "queries", "gallery")
    )
    scorer = _trained(encoder, train)
    texts = dict.fromkeys(("title", "description", "category", "brand"), "")
    for pattern, blank in (
        ("photo", texts | {"attributes": {}, "price": None}),
        ("text", {"images": ()}),
        ("both", {}),
    ):
        offers = [replace(offer, **blank) for offer in queries]
        sys.stdout.write(f"{pattern}: {_compared(encoder, scorer, offers, gallery)}\n")
    return 0


def _compared(
    encoder: TrainedEncoder, scorer: BlendedScorer, offers: Products, gallery: Products
) -> str:
    best = _nearest(encoder, offers, gallery)  # (Q, K)
    pairs = [
        (offer, gallery[place]) for offer, row in zip(offers, best, strict=True) for place in row
    ]
    probabilities = scorer.score(pairs).reshape(best.shape)  # (Q, K)
    is_right = np.array([left.group == right.group for left, right in pairs]).reshape(best.shape)
    first = np.argmax(probabilities, axis=1)[:, None]  # (Q, 1)
    ordered = np.take_along_axis(is_right, first, axis=1)[:, 0]
    claimed = np.take_along_axis(probabilities, first, axis=1)[:, 0]
    reliability = measure_reliability(claimed, ordered, [offer.group for offer in offers])
    return (
        f"recall@1 {is_right[:, 0].mean():.3f} by score, {ordered.mean():.3f} by the pair scorer, "
        f"ECE of its probability of the first match {reliability.error.value:.3f}"
    )


def _trained(encoder: TrainedEncoder, products: Products) -> BlendedScorer:
    """Learns from offers with their own product and with the nearest others."""
    originals = {product.group: product for product in reversed(products)}
    gallery = list(originals.values())
    offers = [product for product in products if product is not originals[product.group]]
    pairs = []
    for offer, row in zip(offers, _nearest(encoder, offers, gallery), strict=True):
        others = [gallery[place] for place in row[:RIVAL_COUNT]]
        rivals = [other for other in others if other.group != offer.group]
        pairs.append(Pair(left=offer, right=originals[offer.group], is_match=True))
        pairs += [Pair(left=offer, right=rival, is_match=False) for rival in rivals]
    groups = sorted(originals)
    held = set(groups[: int(VALIDATION_SHARE * len(groups))])
    learnt, chosen_on = (
        LabelledPairs(pairs=[pair for pair in pairs if (pair.left.group in held) == is_held])
        for is_held in (False, True)
    )
    return train_pair_scorer(learnt, chosen_on, None, CrossEncoderConfig(), encoder).scorer


def _nearest(encoder: TrainedEncoder, offers: Products, gallery: Products) -> npt.NDArray[np.int64]:
    """Places of the best products of each offer, best first (Q, K)."""
    embedded = [
        embed_products(encoder, products, are_passages=is_gallery).embeddings
        for products, is_gallery in ((offers, False), (gallery, True))
    ]
    left, right = embedded
    w = encoder.model.fusion.plain_weight()
    # What an offer lacks is zero and changes no order.
    scores = w * left.image @ right.image.T + (1 - w) * left.text @ right.text.T
    return np.argsort(-scores, axis=1, kind="stable")[:, :PAIR_COUNT]


if __name__ == "__main__":
    sys.exit(main())
