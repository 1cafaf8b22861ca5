"""The requests of one account, newest first, and what one transaction brought about."""

from collections.abc import AsyncIterator
from typing import Any

from decentralized_vllm.chain.blocks import header_request, latest_header
from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.job_history import FIRST_WINDOW_BLOCKS, WIDEST_WINDOW_BLOCKS
from decentralized_vllm.chain.log_decoder import RawLog, decode_log
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.events import ChainEvent, InferenceRequested
from decentralized_vllm.protocol.ids import Address, BlockNumber, TxHash


class RequestHistory:
    """Reads the coordinator's InferenceRequested events of `requester`. Raises ChainUnavailable."""

    def __init__(self, rpc: Rpc, coordinator: Address, requester: Address) -> None:
        self._rpc = rpc
        self._coordinator = coordinator
        self._requester = requester

    async def latest_block(self) -> BlockNumber:
        return latest_header((await self._rpc.batch([header_request()]))[0]).number

    async def between(self, first: int, last: int) -> list[InferenceRequested]:
        """In chain order; for short ranges, such as from one look to the next."""
        topic = contract_abi("InferenceCoordinator").events["InferenceRequested"].topic
        padded = f"0x{int(self._requester, 16):064x}"
        query: dict[str, Any] = {
            "address": self._coordinator,
            "topics": [topic, None, padded],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        logs: list[RawLog] = await self._rpc.call("eth_getLogs", query)
        events = (decode_log(entry) for entry in logs)
        return [event for event in events if isinstance(event, InferenceRequested)]

    async def newest_first(self, first_block: int) -> AsyncIterator[InferenceRequested]:
        """Searches backwards as far as it is iterated, at most to `first_block`."""
        last: int = await self.latest_block()
        window = FIRST_WINDOW_BLOCKS
        while last >= first_block:
            first = max(first_block, last - window + 1)
            try:
                found = await self.between(first, last)
            except RpcError:
                if first == last:
                    raise
                window = max(1, window // 2)
                continue
            for event in reversed(found):
                yield event
            last = first - 1
            window = min(window * 2, WIDEST_WINDOW_BLOCKS)


async def transaction_events(
    rpc: Rpc, coordinator: Address, tx_hash: TxHash
) -> tuple[ChainEvent, ...]:
    """The coordinator's events of a mined transaction. Raises ChainUnavailable."""
    receipt = await rpc.call("eth_getTransactionReceipt", tx_hash)
    if receipt is None:
        raise ChainUnavailable(f"the RPC endpoint does not know transaction {tx_hash} yet")
    ours = (e for e in receipt["logs"] if e["address"].lower() == coordinator.lower())
    events = (decode_log(entry) for entry in ours)
    return tuple(event for event in events if event is not None)
