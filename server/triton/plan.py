"""How the models of a version share the cores of a machine; written into what is served."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final, Self

from google.protobuf import text_format

from twinshelf.server.triton.repository import RepositoryError, config_path, read_config

_TOWERS: Final = {"image_tower": "image", "text_tower": "text"}
_DECODER: Final = "image_preprocess"
_THREADS: Final = "intra_op_thread_count"
# More threads of one inference wait for one another more than they gain.
_MOST_THREADS: Final = 4
_MOST: Final = 1024
_CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
_DEVICES: Final = Path("/dev")
# Of several GPUs a container may be given any: /dev/nvidia3 alone, say.
_GPUS: Final = "nvidia[0-9]*"
_GPU_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPlan:
    """What runs at once.

    Attributes:
        image_instances: Photos' towers that compute side by side; on a GPU, on each.
        image_threads: Threads of each of them.
        text_instances: Texts' towers.
        text_threads: Threads of each of them.
        decoder_instances: Processes that decode photos; texts take so little that one reads them.
        queue_delay_us: How long a tower waits for company, microseconds.

    Raises:
        ValueError: If a value is out of range.
    """

    image_instances: int
    image_threads: int
    text_instances: int
    text_threads: int
    decoder_instances: int
    queue_delay_us: int

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for each in fields(self):
            value = getattr(self, each.name)
            low, high = (0, 1_000_000) if each.name == "queue_delay_us" else (1, _MOST)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(f"{each.name} must be {low} to {high}, got {value!r}")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads what `make tune` wrote.

        Raises:
            ValueError: If it is no plan; names the file.
        """
        try:
            values = json.loads(path.read_text("utf-8"))
            return cls(**values)
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path} is no plan of `make tune`: {error}") from None

    def to_json(self) -> str:
        """Returns the plan as `read` takes it."""
        return json.dumps(asdict(self), indent=1) + "\n"


def default_plan(core_count: int, *, has_gpu: bool) -> ServingPlan:
    """Returns a plan by rule: the threads of a tower's instances are as many as the cores.

    Both towers may compute at once; with threads that sleep while they wait, that costs less than
    cores that stand idle while only one of them has work. A text is small: half as many threads for
    it, and twice the instances, took an eighth more texts a second on two cores.

    Args:
        core_count: Cores that Triton may use, 1 or more.
        has_gpu: Whether the towers run on a GPU, where one instance has all of it.
    """
    image_threads = min(core_count, _MOST_THREADS)
    text_threads = max(1, image_threads // 2)
    return ServingPlan(
        image_instances=1 if has_gpu else core_count // image_threads,
        image_threads=image_threads,
        text_instances=1 if has_gpu else core_count // text_threads,
        text_threads=text_threads,
        decoder_instances=max(2, core_count),
        queue_delay_us=100,
    )


def usable_core_count() -> int:
    """Returns how many cores this process may use, by affinity and by the quota of its group."""
    count = len(os.sched_getaffinity(0))
    try:
        quota, period = _CPU_QUOTA.read_text("ascii").split()
        return max(1, min(count, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no quota, or "max"
        return count


def has_gpu(environment: Mapping[str, str] | None = None) -> bool:
    """Says whether there is an NVIDIA GPU that a process may use.

    Args:
        environment: Environment variables of the process; those of this one by default.
    """
    variables = os.environ if environment is None else environment
    return any(_DEVICES.glob(_GPUS)) and variables.get(_GPU_VARIABLE) not in ("", "-1")


def write_plan(plan: ServingPlan, models: Path, version: int, *, mixes_shapes: bool) -> None:
    """Writes a plan into the configurations of a version.

    Args:
        plan: What is to run at once.
        models: A private copy of the model repository, whose files have been checked.
        version: The version.
        mixes_shapes: Whether the backend of the towers takes rows of unequal shapes at once, as
            ours does. While Triton's batcher keeps them apart, it spins until the tower is free:
            texts of two lengths cost a fifth of a core.

    Raises:
        RepositoryError: If a configuration is missing or is none, or has not one instance group.
    """
    for model in (*_TOWERS, _DECODER):
        path = config_path(models, model, version)
        if not path.is_file():  # a version of fewer models
            continue
        config = read_config(path)
        tower = _TOWERS.get(model)
        if len(config.instance_group) != 1:
            raise RepositoryError(
                f"{model} of version {version} has {len(config.instance_group)} instance groups, "
                "expected one, whose count the plan sets"
            )
        (group,) = config.instance_group
        if tower is None:
            group.count = plan.decoder_instances
        else:
            group.count = getattr(plan, f"{tower}_instances")
            config.parameters[_THREADS].string_value = str(getattr(plan, f"{tower}_threads"))
            config.dynamic_batching.max_queue_delay_microseconds = plan.queue_delay_us
            for each in config.input:
                each.allow_ragged_batch = mixes_shapes and -1 in each.dims
        path.write_text(text_format.MessageToString(config, as_utf8=True), "utf-8")
