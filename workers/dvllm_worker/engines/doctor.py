"""Says which engine suits this machine and what is missing for it; part of `worker doctor`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dvllm_worker.engines.machine import (
    Installed,
    Machine,
    look_at_interpreter,
    look_at_machine,
)
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.vllm_acquaintance import wait_until_well
from dvllm_worker.engines.vllm_api import VllmApi
from dvllm_worker.engines.vllm_command import is_safe_version

# A vLLM server on CPU with a small model and 1 GB of KV cache was seen to take 3.6 GB.
VLLM_CPU_MEMORY_GB = 8.0
SERVER_TIMEOUT_S = 10.0

INSTALL_TRANSFORMERS = ("pip install 'decentralized-vllm-worker[transformers]'",)
INSTALL_VLLM_GPU = (
    "python3 -m venv ~/vllm-env",
    "~/vllm-env/bin/pip install 'vllm>=0.14'",
    'set engine.python = "~/vllm-env/bin/python" (as a full path) in worker.toml',
)
INSTALL_VLLM_CPU = (
    "make .venv-vllm",
    'set engine.python = ".venv-vllm/bin/python" (as a full path) in worker.toml',
)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to run the model with; `steps` are what is still to be done for it, in order."""

    engine: Literal["vllm", "transformers", "null"]
    why: str
    steps: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        return not self.steps


def advise(
    machine: Machine, here: Installed, at_python: Installed | None, settings: EngineSettings
) -> Advice:
    """Pure. `here` is the worker's own environment, `at_python` the one of `engine.python`."""
    if settings.kind == "null":
        return Advice("null", "engine.kind is set: it echoes, on local chains only", ())
    if settings.kind == "transformers":
        return Advice("transformers", "engine.kind is set", _transformers_steps(here))
    if settings.url is not None:
        return Advice("vllm", f"engine.url names a server: {settings.url}", ())
    if settings.python is not None:
        return _about_named_python(machine, at_python, settings.python)
    if here.vllm_version is not None:
        return _about_vllm("vLLM is installed beside the worker", here.vllm_version, machine)
    if settings.kind == "vllm":
        return Advice("vllm", "engine.kind is set, and no vLLM is found", _install(machine))
    if machine.has_gpu:
        return Advice("vllm", "there is a GPU", INSTALL_VLLM_GPU)
    return _without_gpu(machine, here)


def examine(settings: EngineSettings) -> Advice:
    """The advice for this very machine; takes up to a second."""
    here = look_at_interpreter(Path(sys.executable)) or Installed()
    at_python = look_at_interpreter(settings.python) if settings.python else None
    return advise(look_at_machine(), here, at_python, settings)


async def check_server(settings: EngineSettings) -> None:
    """Raises EngineUnavailable and SettingError for one of `engine.url` that could not be used."""
    if settings.url is None or settings.kind in ("null", "transformers"):
        return
    key = settings.api_key
    api = VllmApi(
        settings.url,
        model=settings.served_model or "",
        api_key=key.get_secret_value() if key else None,
        read_timeout_s=SERVER_TIMEOUT_S,
    )
    try:
        await wait_until_well(api, None)
        if settings.served_model is not None:
            await api.check_model()
    finally:
        await api.close()


def _about_named_python(machine: Machine, installed: Installed | None, python: Path) -> Advice:
    if installed is None:
        return Advice("vllm", "engine.python is set", (f"{python} does not run: mend its path",))
    if installed.vllm_version is None:
        return Advice("vllm", f"engine.python is set, but {python} has no vLLM", _install(machine))
    return _about_vllm(f"engine.python has it ({python})", installed.vllm_version, machine)


def _about_vllm(why: str, version: str, machine: Machine) -> Advice:
    if is_safe_version(version):
        return Advice("vllm", f"{why}: vLLM {version}", ())
    return Advice("vllm", f"{why}, but vLLM {version} is too old to be safe", _install(machine))


def _install(machine: Machine) -> tuple[str, ...]:
    return INSTALL_VLLM_GPU if machine.has_gpu else INSTALL_VLLM_CPU


def _without_gpu(machine: Machine, here: Installed) -> Advice:
    why = f"no GPU, {machine.n_cores} cores, {machine.memory_gb:.0f} GB of memory"
    if machine.memory_gb >= VLLM_CPU_MEMORY_GB:
        why += "; vLLM on CPU would serve more requests at once (make .venv-vllm)"
    return Advice("transformers", why, _transformers_steps(here))


def _transformers_steps(here: Installed) -> tuple[str, ...]:
    is_installed = here.torch is not None and here.transformers is not None
    return () if is_installed else INSTALL_TRANSFORMERS
