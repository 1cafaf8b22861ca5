"""Which engine the local network's workers run, and with which interpreter."""

import sys
from pathlib import Path
from typing import Any

from decentralized_vllm.protocol.errors import MissingProgram
from dvllm_devnet.settings import EngineChoice
from dvllm_worker.engines.machine import look_at_interpreter

VLLM_PYTHON = Path(".venv-vllm/bin/python")


def engine_section(choice: EngineChoice, root: Path) -> dict[str, Any]:
    """The section [engine] of `worker.toml`. `root` is the checkout.

    `auto` is vLLM where it is installed, else transformers; `null` is no model at all, for tests
    and benches. Raises MissingProgram when vLLM is asked for and there is none.
    """
    if choice == "null":
        return {"kind": "null"}
    if choice in ("auto", "vllm"):
        for python in (root / VLLM_PYTHON, Path(sys.executable)):
            if _has_vllm(python):
                return {"kind": "vllm", "python": str(python)}
    if choice == "vllm":
        raise MissingProgram(
            "--engine",
            f"there is no vLLM in {root / VLLM_PYTHON}",
            hint="`make demo ENGINE=vllm` installs it",
        )
    return {"kind": "transformers", "threads": 1}


def _has_vllm(python: Path) -> bool:
    installed = look_at_interpreter(python) if python.exists() else None
    return installed is not None and installed.vllm_version is not None
