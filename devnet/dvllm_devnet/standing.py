"""What a worker still has to do before it can be started: decided from what the chain says."""

from dataclasses import dataclass

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import UnknownModel
from decentralized_vllm.protocol.ids import Address, ModelId, Wei
from decentralized_vllm.protocol.units import format_tokens
from dvllm_devnet.worker_setup import WorkerPlan

Arguments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """`endpoint` is None for a node that is not registered."""

    endpoint: str | None
    stake_wei: Wei
    serves: bool

    def missing_stake_wei(self, plan: WorkerPlan) -> Wei:
        return Wei(max(0, plan.stake_wei - self.stake_wei))


async def read_standing(network: Network, operator: Address, model_id: str) -> Standing:
    registered = await network.node_registry.node(operator)
    return Standing(
        endpoint=registered.profile.endpoint if registered.is_registered else None,
        stake_wei=(await network.coordinator.node(operator)).stake_wei,
        serves=await _serves(network, operator, ModelId(model_id)),
    )


async def is_on_duty(network: Network, operator: Address) -> bool:
    """Whether leases can be drawn for the node: it set its slots when its engine was up."""
    node = await network.coordinator.node(operator)
    return node.slots > 0 and not node.is_suspended


async def _serves(network: Network, operator: Address, model_id: ModelId) -> bool:
    try:
        version = await network.coordinator.current_version(model_id)
    except UnknownModel:
        return False
    return version.current in await network.coordinator.joined_versions(operator)


def commands_to_run(standing: Standing, plan: WorkerPlan, model_id: str) -> list[Arguments]:
    """Arguments of `worker`, in the order in which they work."""
    commands: list[Arguments] = []
    # Registering anew also gives back the slots that a stopped worker set to 0: without any, no
    # version can be joined.
    if standing.endpoint != plan.url or not standing.serves:
        commands.append(("register",))
    missing_wei = standing.missing_stake_wei(plan)
    if missing_wei:
        commands.append(("stake", format_tokens(missing_wei)))
    if missing_wei or not standing.serves:
        commands.append(("serve-model", model_id))
    return commands
