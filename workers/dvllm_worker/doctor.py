"""Looks at everything a node needs and says what to do about what is missing."""

import asyncio
from collections.abc import Awaitable, Callable

from decentralized_vllm.chain.network import Network
from decentralized_vllm.process.checks import Check, check_disk, refused_check
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.engines.doctor import examine as examine_engine
from dvllm_worker.onchain import load_account, node_address, open_network
from dvllm_worker.settings import WorkerSettings


async def examine_all(settings: WorkerSettings) -> list[Check]:
    """Never raises for what it finds."""
    advice = await asyncio.to_thread(examine_engine, settings.engine)
    engine = Check("engine", advice.is_ready, f"{advice.engine}: {advice.why}", advice.steps)
    local = [check_disk(settings.data_dir), check_content(settings), engine]
    return [*local, *await _on_chain(settings)]


def check_content(settings: WorkerSettings) -> Check:
    gateways = settings.content.gateways
    if gateways:
        return Check("content", True, f"reads from {', '.join(gateways)}")
    mend = "set content.gateways: models, and prompts of requesters behind NAT, come from there"
    return Check("content", False, "no gateways", (mend,))


async def _on_chain(settings: WorkerSettings) -> list[Check]:
    try:
        async with open_network(settings) as network:
            found = f"chain {network.identity.chain_id}, contracts as expected"
            checks = [Check("chain", True, found)]
            for name, look in (("key", _key), ("node", _node), ("models", _models)):
                checks.append(await _tried(name, look, network, settings))
            return checks
    except DvllmError as error:
        return [refused_check("chain", error)]


Look = Callable[[Network, WorkerSettings], Awaitable[Check]]


async def _tried(name: str, look: Look, network: Network, settings: WorkerSettings) -> Check:
    try:
        return await look(network, settings)
    except DvllmError as error:
        return refused_check(name, error)


async def _key(network: Network, settings: WorkerSettings) -> Check:
    address = node_address(settings, network.identity.chain_id)
    if settings.key.passphrase_file is not None:  # does it open the key? Nobody is asked for one
        await asyncio.to_thread(load_account, settings, network.identity.chain_id)
    gas_wei = int(await network.rpc.call("eth_getBalance", address, "latest"), 16)
    finding = f"{address} has {format_tokens(gas_wei)} for gas"
    mends = () if gas_wei else ("send it some of the chain's own coin",)
    return Check("key", gas_wei > 0, finding, mends)


async def _node(network: Network, settings: WorkerSettings) -> Check:
    address = node_address(settings, network.identity.chain_id)
    registered = await network.node_registry.node(address)
    node = await network.coordinator.node(address)
    unit_wei = await network.coordinator.stake_unit()
    mends = []
    if not registered.is_registered:
        mends.append("worker register")
    if node.stake_wei < unit_wei:
        mends.append(f"worker stake {format_tokens(unit_wei - node.stake_wei)}")
    if node.is_suspended:
        mends.append("worker resume")
    finding = f"stake {format_tokens(node.stake_wei)}, {node.slots} slots on chain"
    return Check("node", not mends, finding, tuple(mends))


async def _models(network: Network, settings: WorkerSettings) -> Check:
    address = node_address(settings, network.identity.chain_id)
    joined = await network.coordinator.joined_versions(address)
    names = [(await network.coordinator.version(number)).model_id for number in joined]
    if names:
        return Check("models", True, f"serves {', '.join(names)}")
    return Check("models", False, "serves none", ("worker serve-model MODEL_ID",))
