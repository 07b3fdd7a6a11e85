"""The gate lets a faithful version pass, and none that was tampered with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from twinshelf.export.encoder_models import ENSEMBLES
from twinshelf.export.parity import ParityComparison, ParityError, compare_probes
from twinshelf.export.reference import Tensors, TorchReference
from twinshelf.export.towers import fusion_graph
from twinshelf.server.encoders.published_version import PublishedVersion
from twinshelf.training.model.encoder import Fusion

pytestmark = pytest.mark.slow


def check(reference: TorchReference, repository: Path) -> ParityComparison:
    comparison = ParityComparison(reference, PublishedVersion(repository, 1, ENSEMBLES))
    compare_probes(comparison)
    return comparison


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def change_weights(path: Path, factor: float) -> None:
    """Scales one row of the largest weight of a graph."""
    graph = onnx.load(path)
    largest = max(graph.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    values = numpy_helper.to_array(largest).copy()
    values[: len(values) // 2] *= factor
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))
    onnx.save(graph, path)


def test_a_faithful_version_passes(reference: TorchReference, published: Path) -> None:
    report = check(reference, published).report()
    assert report.row_count > 100
    assert 0 < report.embedding_difference < 1e-5


@pytest.mark.parametrize("model", ["image_tower", "text_tower"])
def test_other_weights_are_refused(reference: TorchReference, repository: Path, model: str) -> None:
    change_weights(repository / model / "1" / "model.onnx", 1.05)
    encoder = model.replace("tower", "encoder")
    with pytest.raises(ParityError, match=f"{encoder} .*differs by .*at most 0.0001 is allowed"):
        check(reference, repository)


def test_another_fusion_is_refused(reference: TorchReference, repository: Path) -> None:
    graph = fusion_graph(Fusion(0.61).eval(), 12, 12)
    (repository / "fusion" / "1" / "model.onnx").write_bytes(graph)
    with pytest.raises(ParityError, match="product_encoder .*EMBEDDING differs by"):
        check(reference, repository)


def test_another_filter_is_refused(reference: TorchReference, repository: Path) -> None:
    sources = repository / "image_preprocess" / "1" / "preprocessing"
    replace_in(sources / "images.py", "Resampling.BICUBIC", "Resampling.BILINEAR")
    with pytest.raises(ParityError, match="image_encoder .*PIXELS differs in .*none is allowed"):
        check(reference, repository)


@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_another_way_to_the_square_is_refused(
    reference: TorchReference, repository: Path, resize: str
) -> None:
    settings = repository / "image_preprocess" / "1" / "settings.json"
    replace_in(settings, '"resize": "pad"', f'"resize": "{resize}"')
    with pytest.raises(ParityError, match="PIXELS differs"):
        check(reference, repository)


def test_another_cleaning_is_refused(reference: TorchReference, repository: Path) -> None:
    sources = repository / "text_preprocess" / "1" / "preprocessing"
    replace_in(sources / "texts.py", '"NFKC"', '"NFC"')
    with pytest.raises(ParityError, match="INPUT_IDS"):
        check(reference, repository)


def test_another_length_of_texts_is_refused(reference: TorchReference, repository: Path) -> None:
    settings = repository / "text_preprocess" / "1" / "settings.json"
    replace_in(settings, "48", "40")
    with pytest.raises(ParityError, match=r"INPUT_IDS is int64 \(1, 40\) as published"):
        check(reference, repository)


def test_a_graph_that_fails_on_a_batch_is_refused(
    reference: TorchReference, repository: Path
) -> None:
    path = repository / "fusion" / "1" / "model.onnx"
    graph = onnx.load(path)
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(graph, path)
    with pytest.raises(ParityError, match="a batch of 3: the published version fails"):
        check(reference, repository)


class NanVersion(PublishedVersion):
    """Answers NaN, which compares as neither larger nor smaller."""

    def run(self, ensemble: str, inputs: Tensors) -> dict[str, np.ndarray]:
        answer = super().run(ensemble, inputs)
        return {**answer, "IMAGE_EMBEDDING": np.full_like(answer["IMAGE_EMBEDDING"], np.nan)}


def test_nan_is_refused(reference: TorchReference, published: Path) -> None:
    comparison = ParityComparison(reference, NanVersion(published, 1, ENSEMBLES))
    with pytest.raises(ParityError, match="differs by nan"):
        compare_probes(comparison)
