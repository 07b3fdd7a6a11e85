"""What an ablation leaves in the folder of its run and in its loggers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.benchmarks.ablation.ablation_config import AblationConfig
from tests.benchmarks.ablation.ablation_run import ablate
from tests.benchmarks.ablation.input_variants import VARIANTS
from tests.training.evaluation.tiny_run import make_run
from twinshelf.training.loop.mlflow_run import mlflow_run_id, open_mlflow
from twinshelf.training.runs.environment import read_environments

pytestmark = pytest.mark.slow


def test_a_tracked_run_gets_the_figures_of_every_variant_in_its_loggers(tmp_path: Path) -> None:
    run = make_run(tmp_path, "tensorboard", "mlflow")
    found = ablate(AblationConfig(run=run))
    ablate(AblationConfig(run=run, output=tmp_path / "new" / "other.json"))
    cells = found.cells["image + title"]["fine-tuned"]
    place = "cells/image_title/fine-tuned"
    expected = {
        f"ablation/{place}/exact/metrics/recall_at_1": cells["exact"].metrics["recall@1"],
        f"ablation/{place}/usearch/metrics/MAP": cells["usearch"].metrics["MAP"],
        f"ablation/{place}/exact/fusion_weight": cells["exact"].fusion_weight,
        f"ablations/other/{place}/exact/query_count": cells["exact"].query_count,
    }
    events = EventAccumulator(str(run / "logs"))
    events.Reload()
    client, number = open_mlflow(run), mlflow_run_id(run)
    figures = client.get_run(number).data.metrics
    for name, value in expected.items():
        assert [event.value for event in events.Scalars(name)] == [pytest.approx(value, abs=1e-6)]
        assert figures[name] == value
    variants = {name.split("/")[2] for name in figures if name.startswith("ablation/cells/")}
    assert len(variants) == len(VARIANTS)
    kept = {Path(file.path).name for file in client.list_artifacts(number, "ablation")}
    assert kept == {"ablation.json", "environment.json"}


def test_results_and_environment_lie_together(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    ablate(AblationConfig(run=run))
    ablate(AblationConfig(run=run, output=tmp_path / "new" / "other.json"))
    saved = [run / "ablation.json", tmp_path / "new" / "other.json"]
    assert len({json.loads(path.read_text())["query_count"] for path in saved}) == 1
    assert list(read_environments(run)) == ["ablation"]
    assert list(read_environments(tmp_path / "new")) == ["ablations/other"]
    assert not (run / "logs").exists() and not (run / "mlflow").exists()
