"""One look at head, fees and the nonces of a sender."""

import asyncio
from typing import Any

from decentralized_vllm.chain.blocks import header_request, latest_header
from decentralized_vllm.chain.confirmation import View
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.ids import Address


async def read_view(rpc: Rpc, sender: Address) -> View:
    """One round trip. Raises ChainUnavailable."""
    block, nonce, pending_nonce, tip = await rpc.batch(
        [
            header_request(),
            ("eth_getTransactionCount", [sender, "latest"]),
            ("eth_getTransactionCount", [sender, "pending"]),
            ("eth_maxPriorityFeePerGas", []),
        ]
    )
    head = latest_header(block)
    if isinstance(nonce, RpcError):
        raise nonce
    return View(
        block_number=head.number,
        block_time_s=head.timestamp_s,
        base_fee_wei=head.base_fee_wei,
        # Not every node answers these two; without them our own bounds and the outbox do.
        tip_wei=_tip_wei(tip),
        nonce=int(nonce, 16),
        pending_nonce=int(nonce if isinstance(pending_nonce, RpcError) else pending_nonce, 16),
        seen_at_s=asyncio.get_running_loop().time(),
    )


def _tip_wei(answer: Any) -> int:
    try:
        return int(answer, 16)
    except (TypeError, ValueError):
        return 0
