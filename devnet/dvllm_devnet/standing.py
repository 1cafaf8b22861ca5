"""What a worker still has to do before it can be started: decided from what the chain says."""

from dataclasses import dataclass

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.ids import Address, ModelId, Wei
from decentralized_vllm.protocol.units import format_tokens
from dvllm_devnet.worker_setup import WorkerPlan

Arguments = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """`endpoint` is None for a node that is not registered."""

    endpoint: str | None
    stake_wei: Wei

    def missing_stake_wei(self, plan: WorkerPlan) -> Wei:
        return Wei(max(0, plan.stake_wei - self.stake_wei))


async def read_standing(network: Network, operator: Address) -> Standing:
    registered = await network.node_registry.node(operator)
    return Standing(
        endpoint=registered.profile.endpoint if registered.is_registered else None,
        stake_wei=(await network.coordinator.node(operator)).stake_wei,
    )


async def is_on_duty(network: Network, operator: Address) -> bool:
    """Whether leases can be drawn for the node: it set its slots when its engine was up."""
    node = await network.coordinator.node(operator)
    return node.slots > 0 and not node.is_suspended


async def has_joined(network: Network, operator: Address, model_id: str) -> bool:
    """Whether the node is in the list of the model's current version. Raises UnknownModel."""
    version = await network.coordinator.current_version(ModelId(model_id))
    return version.current in await network.coordinator.joined_versions(operator)


def commands_to_enlist(standing: Standing, plan: WorkerPlan) -> list[Arguments]:
    """Arguments of `worker`, in the order in which they work; these need no model yet."""
    commands: list[Arguments] = []
    if standing.endpoint != plan.url:
        commands.append(("register",))
    missing_wei = standing.missing_stake_wei(plan)
    if missing_wei:
        commands.append(("stake", format_tokens(missing_wei)))
    return commands
