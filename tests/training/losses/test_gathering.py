"""Two processes with half of a batch each learn what one process learns of the whole batch."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel

from twinshelf.training.losses.loss_config import LossConfig, LossTermConfig
from twinshelf.training.losses.stream_losses import Stream, StreamLosses, gather_rows

pytestmark = pytest.mark.slow
ROW_COUNT, WIDTH, GROUP_COUNT = 12, 8, 4
TERMS = (LossTermConfig(name="SupConLoss"), LossTermConfig(name="SteadyArcFaceLoss", weight=0.5))


class Learner(nn.Module):
    """Two towers of one layer and the losses over them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(5, WIDTH), nn.Linear(5, WIDTH)
        dims = {"image": WIDTH, "text": WIDTH, "fused": 2 * WIDTH}
        self.losses = StreamLosses(
            LossConfig(terms=TERMS), group_count=GROUP_COUNT, embedding_dims=dims
        )

    def forward(self, values: torch.Tensor, has_image: torch.Tensor) -> torch.Tensor:
        """Returns the loss of rows (B, 5); neighbours are of one group."""
        labels = values[:, 0].long()
        everywhere = torch.ones_like(has_image)
        image, text, has_image, has_text, labels = gather_rows(
            nn.functional.normalize(self.image(values)) * has_image[:, None],
            nn.functional.normalize(self.text(values)),
            has_image,
            everywhere,
            labels,
        )
        fused = nn.functional.normalize(torch.cat([image, text], dim=1))
        streams = {
            "image": Stream(embeddings=image, present=has_image),
            "text": Stream(embeddings=text, present=has_text),
            "fused": Stream(embeddings=fused, present=has_image | has_text),
        }
        loss: torch.Tensor = self.losses(streams, labels)["total"]
        return loss


def make_rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns rows, the first column of which is the group, and which of them have an image."""
    values = torch.randn(ROW_COUNT, 5, generator=torch.Generator().manual_seed(1))
    values[:, 0] = torch.arange(ROW_COUNT) // (ROW_COUNT // GROUP_COUNT)
    has_image = torch.ones(ROW_COUNT, dtype=torch.bool)
    has_image[[0, 7, 8]] = False  # one process has fewer images than the other
    return values, has_image


def learn_half(rank: int, folder: str) -> None:
    """Runs in a process of its own; leaves its loss and gradients in a file."""
    meeting_place = f"file://{folder}/processes"
    dist.init_process_group("gloo", init_method=meeting_place, rank=rank, world_size=2)
    values, has_image = (part.chunk(2)[rank] for part in make_rows())
    learner = Learner()
    shared = DistributedDataParallel(learner)  # averages gradients as long as it is there
    loss = shared(values, has_image)
    loss.backward()
    gradients = {name: weight.grad for name, weight in learner.named_parameters()}
    torch.save((loss.detach(), gradients), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_have_the_loss_and_the_gradients_of_one(tmp_path: Path) -> None:
    learner = Learner()
    loss = learner(*make_rows())
    loss.backward()
    multiprocessing.set_forkserver_preload([__name__])  # once for both: it takes seconds
    start_processes(learn_half, args=(str(tmp_path),), nprocs=2, start_method="forkserver")
    for rank in range(2):
        found_loss, gradients = torch.load(tmp_path / f"{rank}.pt")
        # Sums of float32 in another order.
        torch.testing.assert_close(found_loss, loss.detach(), rtol=1e-5, atol=1e-6)
        for name, weight in learner.named_parameters():
            torch.testing.assert_close(gradients[name], weight.grad, rtol=1e-4, atol=1e-6)
