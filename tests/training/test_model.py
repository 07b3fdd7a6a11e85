"""The whole model, translated and not."""

import torch

from training.image_encoder import ImageEncoderConfig
from training.model import ModelConfig, build_model, compile_encoders
from training.text_encoder import ScratchTextConfig, scratch_architecture


def test_compiled_encoders_give_the_same_embedding_and_keep_the_names_of_weights():
    scratch = ScratchTextConfig(width=16, layer_count=1, head_count=2)
    architecture = scratch_architecture(scratch, vocabulary_size=50, max_token_count=16)
    config = ModelConfig(image=ImageEncoderConfig(name="test_efficientnet"), embedding_dim=12)
    model = build_model(config, image_size_px=32, architecture=architecture).eval()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 3, 32, 32), generator=generator).byte()
    ids = torch.randint(0, 50, (3, 7), generator=generator)
    names = list(model.state_dict())
    with torch.no_grad():
        plain = model(pixels, ids, torch.ones_like(ids))
        # Traces as the default does, but needs no C++ compiler.
        compile_encoders(model, backend="eager")
        torch.testing.assert_close(model(pixels, ids, torch.ones_like(ids)), plain)
    assert list(model.state_dict()) == names
    assert model.image_tower.encoder._compiled_call_impl is not None
