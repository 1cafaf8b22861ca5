"""The local chain: anvil, a block a second, its state saved."""

import functools
import signal
from pathlib import Path

from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.errors import ChainUnavailable
from dvllm_devnet.accounts import GATEWAY_INDEX, MNEMONIC
from dvllm_devnet.layout import Layout
from dvllm_devnet.processes import ChildProcess, Command, wait_until_ready
from dvllm_devnet.settings import ChainSettings

_READY_TIMEOUT_S = 20.0
_MAX_ACCOUNTS = GATEWAY_INDEX + 1  # those of the largest network


def anvil_command(anvil: Path, settings: ChainSettings, layout: Layout) -> Command:
    argv = (
        str(anvil),
        *("--host", "127.0.0.1"),
        *("--port", str(settings.port)),
        *("--chain-id", str(settings.chain_id)),
        *("--block-time", str(settings.block_time_s)),
        *("--mnemonic", MNEMONIC),
        *("--accounts", str(_MAX_ACCOUNTS)),
        *("--state", str(layout.chain_state)),
        *("--state-interval", str(settings.save_interval_s)),
        "--silent",
    )
    # SIGTERM also when this process dies: anvil then saves its last blocks before it ends.
    return Command("chain", argv, death_signal=signal.SIGTERM)


async def start_chain(anvil: Path, settings: ChainSettings, layout: Layout) -> ChildProcess:
    """Returns when it answers. Raises ProcessFailed; whoever calls ends what is returned."""
    # Without the folder anvil saves nothing, and says nothing.
    layout.chain_state.parent.mkdir(parents=True, exist_ok=True)
    child = await ChildProcess.start(anvil_command(anvil, settings, layout), layout.logs)
    rpc_url = f"http://127.0.0.1:{settings.port}"
    try:
        probe = functools.partial(answers_with, rpc_url, settings.chain_id)
        await wait_until_ready(child, probe, _READY_TIMEOUT_S)
    except BaseException:
        await child.stop()
        raise
    return child


async def answers_with(rpc_url: str, chain_id: int) -> bool:
    """Whether the chain answers. Raises WrongChain when another one does."""
    try:
        async with Rpc([rpc_url], chain_id=chain_id, attempts=1):
            return True
    except ChainUnavailable:
        return False
