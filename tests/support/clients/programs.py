"""Runs other people's clients in their own environments, and reads what they tell."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
CLIENTS = ROOT / ".venv-clients" / "bin"
LM_EVAL = ROOT / ".venv-lm-eval" / "bin"

# Nothing is fetched from a hub, and nobody is told.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "127.0.0.1,localhost",
}


def installed(program: Path, target: str) -> Path:
    """Skips the test, saying how to install, where the program is not."""
    if not program.exists():
        pytest.skip(f"{program.parent.parent.name} is not there: run `make {target}`")
    return program


async def told_by_python(script: str, *arguments: str) -> Any:
    python = installed(CLIENTS / "python", ".venv-clients")
    return json.loads((await run(str(python), str(HERE / script), *arguments)).splitlines()[-1])


async def told_by_node(script: str, *arguments: str) -> Any:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not there")
    return json.loads(await run(node, str(HERE / script), *arguments))


async def run(*command: str, cwd: Path = ROOT, timeout_s: float = 240, **env: str) -> str:
    """What it wrote to its standard output. Fails with all it said when it ends badly."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, **OFFLINE, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    text = out.decode()
    assert process.returncode == 0, f"{command[:2]}: {text}\n{err.decode()}"
    return text
