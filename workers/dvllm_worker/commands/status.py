"""`worker status`: the node on chain, and the running process if there is one."""

from typing import Any

from decentralized_vllm.chain.network import Network
from decentralized_vllm.process.commands import Result
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import format_tokens
from dvllm_worker.commands._running import status_of_process
from dvllm_worker.commands._shared import node_command
from dvllm_worker.onchain import node_address, open_network
from dvllm_worker.settings import WorkerSettings


def _say(result: Result) -> str:
    chain, process = result["chain"], result["process"]
    lines = [
        f"node       {result['node']}",
        f"registered {'yes' if chain['is_registered'] else 'no -> worker register'}",
        f"stake      {chain['stake']} ({chain['locked']} locked, {chain['cooling']} cooling)",
        f"slots      {chain['slots']}, {chain['in_flight']} in flight",
        f"earnings   {chain['pending']} pending, {chain['credit']} to withdraw",
        f"gas        {chain['gas']}",
        f"models     {', '.join(chain['models']) or 'none -> worker serve-model MODEL_ID'}",
    ]
    if chain["is_suspended"]:
        lines.append("suspended  after a no-show -> worker resume")
    if process is not None and process.get("paused_because"):
        lines.append(f"paused     {process['paused_because']}")
    running = "not running" if process is None else f"up for {process['uptime_s']} s"
    return "\n".join([*lines, f"process    {running}"])


@node_command(
    name="status",
    say=_say,
    help_text="""Show stake, duty, earnings and what the running worker does.

    \b
    Example:
      worker status --json
    """,
)
async def command(settings: WorkerSettings) -> Result:
    async with open_network(settings) as network:
        address = node_address(settings, network.identity.chain_id)
        return {
            "node": address,
            "chain": await _on_chain(network, address),
            "process": await status_of_process(settings.http, address),
        }


async def _on_chain(network: Network, address: Address) -> dict[str, Any]:
    coordinator = network.coordinator
    node = await coordinator.node(address)
    registered = await network.node_registry.node(address)
    versions = [
        await coordinator.version(number) for number in await coordinator.joined_versions(address)
    ]
    gas_wei = int(await network.rpc.call("eth_getBalance", address, "latest"), 16)
    return {
        "is_registered": registered.is_registered,
        "endpoint": registered.profile.endpoint,
        "is_suspended": node.is_suspended,
        "slots": node.slots,
        "in_flight": node.n_in_flight,
        "stake": format_tokens(node.stake_wei),
        "locked": format_tokens(node.locked_wei),
        "cooling": format_tokens(node.cooling_wei),
        "pending": format_tokens(node.pending_earnings_wei),
        "credit": format_tokens(await coordinator.credit(address)),
        "gas": format_tokens(gas_wei),
        "models": [f"{version.model_id} (version {version.number})" for version in versions],
    }
