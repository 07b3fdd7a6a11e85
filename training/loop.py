"""The loop: Lightning's trainer with its callbacks and loggers, set up for one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from training.runs.mlflow_run import mlflow_address, mlflow_run_id
from training.weight_averaging import EpochAverage, build_moving_average

MONITORED = "validation/mean_average_precision"
Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
LAST = "last.ckpt"
BEST = "best.ckpt"
LOGS = "logs"


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long, where and how precisely is trained.

    Attributes:
        epoch_count: Most passes over the training rows, 1 or more.
        patience: Validations without a better mean average precision before training stops, 0 or
            more; 0 never stops early.
        validation_interval: Epochs from one validation to the next, 1 to epoch_count.
        accelerator: Kind of device, such as "cpu" or "gpu"; "auto" takes the best there is.
        device_count: Devices to use; "auto" takes all.
        strategy: How several devices share the work, such as "ddp".
        precision: Precision of the arithmetic; "auto" mixes in 16 bits on a GPU.
        accumulation: Batches whose gradients are added up before a step, 1 or more.
        average_decay: Decay of a moving average of the weights, which is then what is validated and
            saved, 0 to below 1; 0 keeps none.
        average_from_epoch: Epoch, counted from 1, from which on the weights that each epoch ends
            with are averaged in equal shares; the mean is then what is validated and saved. The
            rate falls to 0 towards the end, so begin well before it. null averages none.
        compile: Whether torch.compile translates the encoders: slow to start, faster after.
        loggers: Where figures are written: "tensorboard", "mlflow".
        mlflow_uri: Address of an MLflow server; null writes to a folder of the run.
        show_progress: Whether a progress bar is drawn.

    Raises:
        ValueError: If a value is out of range, or both averages are asked for.
    """

    epoch_count: int = 20
    patience: int = 0
    validation_interval: int = 1
    accelerator: str = "auto"
    device_count: int | Literal["auto"] = "auto"
    strategy: str = "auto"
    precision: Literal["auto"] | Precision = "auto"
    accumulation: int = 1
    average_decay: float = 0.0
    average_from_epoch: int | None = None
    compile: bool = False
    loggers: tuple[Literal["tensorboard", "mlflow"], ...] = ("tensorboard",)
    mlflow_uri: str | None = None
    show_progress: bool = True

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("epoch_count", "validation_interval", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"loop.{name} must be 1 or more, got {getattr(self, name)}")
        if self.validation_interval > self.epoch_count:
            raise ValueError(
                f"loop.validation_interval must be 1 to loop.epoch_count, {self.epoch_count}, "
                f"got {self.validation_interval}"
            )
        if self.patience < 0:
            raise ValueError(f"loop.patience must be 0 or more, got {self.patience}")
        if not 0 <= self.average_decay < 1:
            raise ValueError(f"loop.average_decay must be 0 to below 1, got {self.average_decay}")
        if self.average_from_epoch is not None:
            self._check_average_from_epoch(self.average_from_epoch)
        if self.device_count != "auto" and self.device_count < 1:
            raise ValueError(f"loop.device_count must be 1 or more, got {self.device_count}")

    def _check_average_from_epoch(self, epoch: int) -> None:
        if not 1 <= epoch <= self.epoch_count:
            raise ValueError(
                f"loop.average_from_epoch must be 1 to loop.epoch_count ({self.epoch_count}), "
                f"got {epoch}"
            )
        if self.average_decay:
            raise ValueError(
                "loop.average_decay and loop.average_from_epoch exclude each other, got "
                f"{self.average_decay} and {epoch}"
            )


def build_trainer(
    config: LoopConfig, *, folder: Path, gradient_clip: float, with_validation: bool
) -> L.Trainer:
    """Sets up the trainer.

    Args:
        config: How to train.
        folder: Folder of the run.
        gradient_clip: Largest norm of a gradient; 0 does not clip.
        with_validation: Whether there are validation offers; without, the last epoch is the best.
    """
    loggers = build_loggers(config, folder)
    trainer = L.Trainer(
        default_root_dir=folder,
        max_epochs=config.epoch_count,
        accelerator=config.accelerator,
        devices=config.device_count,
        strategy=config.strategy,
        precision=resolve_precision(config),
        accumulate_grad_batches=config.accumulation,
        gradient_clip_val=gradient_clip or None,
        # Without validation every epoch is saved in turn.
        check_val_every_n_epoch=config.validation_interval if with_validation else 1,
        num_sanity_val_steps=0,
        # Our sampler shares the batches out by itself.
        use_distributed_sampler=False,
        logger=loggers,
        callbacks=_callbacks(config, folder, with_validation=with_validation, logged=bool(loggers)),
        enable_progress_bar=config.show_progress,
        enable_model_summary=False,
        log_every_n_steps=5,
    )
    return trainer


def resolve_precision(config: LoopConfig) -> Precision:
    """Returns the precision to train with: on a GPU "auto" mixes in 16 bits."""
    if config.precision != "auto":
        return config.precision
    if config.accelerator == "cpu" or not torch.cuda.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def build_loggers(config: LoopConfig, folder: Path) -> list[Logger]:
    """Builds the loggers; their files lie in the folder of the run."""
    loggers: list[Logger] = []
    if "tensorboard" in config.loggers:
        loggers.append(TensorBoardLogger(folder, name=LOGS, version=""))
    if "mlflow" in config.loggers:
        uri = config.mlflow_uri
        # Only the first process logs; the others must not begin runs, and get None.
        run_id = rank_zero_only(mlflow_run_id)(folder, uri)
        loggers.append(MLFlowLogger(tracking_uri=mlflow_address(folder, uri), run_id=run_id))
    return loggers


def _callbacks(
    config: LoopConfig, folder: Path, *, with_validation: bool, logged: bool
) -> list[Callback]:
    best = MONITORED if with_validation else None
    callbacks: list[Callback] = [
        ModelCheckpoint(
            dirpath=folder,
            filename=Path(BEST).stem,
            monitor=best,
            mode="max",
            enable_version_counter=False,
        ),
        # `save_last` above would leave out each epoch that is no better than an earlier one.
        ModelCheckpoint(
            dirpath=folder,
            filename=Path(LAST).stem,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
    ]
    if config.average_decay:
        callbacks.append(build_moving_average(config.average_decay))
    if config.average_from_epoch is not None:
        callbacks.append(EpochAverage(config.average_from_epoch))
    if config.show_progress:
        callbacks.append(RichProgressBar())
    if logged:
        callbacks.append(LearningRateMonitor(logging_interval="step"))
    if config.patience and with_validation:
        callbacks.append(EarlyStopping(MONITORED, patience=config.patience, mode="max"))
    return callbacks
