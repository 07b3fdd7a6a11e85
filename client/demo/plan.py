"""What the demonstration does for each data set: folders, presets and the commands of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from client.demo.steps import DemoError, Step

PRESETS = {"generated": "demo", "grocery": "grocery", "fashion": "fashion"}
DATA_SETS_WITH_FOLDER = ("grocery", "fashion")
# Where the project's shared data keeps ImageNet weights, seen from the folder of a data set.
WEIGHTS_BESIDE_DATA = Path("../../weights/mobilenetv2_100_tf2ptq_timm.pth")
DATA_SETS_WITH_WEIGHTS = ("grocery", "fashion")
# What training reads and evaluation does not change; a change elsewhere must not train anew.
NOT_TRAINING = ("evaluation", "evaluate.py", "pairs", "prepare.py", "catalogues")
PREPARING = ("catalogues", "preprocessing", "prepare.py", "product.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Everything that the demonstration was told.

    Attributes:
        data: "generated", "grocery", "fashion", or a CSV or Parquet file.
        data_dir: Folder of the data set; None for those that need none.
        columns: Column mapping of one's own file.
        config: Preset or YAML file of training; empty takes that of the data.
        image_weights: Weights of the image encoder; None takes what the preset says.
        training_options: Further options of training, as typed.
        prepare_options: Further options of preparing, as typed.
        root: The checkout.
        runs: Folder of the runs.
        cache: Folder of the prepared data.
        repository: The model repository.
        query_count: Held-out offers matched at most.

    Raises:
        DemoError: If the data set is not there.
    """

    data: str = "generated"
    data_dir: Path | None = None
    columns: str = ""
    config: str = ""
    image_weights: Path | None = None
    training_options: tuple[str, ...] = ()
    prepare_options: tuple[str, ...] = ()
    root: Path = Path(".")
    runs: Path = Path("runs")
    cache: Path = Path(".cache/data")
    repository: Path = Path("model_repository")
    query_count: int = 300

    def __post_init__(self) -> None:
        """Checks that the data set is there before anything is started."""
        if self.data in DATA_SETS_WITH_FOLDER:
            if self.data_dir is None:
                raise DemoError(
                    f"{self.data} needs the folder of the data set: "
                    f"make demo DATA={self.data} DATA_DIR=..."
                )
            if not self.data_dir.is_dir():
                raise DemoError(f"there is no folder {self.data_dir}")
        elif self.data != "generated" and not Path(self.data).is_file():
            raise DemoError(
                "the data must be generated, grocery, fashion, or a CSV or Parquet file; "
                f"there is no file {self.data}"
            )
        if self.image_weights is not None and not self.image_weights.is_file():
            raise DemoError(f"there are no weights {self.image_weights}")

    @property
    def name(self) -> str:
        """Name of the prepared data and of the run, as `make train` names them."""
        return Path(self.data).stem

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.runs / self.name

    @property
    def prepared(self) -> Path:
        """Folder of the prepared data."""
        return self.cache / self.name

    @property
    def catalogue(self) -> Path:
        """Folder of the matching service's catalogue."""
        return self.run / "catalogue"


def prepare_step(plan: DemoPlan) -> Step:
    """Returns the step that reads the data set into the project's own tables."""
    arguments = ["training.prepare", "--data", plan.data, "--out", str(plan.prepared)]
    inputs = [plan.root / "training" / name for name in PREPARING]
    if plan.data_dir is not None:
        arguments += ["--data-dir", str(plan.data_dir)]
        inputs.append(plan.data_dir)
    if plan.columns:
        arguments += ["--columns", plan.columns]
    if plan.data not in PRESETS:
        inputs.append(Path(plan.data))
    tables = [plan.prepared / f"{name}.parquet" for name in ("train", "queries", "gallery")]
    return Step(
        name="prepare",
        arguments=[*arguments, *plan.prepare_options],
        inputs=inputs,
        outputs=tables,
    )


def train_step(plan: DemoPlan, prepared_digest: str) -> Step:
    """Returns the step that trains the encoder.

    Args:
        plan: What to do.
        prepared_digest: Digest of the step before.
    """
    config = plan.config or PRESETS.get(plan.data, "demo")
    arguments = ["training.train", "--config", config]
    arguments += ["--data.folder", str(plan.prepared), "--output", str(plan.run)]
    folder = plan.root / "training"
    inputs = [path for path in sorted(folder.iterdir()) if path.name not in NOT_TRAINING]
    inputs += [path for path in (Path(config),) if path.is_file()]
    weights = _image_weights(plan)
    if weights is not None:
        arguments.append(f"--model.image.weights={weights}")
        inputs.append(weights)
    return Step(
        name="train",
        arguments=[*arguments, *plan.training_options],
        inputs=inputs,
        outputs=[plan.run / "weights.safetensors"],
        after=[prepared_digest],
    )


def evaluate_step(plan: DemoPlan, trained_digest: str) -> Step:
    """Returns the step that evaluates and calibrates.

    Args:
        plan: What to do.
        trained_digest: Digest of the step before.
    """
    return Step(
        name="evaluate",
        arguments=["training.evaluate", "--run", str(plan.run)],
        inputs=[plan.root / "training", plan.run / "weights.safetensors"],
        outputs=[plan.run / "evaluation.json", plan.run / "calibration.json"],
        after=[trained_digest],
    )


def export_step(plan: DemoPlan, evaluated_digest: str, published: Path | None) -> Step:
    """Returns the step that publishes the encoder into the model repository.

    Args:
        plan: What to do.
        evaluated_digest: Digest of the step before.
        published: Folder of the version that it published last; None when it has not.
    """
    committed = [
        path
        for pattern in ("*/config.pbtxt", "*/model.py", "*/warmup/*")
        for path in sorted((plan.root / "model_repository").glob(pattern))
    ]
    return Step(
        name="export",
        arguments=["export", "--run", str(plan.run), "--repository", str(plan.repository)],
        inputs=[plan.root / "export", plan.root / "training", *committed],
        outputs=[published] if published else [],
        after=[evaluated_digest],
    )


def index_step(plan: DemoPlan, address: str, encoder_digest: str) -> Step:
    """Returns the step that stores the gallery through the client.

    Args:
        plan: What to do.
        address: Of the matching service; new each time, and so no part of the stamp.
        encoder_digest: What the stored vectors were made with.
    """
    gallery = plan.prepared / "gallery.parquet"
    return Step(
        name="index",
        arguments=["client.cli", "index", str(gallery)],
        inputs=[gallery, plan.root / "client", plan.root / "server"],
        outputs=[plan.catalogue],
        after=[encoder_digest],
        environment={"TWINSHELF_ADDRESS": address},
    )


def _image_weights(plan: DemoPlan) -> Path | None:
    if plan.image_weights is not None:
        return plan.image_weights
    if plan.data in DATA_SETS_WITH_WEIGHTS and plan.data_dir is not None and not plan.config:
        beside = plan.data_dir / WEIGHTS_BESIDE_DATA
        if beside.is_file():
            return beside.resolve()
    return None
