"""The device that commands compute on."""

from __future__ import annotations

import torch

from twinshelf.training.command_line import choose_device


def test_a_device_that_is_named_is_taken() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
