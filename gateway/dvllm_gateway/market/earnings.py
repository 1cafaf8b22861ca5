"""What a node has earned, as the chain tells: what has matured, and what has not yet."""

from typing import Any, Protocol

from decentralized_vllm.chain.blocks import header_request, latest_header
from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.log_decoder import decode_log
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.events import EarningsMatured
from decentralized_vllm.protocol.ids import Address, BlockNumber, Wei
from dvllm_gateway.market.failures import as_gateway_errors

SETTLED_AFTER_BLOCKS = 64
SMALLEST_SPAN_BLOCKS = 1_000


class OperatorOf(Protocol):
    async def operator(self) -> Address:
        """Who a node works for. Raises NetworkUnavailable."""


class NodeEarnings:
    """The port EarningsSource. Reads the chain from its beginning once for each process, in spans
    as long as the endpoint takes; blocks that may still change are read again each time."""

    def __init__(self, network: Network, node: OperatorOf) -> None:
        self._network = network
        self._node = node
        self._operator: Address | None = None
        self._next = BlockNumber(0)
        self._settled_wei = 0
        self._span_blocks: int | None = None

    async def total_wei(self) -> Wei:
        operator = await self._node.operator()
        if operator != self._operator:
            self._operator, self._next, self._settled_wei = operator, BlockNumber(0), 0
        with as_gateway_errors():
            method, parameters = header_request()
            head = latest_header(await self._network.rpc.call(method, *parameters)).number
            await self._settle(operator, max(-1, head - SETTLED_AFTER_BLOCKS))
            fresh_wei = await self._matured_wei(operator, self._next, head)
            account = await self._network.coordinator.node(operator, block=head)
        return Wei(self._settled_wei + fresh_wei + account.pending_earnings_wei)

    async def _settle(self, operator: Address, last: int) -> None:
        while self._next <= last:
            until = min(last, self._next + (self._span_blocks or last + 1) - 1)
            try:
                self._settled_wei += await self._matured_wei(operator, self._next, until)
            except RpcError:  # too many blocks at once, in a dozen spellings
                n_blocks = until - self._next + 1
                if n_blocks <= SMALLEST_SPAN_BLOCKS:
                    raise
                self._span_blocks = n_blocks // 2
            else:
                self._next = BlockNumber(until + 1)

    async def _matured_wei(self, operator: Address, first: int, last: int) -> int:
        topic = contract_abi("InferenceCoordinator").events["EarningsMatured"].topic
        query = {
            "address": self._network.coordinator.address,
            "topics": [topic, f"0x{int(operator, 16):064x}"],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        logs: Any = await self._network.rpc.call("eth_getLogs", query)
        events = (decode_log(entry) for entry in logs)
        return sum(e.amount_wei + e.fee_wei for e in events if isinstance(e, EarningsMatured))
