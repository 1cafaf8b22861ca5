"""F28 and F45 for the outbox: kill -9 at any point, and two processes with one key."""

import subprocess
import sys
from pathlib import Path

import pytest

from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.protocol.errors import KeyInUse
from tests.support.anvil import Anvil
from tests.support.local_network import REQUESTER, connected, sending

ROOT = Path(__file__).parents[3]
N_PROMPTS = 30


def sender_process(anvil: Anvil, deployment: Deployment, folder: Path) -> subprocess.Popen[str]:
    arguments = [anvil.url, deployment.coordinator.address, str(folder), str(N_PROMPTS)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.sender_process", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("automine", [True, False])
async def test_outbox__killed_again_and_again__each_prompt_mined_exactly_once(
    anvil: Anvil, deployment: Deployment, tmp_path: Path, automine: bool
) -> None:
    """Without mining, nothing is on the chain yet when the process dies."""
    anvil.call("evm_setAutomine", automine)
    for n_lines in (1, 4, 9):
        with sender_process(anvil, deployment, tmp_path) as process:
            assert process.stdout is not None
            for _ in range(n_lines):
                process.stdout.readline()
            process.kill()
    anvil.call("evm_setAutomine", True)
    with sender_process(anvil, deployment, tmp_path) as process:
        output, _ = process.communicate(timeout=60)
    assert output.endswith("done\n")
    async with connected(deployment, anvil.url) as network:
        assert await network.coordinator.job_count() == N_PROMPTS


async def test_enter__another_process_sends_with_the_key__key_in_use(
    anvil: Anvil, deployment: Deployment, tmp_path: Path
) -> None:
    anvil.call("evm_setAutomine", False)
    with sender_process(anvil, deployment, tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            async with connected(deployment, anvil.url) as network:
                with pytest.raises(KeyInUse, match="private_key"):
                    async with sending(network, REQUESTER, tmp_path):
                        pass
        finally:
            process.kill()
