"""A pair scorer as training leaves it, but of few trees."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from tests.training.pairs.made_pairs import make_pairs
from twinshelf.training.catalogues.product import Product
from twinshelf.training.checkpoint import load_encoder
from twinshelf.training.pairs.blend import keep_encoder
from twinshelf.training.pairs.cosines import pair_cosines
from twinshelf.training.pairs.features import Cosines, feature_matrix
from twinshelf.training.pairs.probes import PairProbe, write_probes
from twinshelf.training.pairs.read_record import pair_tokens
from twinshelf.training.pairs.records import record_to_json
from twinshelf.training.pairs.scorer import PairScorer, untrained_model
from twinshelf.training.pairs.statistics import TokenStatistics

THRESHOLD = 0.4


def cosines_for(count: int, seed: int, *, with_main_images: bool = False) -> list[Cosines]:
    """Returns drawn cosines; some are unknown, and by default all of main pictures."""
    width = 4 if with_main_images else 3
    rows = np.random.default_rng(seed).uniform(-1, 1, (count, width)).astype(np.float32)
    rows[::3, 0] = np.nan
    return [Cosines.of(row) for row in rows.tolist()]


def make_pair_run(
    run: Path,
    *,
    seed: int = 1,
    neural_share: float = 0.0,
    with_main_images: bool = False,
    encoder_run: Path | None = None,
) -> PairScorer:
    """Writes a run; another seed gives other trees.

    Args:
        run: Its folder.
        seed: Seed of pairs and trees.
        neural_share: Share of a cross-encoder that the run claims.
        with_main_images: Whether it reads the cosines of main pictures.
        encoder_run: Run of the encoder whose cosines of texts it reads and needs; without one they
            are drawn as those of photos are, and say nothing.
    """
    pairs = make_pairs(150, seed)
    sides = [(pair.left, pair.right) for pair in pairs]
    labels = np.array([pair.is_match for pair in pairs])
    cosines = cosines_for(len(pairs), seed, with_main_images=with_main_images)
    if encoder_run is not None:
        keep_encoder(encoder_run, run)
        made = pair_cosines(load_encoder(encoder_run), sides)
        cosines = [
            replace(of_texts, image=drawn.image)
            for of_texts, drawn in zip(made, cosines, strict=True)
        ]
        known = np.array([cosine.text for cosine in cosines])
        labels ^= known > np.median(known)
    statistics = TokenStatistics.count(pair_tokens(record) for side in sides for record in side)
    names, features = feature_matrix(sides, statistics, cosines)
    # Threads that spin while others have their cores make seconds into minutes.
    with threadpool_limits(1):
        scorer = PairScorer.fit(
            features,
            labels,
            names,
            statistics,
            untrained_model(member_count=2, tree_count=20, learning_rate=0.2, seed=seed),
        )
    scorer = replace(scorer, threshold=THRESHOLD)
    scorer.save(run)
    metrics = {"f1": 0.9, "threshold": THRESHOLD}
    document = {
        "neural_share": neural_share,
        "has_encoder": encoder_run is not None,
        "threshold": THRESHOLD,
        "validation": {"boosting": metrics},
    }
    (run / "pairs.json").write_text(json.dumps(document))
    write_probes(run, _probes(scorer, sides[:40], cosines[:40]))
    return scorer


def _probes(
    scorer: PairScorer, sides: list[tuple[Product, Product]], cosines: list[Cosines]
) -> list[PairProbe]:
    scores = scorer.score(sides, cosines)
    return [
        PairProbe(
            left=record_to_json(left),
            right=record_to_json(right),
            cosines=cosine,
            probability=float(score),
        )
        for (left, right), cosine, score in zip(sides, cosines, scores, strict=True)
    ]
