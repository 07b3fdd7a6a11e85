"""A run of pretrained backbones with untrained heads: for measuring speed alone.

python -m tests.benchmarks.untrained_run --config grocery --output runs/bench \
    --model.image.weights=FILE --model.text.name=FOLDER
python -m twinshelf.export --run runs/bench --repository .cache/bench/models --uncalibrated
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from twinshelf.training.checkpoint import save_inputs, save_weights
from twinshelf.training.config import read_config
from twinshelf.training.model.encoder import build_encoder
from twinshelf.training.model.text_backbone import load_architecture, load_pretrained_tokenizer


def main(arguments: Sequence[str] | None = None) -> int:
    """Saves the run that `twinshelf.training.train` would begin with; returns 0.

    Args:
        arguments: Options of `training`; a pretrained text backbone must be among them.
    """
    config = read_config(sys.argv[1:] if arguments is None else arguments)
    name = config.model.text.name
    if name is None:
        sys.stderr.write("expected --model.text.name: a tokenizer from scratch has to be learnt\n")
        return 1
    torch.manual_seed(config.seed)
    architecture = load_architecture(name)
    model = build_encoder(
        config.model,
        image_size_px=config.preprocessing.image_size_px,
        architecture=architecture,
    )
    tokenizer = load_pretrained_tokenizer(name)
    folder = Path(config.output)
    save_inputs(folder, config=config, tokenizer=tokenizer, architecture=architecture)
    save_weights(folder, model)
    sys.stdout.write(f"saved in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
