"""Which attempts were mined, and which blocks with our transactions are still on the chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decentralized_vllm.chain.blocks import as_header, header_request
from decentralized_vllm.chain.outgoing import Attempt, Inclusion, Outgoing
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import BlockNumber, TxHash, Wei

RECEIPTS_PER_REQUEST = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A mined attempt. `is_success` is false when it was mined and reverted."""

    outgoing: Outgoing
    attempt: Attempt
    inclusion: Inclusion
    is_success: bool


async def find_receipts(
    rpc: Rpc, outgoings: Sequence[Outgoing], *, chain_nonce: int
) -> list[Found]:
    """Looks for every attempt whose nonce is used, not only for the newest one."""
    wanted = [
        (outgoing, attempt)
        for outgoing in outgoings
        for attempt in outgoing.attempts
        if attempt.nonce < chain_nonce
    ]
    found: list[Found] = []
    for start in range(0, len(wanted), RECEIPTS_PER_REQUEST):
        some = wanted[start : start + RECEIPTS_PER_REQUEST]
        answers = await rpc.batch(
            [("eth_getTransactionReceipt", [attempt.hash]) for _, attempt in some]
        )
        for (outgoing, attempt), answer in zip(some, answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            if answer is not None:
                found.append(_found(outgoing, attempt, answer))
    return found


async def abandoned(rpc: Rpc, mined: Sequence[Outgoing]) -> list[Outgoing]:
    """Those whose block is no longer the chain's block of that number."""
    blocks = {o.inclusion.block_number: o.inclusion.block_hash for o in mined if o.inclusion}
    if not blocks:
        return []
    highest = max(blocks)
    if await _hashes(rpc, [highest]) == {highest: blocks[highest]}:
        return []  # then every block below it is still there too
    canonical = await _hashes(rpc, sorted(blocks))
    return [
        o
        for o in mined
        if o.inclusion and canonical[o.inclusion.block_number] != o.inclusion.block_hash
    ]


async def _hashes(rpc: Rpc, numbers: Sequence[BlockNumber]) -> dict[BlockNumber, str | None]:
    answers = await rpc.batch([header_request(number) for number in numbers])
    headers = [as_header(answer) for answer in answers]
    return {
        number: header.hash if header else None
        for number, header in zip(numbers, headers, strict=True)
    }


def _found(outgoing: Outgoing, attempt: Attempt, answer: Any) -> Found:
    try:
        inclusion = Inclusion(
            tx_hash=TxHash(attempt.hash),
            block_number=BlockNumber(int(answer["blockNumber"], 16)),
            block_hash=answer["blockHash"],
            gas_used=int(answer["gasUsed"], 16),
            gas_price_wei=Wei(int(answer["effectiveGasPrice"], 16)),
        )
        return Found(outgoing, attempt, inclusion, int(answer["status"], 16) == 1)
    except (KeyError, TypeError, ValueError) as error:
        raise ChainUnavailable("an RPC endpoint answered a receipt without its fields") from error
