"""A whole run on a tiny catalogue: trained, saved, loaded, resumed."""

import json
import shutil

import pytest
import torch
from transformers import BertConfig, BertModel

from tests.training.small_catalogue import small_config, write_small_catalogue
from training.checkpoint import load_encoder
from training.config import read_config, recipe_names
from training.run import train
from training.runs.mlflow_run import mlflow_run_id, open_mlflow
from training.train import main
from training.wordpiece import train_wordpiece


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("training")
    write_small_catalogue(path / "data")
    return path


@pytest.fixture(scope="module")
def summary(folder):
    return train(small_config(folder, "--loop.loggers=[tensorboard]", "--loss.arcface.weight=0.5"))


def test_a_run_leaves_all_that_export_and_evaluation_need(folder, summary):
    run = folder / "run"
    for name in ("config.yaml", "preprocessing.json", "tokenizer.json", "text_encoder.json",
                 "weights.safetensors", "metrics.json", "last.ckpt"):  # fmt: skip
        assert (run / name).is_file(), name
    assert list((run / "logs").iterdir())
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["recall_at_1"]) == {"image", "text", "both"}
    assert metrics["fusion_weight"] == summary.fusion_weight
    assert 0.02 <= summary.fusion_weight <= 0.98
    assert summary.epoch_count == 1


def test_the_loaded_encoder_is_the_best_of_the_run(folder, summary):
    encoder = load_encoder(folder / "run")
    best = torch.load(folder / "run" / "best.ckpt")["state_dict"]
    own = encoder.model.state_dict()
    assert own["fusion.weight"].item() == pytest.approx(summary.fusion_weight)
    for key, value in own.items():
        if key != "fusion.weight":
            assert torch.equal(value, best[f"model.{key}"]), key
    assert not encoder.model.training
    assert encoder.calibration is None


def test_a_resumed_run_goes_on_from_its_last_epoch(folder, summary):
    first = torch.load(folder / "run" / "last.ckpt")
    options = ("--loss.arcface.weight=0.5", "--loop.epoch_count=2")
    resumed = train(small_config(folder, "--resume", *options))
    second = torch.load(folder / "run" / "last.ckpt")
    assert summary.epoch_count == 1
    assert resumed.epoch_count == 2
    assert first["global_step"] > 0
    assert second["global_step"] == 2 * first["global_step"]
    moments = second["optimizer_states"][0]["state"].values()
    assert {int(moment["step"]) for moment in moments} == {second["global_step"]}


def test_frozen_encoders_do_not_move(folder):
    config = small_config(
        folder,
        f"--output={folder / 'frozen'}",
        "--optimizer.image_rate=0",
        "--optimizer.text_rate=0",
    )
    train(config)
    moved = load_encoder(folder / "frozen").model.state_dict()
    running = [key for key in moved if "image_tower.encoder" in key and "running_mean" in key]
    assert running
    # A fresh network has means of zero; moving statistics would have left it.
    assert all(not moved[key].any() for key in running)


def test_a_pretrained_text_encoder_is_taken_from_a_folder_and_then_no_longer_needed(folder):
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
            folder, f"--output={output}", f"--model.text.name={source}", "--optimizer.text_rate=0"
        )
    )
    before = BertModel.from_pretrained(source).state_dict()
    shutil.rmtree(source)
    encoder = load_encoder(output)
    after = encoder.model.text_tower.encoder.backbone.state_dict()
    assert after
    assert all(torch.equal(before[key], value) for key, value in after.items())
    assert encoder.tokenizer.encode(["red paint"]).input_ids.shape == (1, 8)


def test_buckets_longer_than_a_pretrained_encoder_are_refused(folder):
    source = folder / "short"
    BertConfig(max_position_embeddings=12).save_pretrained(source)
    with pytest.raises(ValueError, match="reads 12 tokens at most, .* ends at 16"):
        train(small_config(folder, f"--output={folder / 'x'}", f"--model.text.name={source}"))


def test_figures_go_to_one_mlflow_run_when_asked(folder):
    output = folder / "tracked"
    options = (f"--output={output}", "--loop.loggers=[mlflow]")
    train(small_config(folder, *options))
    first = mlflow_run_id(output, None)
    summary = train(small_config(folder, *options, "--resume", "--loop.epoch_count=2"))
    client = open_mlflow(output, None)
    experiment = client.get_experiment_by_name("twinshelf")
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
    assert mlflow_run_id(output, None) != first


