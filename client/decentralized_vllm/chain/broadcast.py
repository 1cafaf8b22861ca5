"""Offers signed transactions to every endpoint. Only a receipt proves that one was taken."""

import logging
from collections.abc import Sequence
from enum import Enum, auto

from decentralized_vllm.chain.contracts.reader import hex_data
from decentralized_vllm.chain.outgoing import Attempt
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.ids import TxHash

log = logging.getLogger(__name__)


class Verdict(Enum):
    """The best that any endpoint said."""

    TAKEN = auto()  # now or before
    UNKNOWN = auto()  # refused or unheard: the confirmer finds out and offers it again
    UNDERPRICED = auto()


# Pieces of what geth, Nethermind, Besu, Erigon and anvil say.
_ALREADY_THERE = ("already known", "already imported", "known transaction", "already exists")
_FEE_TOO_LOW = ("underpriced", "fee too low", "less than block base fee", "feetoolow", "gas price")


async def broadcast(rpc: Rpc, attempts: Sequence[Attempt]) -> dict[TxHash, Verdict]:
    """Never raises for an endpoint's fault: what is stored will be offered again."""
    if not attempts:
        return {}
    answers = await rpc.broadcast([hex_data(attempt.raw) for attempt in attempts])
    return {
        attempt.hash: _verdict(attempt, said)
        for attempt, said in zip(attempts, answers, strict=True)
    }


def _verdict(attempt: Attempt, answers: Sequence[object]) -> Verdict:
    verdicts = {verdict_on(answer) for answer in answers}
    if Verdict.TAKEN in verdicts:
        return Verdict.TAKEN
    reasons = [str(answer) for answer in answers]
    # Only the key's owner can mend this one; nobody is told of it otherwise.
    level = logging.WARNING if _is_unpaid(reasons) else logging.INFO
    log.log(level, "transaction_refused", extra={"tx_hash": attempt.hash, "reasons": reasons})
    return Verdict.UNDERPRICED if Verdict.UNDERPRICED in verdicts else Verdict.UNKNOWN


def _is_unpaid(reasons: Sequence[str]) -> bool:
    return any("insufficient funds" in reason.lower() for reason in reasons)


def verdict_on(answer: object) -> Verdict:
    if isinstance(answer, str):
        return Verdict.TAKEN
    if not isinstance(answer, RpcError):
        return Verdict.UNKNOWN
    reason = answer.reason.lower()
    if any(piece in reason for piece in _FEE_TOO_LOW):
        return Verdict.UNDERPRICED
    # "unknown transaction" is not "known transaction".
    if "unknown" not in reason and any(piece in reason for piece in _ALREADY_THERE):
        return Verdict.TAKEN
    return Verdict.UNKNOWN
