"""`dvllm` as a process, with all that it is told in its environment."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.client_market import Market

DVLLM = (sys.executable, "-c", "from decentralized_vllm.cli import main; main()")


def dvllm_environment(market: Market, folder: Path) -> dict[str, str]:
    settings = market.settings()
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return {
        **kept,
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "DVLLM_CLIENT__ETH_NODE_URL": str(settings.eth_node_url),
        "DVLLM_CLIENT__CONTRACT_ADDRESS": settings.contract_address,
        "DVLLM_CLIENT__PRIVATE_KEY": str(settings.private_key),
        "DVLLM_CLIENT__IPFS_HOST": "127.0.0.1",
        "DVLLM_CLIENT__IPFS_PORT": str(settings.ipfs_port),
        "DVLLM_CLIENT__DATA_DIR": str(folder / "data"),
        "DVLLM_CLIENT__POLL_S": "0.1",
    }


async def run_dvllm(
    environment: Mapping[str, str],
    *arguments: str,
    stdin: bytes = b"",
    cwd: Path | None = None,
    **changes: str,
) -> tuple[int | None, str, str]:
    """One command, to its end: (exit code, standard output, standard error)."""
    process = await asyncio.create_subprocess_exec(
        *DVLLM,
        *arguments,
        env={**environment, **changes},
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), timeout=90)
    return process.returncode, out.decode(), err.decode()
