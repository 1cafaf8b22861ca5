"""Everything about one deployment, found and checked from the coordinator's address alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from decentralized_vllm.chain.blocks import header_request, latest_header
from decentralized_vllm.chain.contracts.coordinator import Coordinator
from decentralized_vllm.chain.contracts.coordinator_calls import NodeCalls, RequesterCalls
from decentralized_vllm.chain.contracts.model_registry import ModelRegistry
from decentralized_vllm.chain.contracts.node_registry import NodeRegistry
from decentralized_vllm.chain.contracts.token import Token
from decentralized_vllm.chain.heads import HeadHints
from decentralized_vllm.chain.identity import ChainIdentity, chain_identity
from decentralized_vllm.chain.job_chain import RpcJobChain
from decentralized_vllm.chain.job_history import JobHistory
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.verification import checked_address, verify_coordinator
from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.nodes import Clocks


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """`chain_id` None accepts what the first endpoint serves.

    `first_block` is the deployment's: searches for old events end there.
    """

    eth_node_url: tuple[str, ...]
    contract_address: str
    ws_url: str | None = None
    chain_id: int | None = None
    rpc_timeout_s: float = 10.0
    first_block: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A verified deployment. Whoever connects runs `hints.run()` in a task, or lives by polling."""

    identity: ChainIdentity
    rpc: Rpc
    hints: HeadHints
    coordinator: Coordinator
    token: Token
    model_registry: ModelRegistry
    node_registry: NodeRegistry
    clocks: Clocks
    jobs: RpcJobChain
    requester_calls: RequesterCalls
    node_calls: NodeCalls


@asynccontextmanager
async def connect(settings: ChainSettings) -> AsyncIterator[Network]:
    """Raises ChainUnavailable, WrongChain, NoContract, AbiMismatch and other SettingErrors."""
    address = checked_address("contract_address", settings.contract_address)
    urls = settings.eth_node_url
    async with Rpc(urls, chain_id=settings.chain_id, timeout_s=settings.rpc_timeout_s) as rpc:
        await verify_coordinator(rpc, address)
        await _check_first_block(rpc, settings.first_block)
        yield await _network(rpc, address, settings)


async def _check_first_block(rpc: Rpc, first_block: int) -> None:
    """What shows the contract has its block: above the head, no search would find anything."""
    if first_block <= 0:
        return
    head = latest_header((await rpc.batch([header_request()]))[0]).number
    if first_block > head:
        raise SettingError(
            "first_block",
            f"{first_block} is above the chain's latest block, {head}",
            hint="the block in which the contract was deployed, or 0",
        )


async def _network(rpc: Rpc, address: Address, settings: ChainSettings) -> Network:
    coordinator = Coordinator(rpc, address)
    history = JobHistory(rpc, address, settings.first_block)
    return Network(
        identity=await chain_identity(rpc),
        rpc=rpc,
        hints=HeadHints(settings.ws_url),
        coordinator=coordinator,
        token=Token(rpc, await coordinator.token()),
        model_registry=ModelRegistry(rpc, await coordinator.model_registry()),
        node_registry=NodeRegistry(rpc, await coordinator.node_registry()),
        clocks=await coordinator.clocks(),
        jobs=RpcJobChain(rpc, coordinator, history),
        requester_calls=RequesterCalls(address),
        node_calls=NodeCalls(address),
    )
