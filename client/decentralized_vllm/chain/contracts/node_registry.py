"""NodeProfileRegistry: who the nodes are, as typed reads, and the calls of their operators."""

from collections.abc import Sequence
from typing import Any

from eth_utils.address import to_checksum_address

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.contracts.reader import ContractReader
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.nodes import NodeProfile, RegisteredNode
from decentralized_vllm.protocol.transactions import Call

PAGE_SIZE = 100

PROFILE_TYPE = "(string,bytes,string,address,uint16)"


class NodeRegistry:
    """Raises ChainUnavailable and AbiMismatch."""

    def __init__(self, rpc: Rpc, address: Address) -> None:
        self.address = address
        self._contract = ContractReader(rpc, contract_abi("NodeProfileRegistry"), address)

    async def node(self, operator: Address) -> RegisteredNode:
        """`is_registered` is False for an operator the registry does not know."""
        return (await self.nodes_of([operator]))[0]

    async def nodes_of(self, operators: Sequence[Address]) -> list[RegisteredNode]:
        """One round trip; see `node`."""
        reads = [("getNode(address)", [operator]) for operator in operators]
        answers = await self._contract.read_many(reads)
        pairs = zip(operators, answers, strict=True)
        return [_registered_node(operator, answer[0]) for operator, answer in pairs]

    async def nodes(self) -> list[RegisteredNode]:
        """All nodes in the order of registration, page by page."""
        found: list[RegisteredNode] = []
        while True:
            operators, infos = await self._contract.read(
                "nodes(uint256,uint256)", len(found), PAGE_SIZE
            )
            found += [_registered_node(*pair) for pair in zip(operators, infos, strict=True)]
            if len(operators) < PAGE_SIZE:
                return found

    async def node_count(self) -> int:
        return int((await self._contract.read("nodeCount()"))[0])

    def register_node(self, profile: NodeProfile) -> Call:
        return self._with_profile("registerNode", profile, label="register node")

    def update_profile(self, profile: NodeProfile) -> Call:
        """Everything but the payout address, which stays."""
        return self._with_profile("updateProfile", profile, label="update node profile")

    def set_slots(self, slots: int) -> Call:
        return self._contract.call("setSlots(uint16)", slots, label=f"set slots to {slots}")

    def deregister_node(self) -> Call:
        return self._contract.call("deregisterNode()", label="deregister node")

    def _with_profile(self, function: str, profile: NodeProfile, *, label: str) -> Call:
        return self._contract.call(
            f"{function}(uint256,uint256,uint256,{PROFILE_TYPE})",
            profile.max_ram_mib,
            profile.max_vram_mib,
            profile.max_cpu_percent,
            (
                profile.endpoint,
                profile.encryption_key,
                profile.region,
                profile.payout,
                profile.slots,
            ),
            label=label,
        )


def _registered_node(operator: str, fields: tuple[Any, ...]) -> RegisteredNode:
    max_ram_mib, max_vram_mib, max_cpu_percent, profile, registered_at_s, is_registered = fields
    endpoint, encryption_key, region, payout, slots = profile
    return RegisteredNode(
        operator=Address(operator),
        profile=NodeProfile(
            max_ram_mib=max_ram_mib,
            max_vram_mib=max_vram_mib,
            max_cpu_percent=max_cpu_percent,
            endpoint=endpoint,
            encryption_key=encryption_key,
            region=region,
            payout=Address(to_checksum_address(payout)),
            slots=slots,
        ),
        registered_at_s=registered_at_s,
        is_registered=is_registered,
    )
