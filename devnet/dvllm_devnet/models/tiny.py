"""A random Llama of a few megabytes: real files and real engines in tests, in seconds."""

from pathlib import Path
from typing import Literal

from dvllm_devnet.models.building import build_once, run_python

TINY_CONTEXT_TOKENS = 1024

TinyDtype = Literal["float32", "bfloat16"]


def tiny_model(cache: Path, *, dtype: TinyDtype = "float32", seed: int = 0) -> Path:
    """The model directory below `cache`, made at the first call.

    The same dtype and seed give the same bytes. In float32, greedy answers do not depend on what
    else is in the batch; other seeds are other models, with CIDs of their own.
    """

    def build(work: Path) -> None:
        maker = ["-m", "dvllm_devnet.models.make_tiny"]
        run_python([*maker, str(work), dtype, str(seed)], doing="making the tiny model")

    return build_once(cache / f"tiny-llama-{dtype}-{seed}", build)
