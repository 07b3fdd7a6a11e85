"""A whole run on a tiny catalogue: trained, saved, loaded, resumed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel

from tests.training.small_catalogue import small_config, write_small_catalogue
from twinshelf.training.checkpoint import load_encoder
from twinshelf.training.data.sampler import GroupBatchSampler
from twinshelf.training.loop.mlflow_run import mlflow_run_id, open_mlflow
from twinshelf.training.model.wordpiece import train_wordpiece
from twinshelf.training.runs import training_run
from twinshelf.training.runs.training_run import TrainingSummary, train
from twinshelf.training.train import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training")
    write_small_catalogue(path / "data")
    return path


TERMS = "--loss.terms=[{name: SupConLoss}, {name: SteadyArcFaceLoss, weight: 0.5}]"
FINISHED = "--finishing.image_head_shrinkage=0.3"


@pytest.fixture(scope="module")
def summary(folder: Path) -> TrainingSummary:
    return train(small_config(folder, "--loop.loggers=[tensorboard]", TERMS, FINISHED))


def test_a_run_leaves_all_that_export_and_evaluation_need(
    folder: Path, summary: TrainingSummary
) -> None:
    run = folder / "run"
    for name in ("config.yaml", "preprocessing.json", "tokenizer.json", "text_backbone.json",
                 "weights.safetensors", "metrics.json", "last.ckpt"):  # fmt: skip
        assert (run / name).is_file(), name
    assert list((run / "logs").iterdir())
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["recall_at_1"]) == {"image", "text", "both"}
    assert metrics["fusion_weight"] == summary.fusion_weight
    assert 0.02 <= summary.fusion_weight <= 0.98
    assert summary.epoch_count == 1


def test_the_loaded_encoder_is_the_best_of_the_run_finished(
    folder: Path, summary: TrainingSummary
) -> None:
    encoder = load_encoder(folder / "run")
    best = torch.load(folder / "run" / "best.ckpt")["state_dict"]
    own = encoder.model.state_dict()
    assert own["fusion.weight"].item() == pytest.approx(summary.fusion_weight)
    finished = {"fusion.weight", *(key for key in own if key.startswith("image_tower.head"))}
    for key, value in own.items():
        if key not in finished:
            assert torch.equal(value, best[f"model.{key}"]), key
    weight = "image_tower.head.0.weight"
    assert not torch.equal(own[weight], best[f"model.{weight}"])
    assert not encoder.model.training
    assert encoder.calibration is None


def test_a_resumed_run_goes_on_from_its_last_epoch(folder: Path, summary: TrainingSummary) -> None:
    first = torch.load(folder / "run" / "last.ckpt")
    options = (TERMS, FINISHED, "--loop.epoch_count=2")
    resumed = train(small_config(folder, "--resume", *options))
    second = torch.load(folder / "run" / "last.ckpt")
    assert summary.epoch_count == 1
    assert resumed.epoch_count == 2
    assert first["global_step"] > 0
    assert second["global_step"] == 2 * first["global_step"]
    moments = second["optimizer_states"][0]["state"].values()
    assert {int(moment["step"]) for moment in moments} == {second["global_step"]}


def test_a_resumed_run_draws_the_batches_of_the_epochs_that_follow(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    draw = GroupBatchSampler._group_batches

    def note(sampler: GroupBatchSampler, generator: Any, count: int) -> Any:
        drawn.append(sampler.epoch - 1)
        return draw(sampler, generator, count)

    monkeypatch.setattr(GroupBatchSampler, "_group_batches", note)
    output = f"--output={folder / 'epochs'}"
    train(small_config(folder, output, "--loop.epoch_count=2"))
    train(small_config(folder, output, "--loop.epoch_count=4", "--resume"))
    assert drawn == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--model.image.name=resnet5O",), "timm cannot build 'resnet5O'"),
        (("--model.image.weights=gone.pth",), "no image weights at gone.pth"),
        (("--resume", "--model.embedding_dim=24"), "resume it with the options that it began with"),
        pytest.param(
            ("--loop.accelerator=gpu",),
            "the machine cannot train as `loop` says: No supported gpu backend",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        (("--loop.loggers=[mlflow]",), "MLflow at http://127.0.0.1:9 does not take the figures"),
    ],
)
def test_what_cannot_be_begun_leaves_an_earlier_run_as_it_was(
    folder: Path,
    summary: TrainingSummary,
    tmp_path: Path,
    options: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nobody listens on the port of `discard`.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises((ValueError, OSError), match=reason):
        train(small_config(folder, TERMS, f"--output={run}", *options))
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_pretrained_text_backbone_is_taken_from_a_folder_and_then_no_longer_needed(
    folder: Path,
) -> None:
    source = folder / "encoder"
    torch.manual_seed(0)
    architecture = BertConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    BertModel(architecture).save_pretrained(source)
    train_wordpiece(["red paint 1 l"] * 2, 300).save(str(source / "tokenizer.json"))
    output = folder / "pretrained"
    train(
        small_config(
            folder, f"--output={output}", f"--model.text.name={source}", "--optimizer.text_lr=0"
        )
    )
    before = BertModel.from_pretrained(source).state_dict()
    shutil.rmtree(source)
    encoder = load_encoder(output)
    network: Any = encoder.model.text_tower.backbone.network
    after = network.state_dict()
    assert after
    assert all(torch.equal(before[key], value) for key, value in after.items())
    assert encoder.tokenizer.encode(["red paint"]).input_ids.shape == (1, 8)


def test_buckets_longer_than_a_pretrained_backbone_are_refused(folder: Path) -> None:
    source = folder / "short"
    BertConfig(max_position_embeddings=12).save_pretrained(source)
    with pytest.raises(ValueError, match="reads 12 tokens at most, .* ends at 16"):
        train(small_config(folder, f"--output={folder / 'x'}", f"--model.text.name={source}"))


def test_figures_go_to_one_mlflow_run_when_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lightning's logger sets it for the process; this takes it back for other tests.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    output = folder / "tracked"
    options = (f"--output={output}", "--loop.loggers=[mlflow]")
    train(small_config(folder, *options))
    first = mlflow_run_id(output)
    summary = train(small_config(folder, *options, "--resume", "--loop.epoch_count=2"))
    client = open_mlflow(output)
    experiment = client.get_experiment_by_name("twinshelf")
    assert experiment is not None and first is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == first
    assert run.info.status == "FINISHED"
    assert run.data.metrics["training/fusion_weight"] == summary.fusion_weight
    assert run.data.params["sampler.groups_per_batch"] == "3"
    assert run.data.params["loop.epoch_count"] == "1"
    assert run.data.tags["changed.loop.epoch_count"] == "2"
    epochs = client.get_metric_history(first, "validation/recall_at_1_both")
    assert len(epochs) == 2
    train(small_config(folder, *options))
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert mlflow_run_id(output) != first


def test_early_stopping_ends_a_run_that_no_longer_improves_and_leaves_what_is_frozen(
    folder: Path,
) -> None:
    output = folder / "stopped"
    config = small_config(
        folder,
        f"--output={output}",
        "--loop.epoch_count=30",
        "--loop.patience=1",
        "--optimizer.head_lr=1e-12",
        "--optimizer.image_lr=0",
        "--optimizer.text_lr=0",
    )
    assert train(config).epoch_count < 30
    saved = load_encoder(output).model.state_dict()
    running = [key for key in saved if "image_tower.backbone" in key and "running_mean" in key]
    assert running
    # A fresh network has means of zero; moving statistics would have left it.
    assert all(not saved[key].any() for key in running)


def test_a_training_that_breaks_off_leaves_no_weights_of_an_earlier_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folder / "broken"
    run.mkdir()
    for name in ("weights.safetensors", "last.ckpt", "calibration.json"):
        (run / name).touch()
    monkeypatch.setattr(training_run, "begin_tracking", lambda *parts, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(small_config(folder, f"--output={run}"))
    with pytest.raises(FileNotFoundError, match="no weights"):
        load_encoder(run)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train(small_config(folder, f"--output={run}", "--resume"))
    assert not (run / "calibration.json").exists()


def test_a_catalogue_without_photos_is_learnt_by_its_texts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_small_catalogue(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "images")
    found = train(small_config(tmp_path, FINISHED)).recall_at_1
    assert set(found) == {"text"} and found["text"] > 0
    assert "stays as it was learnt: no training row has a photo" in caplog.text
    assert load_encoder(tmp_path / "run").model.fusion.plain_weight() == 0.5


def test_a_run_without_validation_saves_its_last_epoch(folder: Path) -> None:
    output = folder / "unvalidated"
    options = ("--config=cross_modal", "--data.validation_share=0", "--loop.epoch_count=2")
    assert train(small_config(folder, f"--output={output}", *options)).epoch_count == 2
    last, kept = (torch.load(output / name)["state_dict"] for name in ("last.ckpt", "best.ckpt"))
    assert all(torch.equal(last[name], kept[name]) for name in last)


def test_a_loss_that_cannot_be_built_is_told_before_data_are_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data.folder=nowhere", "--loss.terms=[{name: SupConLos}]"]
    assert main([*arguments, f"--output={folder / 'nothing'}"]) == 1
    assert "named 'SupConLos'" in capsys.readouterr().err


def test_nothing_to_resume_ends_with_a_message(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--output={folder / 'nothing'}", f"--data.folder={folder / 'data'}", "--resume"]
    assert main(arguments) == 1
    assert "nothing to resume" in capsys.readouterr().err
