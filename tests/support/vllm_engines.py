"""The vLLM engine on a server that runs elsewhere, quick to give up and to try again."""

from pathlib import Path
from typing import Any

from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.supervisor import Backoff
from dvllm_worker.engines.vllm_engine import VllmEngine
from tests.support.fake_vllm import FakeVllm


def engine_of(server: FakeVllm, **settings: Any) -> VllmEngine:
    chosen = EngineSettings.model_validate({"url": server.url, "token_timeout_s": 1, **settings})
    return VllmEngine(chosen, Path("unused"), "m", backoff=Backoff(first_s=0.01))
