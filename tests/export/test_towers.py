"""Graphs: valid, dynamic, the same bytes each time, the same numbers as torch."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from twinshelf.export.towers import GraphError, fusion_graph, image_tower_graph, text_tower_graph
from twinshelf.training.checkpoint import TrainedEncoder
from twinshelf.training.model.encoder import Fusion, Tower

pytestmark = pytest.mark.slow

SIDE = 32
# Two runtimes sum in another order; measured 5e-7 at most.
TOLERANCE = 1e-5


def session(graph: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def image_graph(encoder: TrainedEncoder) -> bytes:
    return image_tower_graph(encoder.model.image_tower, SIDE)


@pytest.fixture(scope="module")
def text_graph(encoder: TrainedEncoder) -> bytes:
    return text_tower_graph(encoder.model.text_tower, 48)


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_image_graph_equals_the_tower_at_any_batch(
    encoder: TrainedEncoder, image_graph: bytes, batch: int
) -> None:
    generator = torch.Generator().manual_seed(batch)
    pixels = torch.randint(
        0, 256, (batch, 3, SIDE, SIDE), generator=generator, dtype=torch.int64
    ).to(torch.uint8)
    with torch.inference_mode():
        expected = encoder.model.image_tower(pixels).numpy()
    (rows,) = session(image_graph).run(["IMAGE_EMBEDDING"], {"PIXELS": pixels.numpy()})
    np.testing.assert_allclose(rows, expected, atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 32])
@pytest.mark.parametrize("length", [1, 8, 48])
def test_text_graph_equals_the_tower_at_any_batch_and_length(
    encoder: TrainedEncoder, text_graph: bytes, batch: int, length: int
) -> None:
    generator = torch.Generator().manual_seed(batch)
    ids = torch.randint(0, 60, (batch, length), generator=generator)
    real = torch.randint(1, length + 1, (batch, 1), generator=generator)
    mask = (torch.arange(length)[None] < real).long()
    with torch.inference_mode():
        expected = encoder.model.text_tower(ids, mask).numpy()
    (rows,) = session(text_graph).run(
        ["TEXT_EMBEDDING"], {"INPUT_IDS": ids.numpy(), "ATTENTION_MASK": mask.numpy()}
    )
    np.testing.assert_allclose(rows, expected, atol=TOLERANCE)


def test_text_graph_ignores_padding(text_graph: bytes) -> None:
    ids = np.array([[2, 9, 11, 3]], dtype=np.int64)
    padded = np.pad(ids, ((0, 0), (0, 12)))
    run = session(text_graph).run
    (alone,) = run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": np.ones_like(ids)})
    mask = np.pad(np.ones_like(ids), ((0, 0), (0, 12)))
    (with_padding,) = run(None, {"INPUT_IDS": padded, "ATTENTION_MASK": mask})
    (unmasked,) = run(None, {"INPUT_IDS": padded, "ATTENTION_MASK": np.ones_like(mask)})
    np.testing.assert_allclose(alone, with_padding, atol=TOLERANCE)
    assert np.abs(alone - unmasked).max() > 1e-3  # the mask does something


def test_fusion_graph_is_the_weighted_concatenation() -> None:
    generator = np.random.default_rng(1)
    image, text = generator.normal(size=(2, 5, 12)).astype(np.float32)
    image /= np.linalg.norm(image, axis=1, keepdims=True)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    graph = fusion_graph(Fusion(0.6).eval(), 12, 12)
    (rows,) = session(graph).run(None, {"IMAGE_EMBEDDING": image, "TEXT_EMBEDDING": text})
    expected = np.concatenate([np.sqrt(0.6) * image, np.sqrt(0.4) * text], axis=1)
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_the_same_weights_give_the_same_bytes(
    encoder: TrainedEncoder, image_graph: bytes, text_graph: bytes
) -> None:
    model = copy.deepcopy(encoder.model)
    assert image_tower_graph(model.image_tower, SIDE) == image_graph
    assert text_tower_graph(model.text_tower, 48) == text_graph


def test_other_weights_give_other_bytes(encoder: TrainedEncoder, image_graph: bytes) -> None:
    tower = copy.deepcopy(encoder.model.image_tower)
    with torch.no_grad():
        next(tower.parameters()).add_(1e-3)
    assert image_tower_graph(tower, SIDE) != image_graph


def test_graphs_say_nothing_of_the_machine(image_graph: bytes, text_graph: bytes) -> None:
    for data in (image_graph, text_graph):
        graph = onnx.load_from_string(data)
        assert not graph.metadata_props
        assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)
        assert b"site-packages" not in data


def test_a_tower_in_training_mode_is_refused(encoder: TrainedEncoder) -> None:
    tower = copy.deepcopy(encoder.model.image_tower).train()
    with pytest.raises(GraphError, match="image_tower must be in evaluation mode"):
        image_tower_graph(tower, SIDE)


class FrozenBatch(nn.Module):
    """Takes the batch of the example for a constant."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().reshape(2, -1)[:, :12]


def test_a_tower_that_freezes_the_batch_is_refused() -> None:
    tower = Tower(FrozenBatch(), 12, 12).eval()
    with pytest.raises(GraphError, match="image_tower"):
        image_tower_graph(tower, SIDE)


class NamedLikeTheOutput(nn.Module):
    """Has an `embedding`, as BERT does."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(60, 8)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return (self.embedding(input_ids) * attention_mask[..., None]).sum(1)


def test_an_encoder_with_a_module_named_embedding_makes_a_valid_graph() -> None:
    graph = text_tower_graph(Tower(NamedLikeTheOutput(), 8, 12).eval(), 48)
    ids = np.ones((3, 5), dtype=np.int64)
    (rows,) = session(graph).run(None, {"INPUT_IDS": ids, "ATTENTION_MASK": ids})
    assert rows.shape == (3, 12)
