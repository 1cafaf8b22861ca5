"""The model a local network serves: a directory that is built once and kept in the checkout."""

from collections.abc import Callable
from pathlib import Path

from dvllm_devnet.models.smollm2 import smollm2_model
from dvllm_devnet.models.tiny import tiny_model
from dvllm_devnet.settings import ModelSettings

MODEL_CACHE = Path(".cache/models")


def build_model(model: ModelSettings, root: Path, on_progress: Callable[[str], None]) -> Path:
    """Its directory below `root`, the checkout. Raises ModelBuildFailed and StorageFull."""
    cache = root / MODEL_CACHE
    if model.source == "tiny":
        return tiny_model(cache)
    return smollm2_model(cache, on_progress=on_progress)
