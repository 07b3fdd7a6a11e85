"""The loop: Lightning's trainer with its callbacks and loggers, set up for one run."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch.distributed import is_torchelastic_launched

from twinshelf.training.loop.loop_config import LoopConfig, Precision
from twinshelf.training.loop.mlflow_run import mlflow_address, mlflow_run_id
from twinshelf.training.loop.quickest_threads import QuickestThreads

MONITORED = "validation/mean_average_precision"
LAST = "last.ckpt"
BEST = "best.ckpt"
LOGS = "logs"
# Parameters of mallopt, from malloc.h of the GNU C library.
TRIM_THRESHOLD = -1
TOP_PAD = -2
MMAP_MAX = -4
LARGEST_TRIM_THRESHOLD = 2**31 - 1
PAD_BYTES = 256 * 2**20


def build_trainer(
    config: LoopConfig, *, folder: Path, gradient_clip: float, with_validation: bool
) -> L.Trainer:
    """Sets up the trainer, without loggers: these write, so they are given to it as the run begins.

    Args:
        config: How to train.
        folder: Folder of the run.
        gradient_clip: Largest norm of a gradient; 0 does not clip.
        with_validation: Whether there are validation offers; without, the last epoch is the best.

    Raises:
        ValueError: If the machine has no such accelerator, the strategy cannot use it, or torchrun
            started another number of processes.
    """
    try:
        trainer = L.Trainer(
            default_root_dir=folder,
            max_epochs=config.epoch_count,
            accelerator=config.accelerator,
            devices=config.device_count,
            num_nodes=config.node_count,
            strategy=config.strategy,
            precision=resolve_precision(config),
            gradient_clip_val=gradient_clip or None,
            num_sanity_val_steps=0,
            # Our sampler shares the batches out by itself.
            use_distributed_sampler=False,
            logger=False,
            callbacks=_callbacks(config, folder, with_validation=with_validation),
            enable_progress_bar=config.show_progress,
            enable_model_summary=False,
            log_every_n_steps=5,
        )
    except MisconfigurationException as error:
        raise ValueError(f"the machine cannot train as `loop` says: {error}") from error
    started, planned = int(os.environ.get("WORLD_SIZE", 1)), trainer.num_devices * trainer.num_nodes
    if is_torchelastic_launched() and started != planned:  # each would train for itself
        raise ValueError(f"torchrun started {started} processes, but `loop` is of {planned}")
    return trainer


def resolve_precision(config: LoopConfig) -> Precision:
    """Returns the precision to train with: "auto" mixes in 16 bits where that is faster."""
    if config.precision != "auto":
        return config.precision
    if config.accelerator == "cpu" or not torch.cuda.is_available():
        # A step of resnet10t took .45 s in bf16 with AVX-512's instructions, .8 s in float32; a CPU
        # that only imitates bf16 is slower in it.
        known = torch.cpu.get_capabilities()
        return "bf16-mixed" if known.get("amx_bf16") or known.get("avx512_bf16") else "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def build_loggers(config: LoopConfig, folder: Path) -> list[Logger]:
    """Builds the loggers; their files lie in the folder of the run."""
    loggers: list[Logger] = []
    if "tensorboard" in config.loggers:
        loggers.append(TensorBoardLogger(folder, name=LOGS, version=""))
    if "mlflow" in config.loggers:
        # Only the first process logs; the others must not begin runs, and get None.
        run_id = rank_zero_only(mlflow_run_id)(folder)
        loggers.append(MLFlowLogger(tracking_uri=mlflow_address(folder), run_id=run_id))
    return loggers


def _callbacks(config: LoopConfig, folder: Path, *, with_validation: bool) -> list[Callback]:
    callbacks: list[Callback] = [
        ModelCheckpoint(
            dirpath=folder,
            filename=Path(BEST).stem,
            monitor=MONITORED if with_validation else None,
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
    is_on_cpu = config.accelerator == "cpu" or not torch.cuda.is_available()
    if is_on_cpu and torch.get_num_threads() > 1:
        callbacks.append(QuickestThreads())
    if config.show_progress:
        callbacks.append(RichProgressBar())
    if config.loggers:
        callbacks.append(LearningRateMonitor(logging_interval="step"))
    if config.patience and with_validation:
        callbacks.append(EarlyStopping(MONITORED, patience=config.patience, mode="max"))
    return callbacks


def keep_freed_memory() -> bool:
    """Tells the C library to keep what is freed; affects the whole process, for good.

    On a CPU each activation is some hundred megabytes that the C library asks of the system anew
    in every step. The system fills every page with zeros at its first touch, which takes as long as
    the arithmetic. What is kept is used again instead, and the process stays at its peak size.

    Returns:
        Whether the C library took all of it; one that has no `mallopt` (musl, macOS) does not.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt  # of what the process has loaded
    except AttributeError:
        return False
    options = ((MMAP_MAX, 0), (TRIM_THRESHOLD, LARGEST_TRIM_THRESHOLD), (TOP_PAD, PAD_BYTES))
    accepted = [set_option(name, value) for name, value in options]
    return all(accepted)
