"""Folded batch statistics: given back without a change of what the encoder computes."""

import copy

import pytest
import timm
import torch
from torch import nn

from tests.training.small_catalogue import small_config, write_small_catalogue
from training.batch_statistics import restore_statistics
from training.checkpoint import load_encoder
from training.run import train


class Small(nn.Module):
    """Two convolutions with norms, and a norm that reads something else."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, bias=True)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 5, 1, bias=False)
        self.after = nn.BatchNorm2d(5)
        self.other = nn.BatchNorm2d(5)

    def forward(self, values):
        values = torch.relu(self.norm(self.first(values)))
        return self.other(torch.relu(self.after(self.second(values))))


@pytest.fixture
def network():
    """A network whose layers are of quite different scales."""
    torch.manual_seed(0)
    network = Small()
    with torch.no_grad():
        for norm in (network.norm, network.after, network.other):
            norm.weight.uniform_(-2, 2)
            norm.bias.uniform_(-9, 9)
        network.first.weight *= 50
    return network.eval()


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(8, 3, 9, 9, generator=generator) for _ in range(3)]


def test_the_encoder_computes_what_it_did(network, batches):
    before = network(batches[0])
    restore_statistics(network, batches)
    assert torch.allclose(network(batches[0]), before, rtol=1e-4, atol=1e-4)


def test_norms_know_the_mean_and_variance_of_what_they_read(network, batches):
    restore_statistics(network, batches)
    everything = torch.cat(batches)
    read = {}
    for name in ("norm", "after", "other"):
        getattr(network, name).register_forward_pre_hook(
            lambda norm, inputs, name=name: read.__setitem__(name, inputs[0])
        )
    network(everything)
    for name, values in read.items():
        norm = getattr(network, name)
        assert torch.allclose(norm.running_mean, values.mean((0, 2, 3)), rtol=1e-2, atol=1e-2)
        assert torch.allclose(norm.running_var, values.var((0, 2, 3)), rtol=5e-2)
    # Convolutions are scaled to variance 1; what is read from elsewhere is not.
    assert torch.allclose(network.norm.running_var, torch.ones(4), atol=1e-4)
    assert torch.allclose(network.after.running_var, torch.ones(5), atol=1e-4)
    assert (network.other.running_var - 1).abs().max() > 0.1


def test_training_sees_nearly_what_evaluation_does(network, batches):
    """With the statistics of its batches, the network answers as with its own."""
    everything = torch.cat(batches)
    expected = network(everything)
    restore_statistics(network, batches)
    network.train()
    assert torch.allclose(network(everything), expected, rtol=0.05, atol=0.2)


def test_a_dead_channel_keeps_its_scale(network, batches):
    with torch.no_grad():
        network.first.weight[1] = 0
    bias = network.first.bias[1].item()
    before = network(batches[0])
    restore_statistics(network, batches)
    assert network.first.bias[1].item() == bias
    assert torch.allclose(network(batches[0]), before, rtol=1e-4, atol=1e-4)


def test_a_timm_model_computes_what_it_did():
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", num_classes=0).eval()
    inputs = [torch.randn(4, 3, 64, 64) for _ in range(2)]
    before = network(inputs[0])
    kept = copy.deepcopy(network.state_dict())
    restore_statistics(network, inputs)
    changed = [name for name, value in network.state_dict().items() if "running_mean" in name
               and not torch.equal(value, kept[name])]  # fmt: skip
    assert len(changed) == sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    assert torch.allclose(network(inputs[0]), before, rtol=1e-3, atol=1e-4)


def test_a_convolution_that_is_read_elsewhere_too_is_an_error(batches):
    class Shortcut(Small):
        def forward(self, values):
            made = self.first(values)
            return made + self.norm(made)

    torch.manual_seed(0)
    with pytest.raises(ValueError, match="are read elsewhere too"):
        restore_statistics(Shortcut(), batches)


def test_a_norm_that_reads_nothing_stays(network, batches):
    network.unused = nn.BatchNorm2d(3)
    before = copy.deepcopy(network.unused.state_dict())
    restore_statistics(network, batches)
    assert all(torch.equal(v, before[name]) for name, v in network.unused.state_dict().items())


def test_hooks_are_gone_afterwards_also_after_an_error(network):
    with pytest.raises(RuntimeError):
        restore_statistics(network, [torch.zeros(2, 7, 9, 9)])
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


def test_nothing_to_measure_on_is_an_error(network):
    with pytest.raises(ValueError, match="are measured on photos, and there are none"):
        restore_statistics(network, [])


def test_a_run_restores_them_before_it_trains(tmp_path):
    write_small_catalogue(tmp_path / "data")
    options = ("--optimizer.image_rate=0", "--loop.epoch_count=1")
    for name in ("moving", "restored"):
        train(
            small_config(
                tmp_path, f"--output={tmp_path / name}", f"--optimizer.image_statistics={name}",
                *options,
            )
        )  # fmt: skip
    moving, restored = (
        load_encoder(tmp_path / name).model.image_tower.encoder for name in ("moving", "restored")
    )
    key = "backbone.bn1.running_mean"
    assert not moving.state_dict()[key].any()
    assert restored.state_dict()[key].any()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert torch.allclose(moving(pixels), restored(pixels), rtol=1e-2, atol=1e-3)
