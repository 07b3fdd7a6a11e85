"""A published version in this process: rows do not depend on their batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.configurations import ConfigurationError, config_path
from export.probes import photo_probes, text_probes
from export.published import PublishedVersion

# One thread or many, one row or many: sums in another order.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def version(published: Path) -> PublishedVersion:
    return PublishedVersion(published, 1)


def test_a_photo_embeds_alike_alone_and_in_a_batch(version):
    photos = [probe.data for probe in photo_probes()]
    together = version.encode_photos(photos)
    for number, photo in enumerate(photos):
        alone = version.encode_photos([photo])
        np.testing.assert_array_equal(alone["PIXELS"][0], together["PIXELS"][number])
        np.testing.assert_allclose(
            alone["IMAGE_EMBEDDING"][0], together["IMAGE_EMBEDDING"][number], atol=TOLERANCE
        )


def test_a_text_embeds_alike_alone_and_in_a_batch(version):
    texts = text_probes()
    together = version.encode_texts(texts)["TEXT_EMBEDDING"]
    for number, text in enumerate(texts):
        alone = version.encode_texts([text])["TEXT_EMBEDDING"][0]
        np.testing.assert_allclose(alone, together[number], atol=TOLERANCE)


def test_the_product_ensemble_joins_the_halves_of_the_others(version):
    photos, texts = [probe.data for probe in photo_probes()[:5]], text_probes()[:5]
    rows = version.encode_products(photos, texts)["EMBEDDING"]
    image = version.encode_photos(photos)["IMAGE_EMBEDDING"]
    text = version.encode_texts(texts)["TEXT_EMBEDDING"]
    expected = np.concatenate([np.sqrt(0.6) * image, np.sqrt(0.4) * text], axis=1)
    np.testing.assert_allclose(rows, expected, atol=TOLERANCE)


def test_the_batch_limit_is_that_of_the_configurations(version):
    assert version.max_batch_size == 32


def test_an_unknown_version_is_named(published: Path):
    with pytest.raises(ConfigurationError, match="v7.pbtxt"):
        PublishedVersion(published, 7)


def test_an_unknown_backend_is_refused(repository: Path):
    path = config_path(repository, "image_tower", 1)
    path.write_text(path.read_text().replace('"onnxruntime"', '"tensorrt"'))
    with pytest.raises(ConfigurationError, match="image_tower has backend 'tensorrt'"):
        PublishedVersion(repository, 1)
