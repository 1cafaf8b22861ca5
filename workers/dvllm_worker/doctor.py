"""Looks at everything a node needs and says what to do about what is missing."""

import asyncio
from collections.abc import Awaitable

from decentralized_vllm.chain.identity import ChainIdentity, chain_identity
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.process.checks import Check, check_disk, refused_check
from decentralized_vllm.protocol.errors import DvllmError, SettingError
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.engines.doctor import check_server
from dvllm_worker.engines.doctor import examine as examine_engine
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.onchain import load_account, node_address, open_network
from dvllm_worker.outages import MIRROR
from dvllm_worker.settings import WorkerSettings
from dvllm_worker.sources import open_gateways


async def examine_all(settings: WorkerSettings) -> list[Check]:
    """Never raises for what it finds."""
    local = [check_disk(settings.data_dir), await check_content(settings)]
    if settings.content.mirror_api is not None:
        local.append(await check_mirror(settings.content.mirror_api))
    local.append(await _tried("engine", check_engine(settings.engine)))
    return [*local, *await _on_chain(settings)]


async def check_engine(settings: EngineSettings) -> Check:
    """Raises what the server of `engine.url` is not fit for."""
    advice = await asyncio.to_thread(examine_engine, settings)
    await check_server(settings)
    return Check("engine", advice.is_ready, f"{advice.engine}: {advice.why}", advice.steps)


async def check_mirror(api: str) -> Check:
    mirror = KuboStore(api, setting=MIRROR)
    try:
        answers = await mirror.answers()
    finally:
        await mirror.close()
    if answers:
        return Check("mirror", True, f"answers are copied to {api}")
    return Check("mirror", False, f"no answer from {api}", (f"start it, or unset {MIRROR}",))


async def check_content(settings: WorkerSettings) -> Check:
    """Asks every gateway: one that answers is enough, and the silent ones are named."""
    if not settings.content.gateways:
        mend = "set content.gateways: models, and prompts of requesters behind NAT, come from there"
        return Check("content", False, "no gateways", (mend,))
    async with open_gateways(settings) as gateways:
        answers = await asyncio.gather(*(source.answers() for source in gateways.sources))
        asked = [*zip(gateways.sources, answers, strict=True)]
    reads = [source.url for source, is_there in asked if is_there]
    silent = [source.url for source, is_there in asked if not is_there]
    found = [f"reads from {', '.join(reads)}"] if reads else []
    if silent:
        found.append(f"no answer from {', '.join(silent)}")
    mends = _mends_of_silence(settings) if silent else ()
    return Check("content", bool(reads), "; ".join(found), mends)


def _mends_of_silence(settings: WorkerSettings) -> tuple[str, ...]:
    mend = "start what is silent, or take it out of content.gateways"
    if settings.content.allow_private_addresses:
        return (mend,)
    return (mend, "for one on your own network: content.allow_private_addresses = true")


async def _on_chain(settings: WorkerSettings) -> list[Check]:
    try:
        async with open_network(settings) as network:
            found = f"chain {network.identity.chain_id}, contracts as expected"
            return [
                Check("chain", True, found),
                await _tried("key", _key(network.rpc, network.identity, settings)),
                await _tried("node", _node(network, settings)),
                await _tried("models", _models(network, settings)),
            ]
    except DvllmError as error:
        checks = [refused_check("chain", error)]
        if isinstance(error, SettingError) and error.setting.endswith("contract_address"):
            checks.append(await _tried("key", _key_alone(settings)))
        return checks


async def _tried(name: str, look: Awaitable[Check]) -> Check:
    try:
        return await look
    except DvllmError as error:
        return refused_check(name, error)


async def _key_alone(settings: WorkerSettings) -> Check:
    """Without the coordinator: its address is often what one waits for."""
    chain = settings.chain
    async with Rpc(chain.eth_node_url, chain_id=chain.chain_id) as rpc:
        return await _key(rpc, await chain_identity(rpc), settings)


async def _key(rpc: Rpc, chain: ChainIdentity, settings: WorkerSettings) -> Check:
    address = node_address(settings, chain.chain_id)
    if settings.key.passphrase_file is not None:  # does it open the key? Nobody is asked for one
        await asyncio.to_thread(load_account, settings, chain.chain_id)
    gas_wei = int(await rpc.call("eth_getBalance", address, "latest"), 16)
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
