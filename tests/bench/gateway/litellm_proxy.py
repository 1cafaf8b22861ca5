"""LiteLLM's proxy before the null server, each a process of its own: the control."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil

from tests.bench.market import ROOT
from tests.support.ports import free_port

PROGRAM = ROOT / ".venv-clients" / "bin" / "litellm"
KEY = "sk-bench"
PATIENCE_S = 120.0

_CONFIG = """\
model_list:
  - model_name: tiny
    litellm_params:
      model: openai/tiny
      api_base: http://127.0.0.1:{port}/v1
      api_key: none
general_settings:
  master_key: {key}
"""


class NotInstalled(Exception):
    """LiteLLM is not there."""


@asynccontextmanager
async def litellm_proxy(folder: Path) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Its URL and process. Raises NotInstalled."""
    if not PROGRAM.exists():
        raise NotInstalled("LiteLLM is not there: run `make .venv-clients`")
    null_port, port = free_port(), free_port()
    config = folder / "litellm.yaml"
    config.write_text(_CONFIG.format(port=null_port, key=KEY))
    null = await _started(sys.executable, "-m", "tests.bench.gateway.null_server", str(null_port))
    proxy = await _started(
        *(str(PROGRAM), "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await _answers(f"{url}/health/liveliness", proxy)
        yield url, psutil.Process(proxy.pid)
    finally:
        for process in (proxy, null):
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def _started(*command: str) -> asyncio.subprocess.Process:
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "DO_NOT_TRACK": "1"}
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **offline},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _answers(url: str, process: asyncio.subprocess.Process) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"LiteLLM's proxy ended with {process.returncode}")
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.3)
