"""The doctor names the engine that suits a machine and the steps to it."""

from pathlib import Path

import pytest

from dvllm_worker.engines.doctor import (
    INSTALL_TRANSFORMERS,
    INSTALL_VLLM_CPU,
    Advice,
    advise,
)
from dvllm_worker.engines.machine import Installed, Machine
from dvllm_worker.engines.settings import EngineKind, EngineSettings

SMALL = Machine(n_cores=2, memory_gb=4, has_gpu=False)
LARGE = Machine(n_cores=16, memory_gb=64, has_gpu=False)
GPU = Machine(n_cores=16, memory_gb=64, has_gpu=True)
NOTHING = Installed()
TRANSFORMERS = Installed(torch="2.13.0", transformers="5.19.0")
VLLM = Installed(vllm="0.32.0", torch="2.13.0", transformers="5.19.0")
NAMED = EngineSettings(python=Path("env/bin/python"))


def test_advise__small_machine__transformers() -> None:
    advice = advise(SMALL, TRANSFORMERS, None, EngineSettings())
    assert (advice.engine, advice.is_ready) == ("transformers", True)
    assert "vLLM" not in advice.why


def test_advise__nothing_installed__told_what_to_install() -> None:
    advice = advise(SMALL, NOTHING, None, EngineSettings())
    assert advice.steps == ("pip install 'decentralized-vllm-worker[transformers]'",)


def test_advise__much_memory__vllm_on_cpu_mentioned() -> None:
    assert "vLLM on CPU" in advise(LARGE, TRANSFORMERS, None, EngineSettings()).why


def test_advise__gpu_without_vllm__vllm_with_steps() -> None:
    advice = advise(GPU, TRANSFORMERS, None, EngineSettings())
    assert advice.engine == "vllm"
    assert any("install" in step and "vllm" in step for step in advice.steps)


def test_advise__vllm_here__ready() -> None:
    assert advise(LARGE, VLLM, None, EngineSettings()) == Advice(
        "vllm", "vLLM is installed beside the worker: vLLM 0.32.0", ()
    )


def test_advise__url__ready() -> None:
    settings = EngineSettings(url="http://127.0.0.1:8000")
    advice = advise(SMALL, NOTHING, None, settings)
    assert (advice.engine, advice.is_ready) == ("vllm", True)


@pytest.mark.parametrize(
    ("kind", "machine", "here", "steps"),
    [
        ("transformers", GPU, TRANSFORMERS, ()),
        ("transformers", GPU, NOTHING, INSTALL_TRANSFORMERS),
        ("vllm", SMALL, TRANSFORMERS, INSTALL_VLLM_CPU),
        ("null", GPU, NOTHING, ()),
    ],
)
def test_advise__kind_is_set__is_held_to(
    kind: EngineKind, machine: Machine, here: Installed, steps: tuple[str, ...]
) -> None:
    advice = advise(machine, here, None, EngineSettings(kind=kind))
    assert (advice.engine, advice.steps) == (kind, steps)


@pytest.mark.parametrize(
    ("installed", "word"),
    [(None, "does not run"), (TRANSFORMERS, "make .venv-vllm"), (Installed(vllm="0.12"), "make")],
)
def test_advise__named_python_unusable__steps(installed: Installed | None, word: str) -> None:
    advice = advise(SMALL, TRANSFORMERS, installed, NAMED)
    assert advice.engine == "vllm"
    assert word in advice.steps[0]


def test_advise__named_python_with_vllm__ready() -> None:
    assert advise(SMALL, TRANSFORMERS, VLLM, NAMED).is_ready