def test_early_stopping_ends_a_run_that_no_longer_improves(folder):
    config = small_config(
        folder,
        f"--output={folder / 'stopped'}",
        "--loop.epoch_count=30",
        "--loop.patience=1",
        "--optimizer.head_rate=1e-12",
        "--optimizer.image_rate=0",
        "--optimizer.text_rate=0",
    )
    assert train(config).epoch_count < 30


def test_a_run_without_validation_saves_its_last_epoch(folder):
    output = folder / "unvalidated"
    options = ("--data.validation_share=0", "--loop.epoch_count=2", "--loop.validation_interval=2")
    assert train(small_config(folder, f"--output={output}", *options)).epoch_count == 2
    last, kept = (torch.load(output / name)["state_dict"] for name in ("last.ckpt", "best.ckpt"))
    assert all(torch.equal(last[name], kept[name]) for name in last)


def test_accumulated_batches_make_fewer_steps(folder, summary):
    output = folder / "accumulated"
    train(small_config(folder, f"--output={output}", "--loop.accumulation=2"))
    plain, accumulated = (torch.load(run / "last.ckpt") for run in (folder / "run", output))
    batch_count = plain["global_step"] // (plain["epoch"] + 1)
    assert batch_count == 2
    assert accumulated["global_step"] == 1


def test_averaged_weights_are_saved_and_the_run_can_be_resumed(folder):
    options = (f"--output={folder / 'averaged'}", "--loop.average_decay=0.9")
    train(small_config(folder, *options))
    last = torch.load(folder / "averaged" / "last.ckpt")
    heads = [key for key in last["state_dict"] if ".head.0.weight" in key]
    assert heads
    current = last["current_model_state"]
    assert not any(torch.equal(last["state_dict"][key], current[key]) for key in heads)
    own = load_encoder(folder / "averaged").model.state_dict()
    best = torch.load(folder / "averaged" / "best.ckpt")["state_dict"]
    for key in heads:
        assert torch.equal(own[key.removeprefix("model.")], best[key])
    assert (
        train(small_config(folder, *options, "--resume", "--loop.epoch_count=2")).epoch_count == 2
    )


def test_the_weights_of_epochs_are_averaged_across_a_resumed_run(folder):
    output = folder / "epoch-averaged"
    options = (f"--output={output}", "--loop.average_from_epoch=1")
    ends = []
    for resume in ((), ("--resume", "--loop.epoch_count=2")):
        train(small_config(folder, *options, *resume))
        ends.append(torch.load(output / "last.ckpt"))
    heads = [key for key in ends[0]["state_dict"] if ".head.0.weight" in key]
    assert heads
    for key in heads:
        first, second = (end["current_model_state"][key] for end in ends)
        assert not torch.equal(first, second)
        torch.testing.assert_close(ends[1]["state_dict"][key], (first + second) / 2)


def test_encoders_do_not_move_in_their_frozen_epochs(folder):
    states = {}
    for name, options in (
        ("still", ("--optimizer.image_rate=0", "--optimizer.text_rate=0")),
        ("rested", ("--optimizer.frozen_epoch_count=1",)),
        ("moved", ()),
    ):
        train(small_config(folder, f"--output={folder / name}", *options))
        state = load_encoder(folder / name).model.state_dict()
        states[name] = {key: value for key, value in state.items() if ".encoder." in key}
    assert states["still"]
    for key, value in states["still"].items():
        assert torch.equal(states["rested"][key], value), key
    assert any(not torch.equal(states["moved"][k], v) for k, v in states["still"].items())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_trains(folder, name):
    output = folder / name
    options = (f"--config={name}", f"--output={output}")
    summary = train(small_config(folder, *options))
    assert summary.epoch_count == 1
    assert set(summary.recall_at_1) == {"image", "text", "both"}
    encoder = load_encoder(output)
    assert encoder.config.loss == read_config([f"--config={name}"]).loss
    assert all(value.isfinite().all() for value in encoder.model.state_dict().values())


def test_nothing_to_resume_ends_with_a_message(folder, capsys):
    arguments = [f"--output={folder / 'nothing'}", f"--data.folder={folder / 'data'}", "--resume"]
    assert main(arguments) == 1
    assert "nothing to resume" in capsys.readouterr().err
