"""The configuration: presets, overrides, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from twinshelf.training.config import (
    PRESETS,
    RECIPES,
    TrainConfig,
    config_from_yaml,
    config_to_yaml,
    named_files,
    read_config,
)


def test_the_command_line_is_over_the_preset_which_is_over_the_defaults() -> None:
    config = read_config(["--config", "demo", "--model.image.name=lcnet_050", "--seed", "7"])
    assert config.model.image.name == "lcnet_050"
    assert config.seed == 7
    assert config.preprocessing.image_size_px == 96
    assert config.model.embedding_dim == TrainConfig().model.embedding_dim


@pytest.mark.slow
def test_a_file_is_read_like_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("optimizer: {head_lr: 0.5}\npreprocessing: {token_buckets: [8, 24]}\n")
    for arguments in (["--config", str(path)], [f"--config={path}"]):
        config = read_config(arguments)
        assert config.optimizer.head_lr == 0.5
        assert config.preprocessing.token_buckets == (8, 24)


@pytest.mark.slow
@pytest.mark.parametrize("name", named_files(PRESETS))
def test_every_preset_is_valid_and_survives_saving(name: str) -> None:
    config = read_config(["--config", name])
    assert config_from_yaml(config_to_yaml(config)) == config


@pytest.mark.slow
@pytest.mark.parametrize("name", named_files(RECIPES))
def test_a_recipe_changes_the_loss_of_a_preset_and_nothing_else(name: str) -> None:
    preset = read_config(["--config=demo"])
    config = read_config(["--config=demo", f"--config={name}"])
    assert replace(config, loss=preset.loss) == preset


def test_no_recipe_has_the_name_of_a_preset() -> None:
    assert not set(named_files(RECIPES)) & set(named_files(PRESETS))
    assert len(named_files(RECIPES)) >= 8


@pytest.mark.slow
def test_options_of_the_image_model_are_free_and_typed() -> None:
    config = read_config(
        ["--model.image.options.pad_type=same", "--model.image.options.drop_path_rate=0.1"]
    )
    assert config.model.image.options == {"pad_type": "same", "drop_path_rate": 0.1}
    assert config_from_yaml(config_to_yaml(config)) == config


@pytest.mark.slow
def test_resume_is_a_switch() -> None:
    assert read_config(["--resume"]).resume
    assert not read_config([]).resume


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.imagee.name=x"], "model.imagee.name"),
        (["--foo=1"], "foo"),
        (["--seed=many"], "seed"),
        (["--model.embedding_dim=3"], "model.embedding_dim must be 8 to 4096, got 3"),
        (["--augmentation.text.typo=2"], "augmentation.text.typo must be 0 to 1, got 2"),
        (["--preprocessing.resize=zoom"], "resize"),
        (
            ["--loss.terms=[{name: SupConLoss, weight: 0}]"],
            "loss.terms.weight must be above 0, got 0",
        ),
        (["--loss.terms=[{name: SupConLoss, margin: 1}]"], "margin"),
        (["--config=no_such_preset"], "no_such_preset"),
        (["--loop.loggers=[wandb]"], "loggers"),
    ],
)
def test_unknown_keys_and_bad_values_end_with_a_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        read_config(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo: 1", "foo"),
        ("model: {image: {colour: red}}", "colour"),
        ("seed: -1", "seed must be 0 or more, got -1"),
    ],
)
def test_a_saved_file_is_checked_alike(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config_from_yaml(text)
