"""Which attempts were mined, and which blocks with our transactions are still on the chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decentralized_vllm.chain.blocks import as_header, header_request
from decentralized_vllm.chain.outgoing import Attempt, Inclusion, Outgoing
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import Address, BlockNumber, TxHash, Wei

RECEIPTS_PER_REQUEST = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A mined attempt. `is_success` is false when it was mined and reverted."""

    outgoing: Outgoing
    attempt: Attempt
    inclusion: Inclusion
    is_success: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """`chain_nonce` is the sender's where the receipts were asked for: those of the nonces below
    it could be had there."""

    found: tuple[Found, ...]
    chain_nonce: int


async def find_receipts(
    rpc: Rpc, sender: Address, outgoings: Sequence[Outgoing], *, chain_nonce: int
) -> Looked:
    """Looks for every attempt whose nonce is used, not only for the newest one.

    Whoever answers says first how far it has come: another may have told the caller `chain_nonce`.
    """
    wanted = [
        (outgoing, attempt)
        for outgoing in outgoings
        for attempt in outgoing.attempts
        if attempt.nonce < chain_nonce
    ]
    found: list[Found] = []
    for start in range(0, len(wanted), RECEIPTS_PER_REQUEST):
        some = wanted[start : start + RECEIPTS_PER_REQUEST]
        nonce, receipts = await _receipts(rpc, sender, [attempt for _, attempt in some])
        chain_nonce = min(chain_nonce, nonce)
        for (outgoing, attempt), receipt in zip(some, receipts, strict=True):
            if receipt is not None:
                found.append(_found(outgoing, attempt, receipt))
    return Looked(tuple(found), chain_nonce)


async def _receipts(
    rpc: Rpc, sender: Address, attempts: Sequence[Attempt]
) -> tuple[int, Sequence[Any]]:
    answers: list[Any] = await rpc.batch(
        [
            ("eth_getTransactionCount", [sender, "latest"]),
            *(("eth_getTransactionReceipt", [attempt.hash]) for attempt in attempts),
        ]
    )
    for answer in answers:
        if isinstance(answer, RpcError):
            raise answer
    return int(answers[0], 16), answers[1:]


async def abandoned(rpc: Rpc, mined: Sequence[Outgoing], *, final_block: int) -> list[Outgoing]:
    """Those whose block is no longer the chain's block of that number.

    Raises ChainUnavailable where no block is shown: what an endpoint lacks was not abandoned. Up
    to `final_block` that is no matter: an endpoint may have forgotten what nothing can change.
    """
    blocks = {o.inclusion.block_number: o.inclusion.block_hash for o in mined if o.inclusion}
    if not blocks:
        return []
    highest = max(blocks)
    if await _hashes(rpc, [highest], final_block) == {highest: blocks[highest]}:
        return []  # then every block below it is still there too
    canonical = await _hashes(rpc, sorted(blocks), final_block)
    return [o for o in mined if o.inclusion and _is_lost(o.inclusion, canonical)]


def _is_lost(inclusion: Inclusion, canonical: Mapping[BlockNumber, str | None]) -> bool:
    return canonical[inclusion.block_number] not in (None, inclusion.block_hash)


async def _hashes(
    rpc: Rpc, numbers: Sequence[BlockNumber], final_block: int
) -> dict[BlockNumber, str | None]:
    answers = await rpc.batch([header_request(number) for number in numbers])
    hashes: dict[BlockNumber, str | None] = {}
    for number, answer in zip(numbers, answers, strict=True):
        header = as_header(answer)
        if header is None and number > final_block:
            raise ChainUnavailable(f"the RPC endpoint has no block {number}")
        hashes[number] = header.hash if header else None
    return hashes


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
