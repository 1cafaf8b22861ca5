"""Which engine the local network's workers run, and with which interpreter."""

from pathlib import Path
from typing import Any

from decentralized_vllm.protocol.errors import MissingProgram
from dvllm_devnet.settings import EngineChoice
from dvllm_worker.engines.machine import Installed, look_at_interpreter

VLLM_PYTHON = Path(".venv-vllm/bin/python")


def engine_section(choice: EngineChoice, root: Path) -> dict[str, Any]:
    """The section [engine] of `worker.toml`. `root` is the checkout.

    `auto` leaves the choice to the worker, which is told of the checkout's vLLM if it is there;
    `null` is no model at all, for tests and benches.
    Raises MissingProgram when vLLM is asked for and there is none.
    """
    if choice == "transformers":
        return {"kind": choice, "threads": 1}
    if choice == "null":
        return {"kind": choice}
    python = root / VLLM_PYTHON
    if _has_vllm(python):
        return {"kind": "vllm", "python": str(python), "max_model_len": 2048}
    if choice == "vllm":
        raise MissingProgram(
            "--engine", f"there is no vLLM in {python}", hint="run `make demo ENGINE=vllm`"
        )
    return {"kind": choice}


def _has_vllm(python: Path) -> bool:
    installed: Installed | None = look_at_interpreter(python) if python.exists() else None
    return installed is not None and installed.vllm_version is not None
