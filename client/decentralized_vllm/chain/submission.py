"""Gives out nonces, makes signed bytes durable, and only then offers them to the endpoints."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from decentralized_vllm.chain.broadcast import Verdict, broadcast
from decentralized_vllm.chain.confirmation import Sent, View
from decentralized_vllm.chain.fees import FeePolicy, Fees, first_fees
from decentralized_vllm.chain.nonces import next_nonce
from decentralized_vllm.chain.outbox import Outbox
from decentralized_vllm.chain.outgoing import Outgoing
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.signing import CANCELLATION_GAS, TransactionSigner
from decentralized_vllm.chain.store.database import Along, storage_error
from decentralized_vllm.chain.store.outbox import NewTransaction
from decentralized_vllm.protocol.transactions import Call


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction before it has a nonce, and what is to be durable with it or not at all."""

    call: Call
    key: str
    deadline_s: int | None
    gas_limit: int
    along: Along | None = None


class Submission:
    """One nonce is given out at a time, and none before the one below it is stored."""

    def __init__(
        self, rpc: Rpc, signer: TransactionSigner, outbox: Outbox, policy: FeePolicy
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._outbox = outbox
        self._policy = policy
        self._nonce_lock = asyncio.Lock()

    async def store(self, drafts: Sequence[Draft], view: View) -> list[Outgoing | Exception]:
        """Signs them in order, and makes all durable or none: but for those whose `along` raises.

        What that raised stands in their place, and nothing of them is stored.
        """
        if not drafts:
            return []
        fees = self.fees(view)
        async with self._nonce_lock:
            await self._outbox.be_sure()
            nonce = self._next_nonce(view)
            return await self._outbox.add(lambda tx: self._made(tx, drafts, nonce, fees))

    def _made(
        self, tx: Connection, drafts: Sequence[Draft], nonce: int, fees: Fees
    ) -> list[NewTransaction | Exception]:
        """From `nonce` on, without gaps: signed in the transaction, when it is known which are."""
        nonces = itertools.count(nonce)
        return [
            failure or self._signed(draft, next(nonces), fees)
            for draft, failure in zip(drafts, _went_along(tx, drafts), strict=True)
        ]

    def _signed(self, draft: Draft, nonce: int, fees: Fees) -> NewTransaction:
        call, limit = draft.call, draft.gas_limit
        attempt = self._signer.sign(call, nonce=nonce, gas_limit=limit, fees=fees)
        return NewTransaction(draft.key, call, draft.deadline_s, limit, attempt)

    async def store_under_new_nonce(
        self, outgoing: Outgoing, *, gas_limit: int, view: View, forgets_attempts: bool
    ) -> Outgoing:
        """`forgets_attempts` only where they are known to be spent."""
        async with self._nonce_lock:
            attempt = self._signer.sign(
                outgoing.call,
                nonce=self._next_nonce(view),
                gas_limit=gas_limit,
                fees=self.fees(view),
            )
            resized = replace(outgoing.back_to_pending(), gas_limit=gas_limit)
            if not forgets_attempts:
                return await self._outbox.add_attempt(resized, attempt)
            return await self._outbox.replace_attempts(
                replace(resized, nonce=attempt.nonce, attempts=(attempt,))
            )

    async def store_replacement(self, outgoing: Outgoing, fees: Fees, *, cancels: bool) -> Outgoing:
        """The same nonce for another price, or for no effect at all."""
        nonce = outgoing.nonce
        attempt = (
            self._signer.sign_cancellation(nonce=nonce, fees=fees)
            if cancels
            else self._signer.sign(
                outgoing.call, nonce=nonce, gas_limit=outgoing.gas_limit, fees=fees
            )
        )
        return await self._outbox.add_attempt(outgoing, attempt)

    async def store_filler(self, nonce: int, view: View) -> Outgoing:
        """Uses up a nonce that a foreign, vanished transaction left open below ours."""
        attempt = self._signer.sign_cancellation(nonce=nonce, fees=self.fees(view))
        call = Call(to=self._signer.address, data=b"", label=f"fill nonce {nonce}")
        key = f"fill-nonce:{nonce}:{view.block_number}"
        new = NewTransaction(key, call, None, CANCELLATION_GAS, attempt)
        (added,) = await self._outbox.add(lambda _: [new])
        assert isinstance(added, Outgoing)  # nothing goes along that could fail
        return added

    async def offer(self, outgoings: Sequence[Outgoing], view: View) -> None:
        """Never fails: what no endpoint took is offered again later."""
        sent = Sent(at_block=view.block_number, at_s=asyncio.get_running_loop().time())
        self._outbox.note_sent(outgoings, sent)  # before the answer, lest it is offered twice
        verdicts = await broadcast(self._rpc, [outgoing.latest for outgoing in outgoings])
        cheap = [o for o in outgoings if verdicts[o.latest.hash] is Verdict.UNDERPRICED]
        self._outbox.note_sent(cheap, replace(sent, is_underpriced=True))

    def fees(self, view: View) -> Fees:
        return first_fees(self._policy, view.base_fee_wei, view.tip_wei)

    def _next_nonce(self, view: View) -> int:
        return next_nonce(view.nonce, view.pending_nonce, self._outbox.highest_nonce)


def _went_along(tx: Connection, drafts: Sequence[Draft]) -> Iterator[Exception | None]:
    """What each draft's `along` raised. Raised itself for a draft that is alone: all is undone."""
    for draft in drafts:
        if draft.along is None:
            yield None
        elif len(drafts) == 1:
            draft.along(tx)
            yield None
        else:
            yield _failure_of(draft.along, tx)


def _failure_of(along: Along, tx: Connection) -> Exception | None:
    savepoint = tx.begin_nested()
    failure: Exception | None = None
    try:
        along(tx)
    except DBAPIError as error:
        failure = storage_error(error)
    except Exception as error:
        failure = error
    if failure is None:
        savepoint.commit()
    else:
        savepoint.rollback()
    return failure
