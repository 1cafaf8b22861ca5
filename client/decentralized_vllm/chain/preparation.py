"""Would this call succeed now, and how much gas does it need? Asked before anything is signed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decentralized_vllm.chain.contracts.reader import hex_data
from decentralized_vllm.chain.endpoint import Request
from decentralized_vllm.chain.reverts import revert_error
from decentralized_vllm.chain.rpc import Rpc, jittered_backoff_s
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import DvllmError, PermanentError, TransactionFailed
from decentralized_vllm.protocol.ids import Address, Wei
from decentralized_vllm.protocol.transactions import Call

ESTIMATE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a call takes, and what its sender had for gas at that moment."""

    gas: int
    balance_wei: Wei


async def simulated_gas(
    rpc: Rpc, sender: Address, calls: Sequence[Call]
) -> tuple[list[int | DvllmError], Wei]:
    """Gas each call takes at the latest block, and the sender's balance for gas.

    One round trip. In the place of a call that reverts stands what the revert means (see
    `revert_error`), ChainUnavailable for one that a node can not estimate though it executes.
    """
    requests: list[Request] = [_estimate_request(sender, call) for call in calls]
    *answers, balance = await rpc.batch([*requests, ("eth_getBalance", [sender, "latest"])])
    if isinstance(balance, RpcError):
        raise balance
    balance_wei = Wei(int(balance, 16))
    estimates = [int(answer, 16) for answer in answers if not isinstance(answer, RpcError)]
    if len(estimates) == len(calls):
        return [*estimates], balance_wei
    gas = await asyncio.gather(
        *(_gas_or_error(rpc, sender, *pair) for pair in zip(calls, answers, strict=True))
    )
    return gas, balance_wei


async def _gas_or_error(rpc: Rpc, sender: Address, call: Call, answer: Any) -> int | DvllmError:
    try:
        return await _gas(rpc, sender, call, answer)
    except DvllmError as error:
        return error


async def _gas(rpc: Rpc, sender: Address, call: Call, answer: Any) -> int:
    """`answer` is that to the first request for an estimate."""
    for attempt in range(1, ESTIMATE_ATTEMPTS + 1):
        if not isinstance(answer, RpcError):
            return int(answer, 16)
        asked = rpc.healthiest()
        revert = await simulated_revert(rpc, sender, call)
        if revert is not None and not await rpc.is_left(asked):
            raise revert from answer
        if attempt < ESTIMATE_ATTEMPTS:  # it executes, or may elsewhere: the reason may pass
            await asyncio.sleep(jittered_backoff_s(0.1, attempt))
            (answer,) = await rpc.batch([_estimate_request(sender, call)])
    raise answer


def _estimate_request(sender: Address, call: Call) -> Request:
    return "eth_estimateGas", [call_object(sender, call), "latest"]


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
