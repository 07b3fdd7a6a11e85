"""What is told of the loop: the optimizer, the epochs and devices, what follows them.

Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights are learnt.

    Attributes:
        head_lr: Peak learning rate of the heads and of learnt group centres, above 0.
        image_lr: Peak learning rate of the image backbone, 0 or more; 0 freezes it.
        text_lr: Peak learning rate of the text backbone, 0 or more; 0 freezes it.
        image_batch_norm_mode: Whether batch norms of the image backbone are in training mode,
            "moving", or keep the statistics that they came with, "fixed".
        weight_decay: Decay of matrices, 0 or more; biases and norms have none.
        warmup_share: Share of the steps in which the rates rise to their peak, 0 to below 1.
        gradient_clip: Largest norm of a gradient, 0 or more; 0 does not clip.
    """

    head_lr: Annotated[float, "above 0"] = 1e-3
    image_lr: Annotated[float, "0 or more"] = 1e-3
    text_lr: Annotated[float, "0 or more"] = 1e-3
    image_batch_norm_mode: Literal["moving", "fixed"] = "moving"
    weight_decay: Annotated[float, "0 or more"] = 0.01
    warmup_share: Annotated[float, "0 to below 1"] = 0.1
    gradient_clip: Annotated[float, "0 or more"] = 5.0


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long, where and how precisely is trained.

    Attributes:
        epoch_count: Most passes over the training rows, 1 or more.
        patience: Validations without a better mean average precision before training stops, 0 or
            more; 0 never stops early.
        accelerator: Kind of device, such as "cpu" or "gpu"; "auto" takes the best there is.
        device_count: Devices to use of each machine; "auto" takes all.
        node_count: Machines, 1 or more; on several, `torchrun` starts the processes.
        strategy: How several devices share the work, such as "ddp".
        precision: Precision of the arithmetic; "auto" mixes in 16 bits on a GPU, and on a
            CPU that has instructions for bf16.
        loggers: Where figures are written: "tensorboard", "mlflow".
        show_progress: Whether a progress bar is drawn.
    """

    epoch_count: Annotated[int, "1 or more"] = 20
    patience: Annotated[int, "0 or more"] = 0
    accelerator: str = "auto"
    device_count: Annotated[int | Literal["auto"], "1 or more"] = "auto"
    node_count: Annotated[int, "1 or more"] = 1
    strategy: str = "auto"
    precision: Literal["auto"] | Precision = "auto"
    loggers: tuple[Literal["tensorboard", "mlflow"], ...] = ("tensorboard",)
    show_progress: bool = True


@dataclass(frozen=True, kw_only=True)
class FinishingConfig:
    """What is done to the image tower once training is over.

    Photos unlike those learnt from, of other shops and cameras, gain most by it.

    Attributes:
        image_start_share: Share of the pretrained weights in the saved ones of the image backbone,
            0 to below 1; the rest is what training made of them (WiSE-FT: Wortsman et al. 2022,
            arXiv 2109.01903, equation 1). A backbone that started at random is left as it is.
        image_head_shrinkage: Shrinkage, above 0 to 1, of the covariance within groups by which the
            backbone's features of the training photos are whitened; the projection that does it
            becomes the image tower's. null keeps the projection as learnt.
    """

    image_start_share: Annotated[float, "0 to below 1"] = 0.0
    image_head_shrinkage: Annotated[float | None, "above 0 and at most 1"] = None
