"""Would this call succeed now, and how much gas does it need? Asked before anything is signed."""

import asyncio

from decentralized_vllm.chain.contracts.reader import hex_data
from decentralized_vllm.chain.reverts import revert_error
from decentralized_vllm.chain.rpc import Rpc, jittered_backoff_s
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import PermanentError, TransactionFailed
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.transactions import Call

ESTIMATE_ATTEMPTS = 3


async def simulated_gas(rpc: Rpc, sender: Address, call: Call) -> tuple[int, Wei]:
    """Gas the call takes at the latest block, and the sender's balance for gas, in one round trip.

    Raises what the revert stands for (see `revert_error`), ChainUnavailable when a node can not
    estimate what it can execute.
    """
    request = call_object(sender, call)
    for attempt in range(1, ESTIMATE_ATTEMPTS + 1):
        gas, balance = await rpc.batch(
            [("eth_estimateGas", [request, "latest"]), ("eth_getBalance", [sender, "latest"])]
        )
        if isinstance(balance, RpcError):
            raise balance
        if not isinstance(gas, RpcError):
            return int(gas, 16), Wei(int(balance, 16))
        revert = await simulated_revert(rpc, sender, call)
        if revert is not None:
            raise revert from gas
        if attempt < ESTIMATE_ATTEMPTS:  # it executes: the estimate failed for a passing reason
            await asyncio.sleep(jittered_backoff_s(0.1, attempt))
    raise gas


async def simulated_revert(
    rpc: Rpc, sender: Address, call: Call, *, block: int | None = None
) -> PermanentError | None:
    """Why the call reverts at a block (None: the latest), or None if it succeeds there."""
    data = await revert_data(rpc, sender, call, block=block)
    return None if data is None else revert_error(data, call=call.label)


async def revert_data(
    rpc: Rpc, sender: Address, call: Call, *, block: int | None = None
) -> bytes | None:
    """What the call returns when it reverts (maybe nothing); None if it succeeds."""
    tag = "latest" if block is None else hex(block)
    try:
        await rpc.call("eth_call", call_object(sender, call), tag)
    except RpcError as error:
        if error.is_revert:
            return error.data or b""
        raise
    return None


def gas_limit(estimate: int, *, most: int, label: str) -> int:
    """Room for state that changes before it is mined. Raises TransactionFailed above `most`."""
    limit = estimate + estimate // 4 + 10_000
    if estimate > most:
        raise TransactionFailed(f"{label} needs {estimate} gas, more than the limit of {most}")
    return min(limit, most)


def call_object(sender: Address, call: Call) -> dict[str, str]:
    return {"from": sender, "to": call.to, "data": hex_data(call.data)}
