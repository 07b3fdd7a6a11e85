"""A model repository with a tiny published version, for tests that need a real Triton.

Everything but the towers is the real thing: the committed configurations and thin models, the
project's preprocessing and a tokenizer of its own. It is written here, not by `export`, so that the
tests of the repository say what a published version must look like; the digest and the list of the
files are those of `export`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from google.protobuf import text_format
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tritonclient.grpc import model_config_pb2

from tests.model_repository.tiny_graphs import save_fusion, save_image_tower, save_text_tower
from tests.server.fake_encoder import MATCH_PROBABILITY
from twinshelf.export.encoder_models import RECORD
from twinshelf.export.manifest import covered_digest, digest_files, list_files
from twinshelf.training.preprocessing.settings import PreprocessingSettings

PROJECT = Path(__file__).resolve().parents[2]
COMMITTED = PROJECT / "model_repository"
ENSEMBLES = ("product_encoder", "image_encoder", "text_encoder")
PREPROCESSING_MODELS = ("image_preprocess", "text_preprocess")
ENCODER_MODELS = (*PREPROCESSING_MODELS, "image_tower", "text_tower", "fusion", *ENSEMBLES)
WORDS = "red green blue tea coffee cup box bag large small 1 2 500 g ml чай кофе".split()

SETTINGS = PreprocessingSettings(image_size_px=16, token_buckets=(8, 16))
FUSION_WEIGHT = 0.36
EMBEDDING_DIM = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyVersion:
    """A published version and what tests compare it with."""

    repository: Path
    version: int
    settings: PreprocessingSettings
    tokenizer_path: Path
    fusion_weight: float

    def onnx_path(self, model: str) -> Path:
        """Returns the ONNX file of a model."""
        return self.repository / model / str(self.version) / "model.onnx"


def publish_tiny_version(repository: Path, version: int = 1) -> TinyVersion:
    """Writes a version into a repository; versions differ in their weights."""
    tokenizer_path = _write_what_embeds(repository, version)
    for committed in (COMMITTED / name for name in ENCODER_MODELS):
        model = repository / committed.name
        (model / str(version)).mkdir(parents=True, exist_ok=True)
        (model / "configs").mkdir(exist_ok=True)
        shutil.copy(committed / "config.pbtxt", model)
        if (committed / "warmup").is_dir():
            shutil.copytree(committed / "warmup", model / "warmup", dirs_exist_ok=True)
        config = _exact_config(committed / "config.pbtxt", version)
        (model / "configs" / f"v{version}.pbtxt").write_text(text_format.MessageToString(config))
    write_manifest(repository, version)
    return TinyVersion(
        repository=repository,
        version=version,
        settings=SETTINGS,
        tokenizer_path=tokenizer_path,
        fusion_weight=FUSION_WEIGHT,
    )


def write_manifest(repository: Path, version: int = 1) -> None:
    """Writes the list of a version's files, as they are now."""
    covered = digest_files(repository, version)
    manifest = list_files(repository, version, ENCODER_MODELS, covered, warmup_from=[repository])
    path = repository / "product_encoder" / str(version) / RECORD
    path.write_text(json.dumps(asdict(manifest), indent=2), "utf-8")


def contract(version: int) -> dict[str, object]:
    """Returns a contract document as `export` stamps it."""
    return {
        "contract_version": 3,
        "encoder_version": version,
        "digest": _digest(version),
        "image_dim": EMBEDDING_DIM,
        "text_dim": EMBEDDING_DIM,
        "embedding_dim": 2 * EMBEDDING_DIM,
        "fusion_weight": FUSION_WEIGHT,
        "max_batch_size": 32,
        "preprocessing": json.loads(SETTINGS.to_json()),
        "match_probability": MATCH_PROBABILITY,
    }


def _exact_config(path: Path, version: int) -> model_config_pb2.ModelConfig:
    config = text_format.Parse(path.read_text("utf-8"), model_config_pb2.ModelConfig())
    config.version_policy.specific.versions.append(version)
    side = SETTINGS.image_size_px
    inputs = [tensor for warmup in config.model_warmup for tensor in warmup.inputs.items()]
    for name, tensor in [*((t.name, t) for t in (*config.input, *config.output)), *inputs]:
        if name == "PIXELS":
            tensor.dims[:] = [3, side, side]
    for warmup in config.model_warmup:
        for name in ("INPUT_IDS", "ATTENTION_MASK"):
            if name in warmup.inputs:
                warmup.inputs[name].dims[:] = [SETTINGS.token_buckets[0]]
    for step in config.ensemble_scheduling.step:
        step.model_version = version
    if config.name in ENSEMBLES:
        document = json.dumps(contract(version))
        config.parameters["twinshelf_contract"].string_value = document
    return config


@cache
def _digest(version: int) -> str:
    """Files of equal versions are equal in every repository, and so are their digests."""
    with tempfile.TemporaryDirectory() as folder:
        _write_what_embeds(Path(folder), version)
        return covered_digest(Path(folder), digest_files(Path(folder), version))


def _write_what_embeds(repository: Path, version: int) -> Path:
    """Writes the files that the digest covers, and the thin models; returns the tokenizer's."""
    for model in PREPROCESSING_MODELS:
        folder = repository / model / str(version)
        shutil.copytree(
            PROJECT / "training" / "preprocessing",
            folder / "preprocessing",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        shutil.copy(COMMITTED / model / "model.py", folder)
        (folder / "settings.json").write_text(SETTINGS.to_json(), "utf-8")
    path = repository / "text_preprocess" / str(version) / "tokenizer.json"
    _word_tokenizer().save(str(path))
    vocabulary_size = Tokenizer.from_file(str(path)).get_vocab_size()
    graphs = {
        name: repository / name / str(version) / "model.onnx"
        for name in ("image_tower", "text_tower", "fusion")
    }
    save_image_tower(graphs["image_tower"], SETTINGS.image_size_px, seed=version)
    save_text_tower(graphs["text_tower"], vocabulary_size, seed=100 + version)
    save_fusion(graphs["fusion"], FUSION_WEIGHT)
    return path


def _word_tokenizer() -> Tokenizer:
    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer
