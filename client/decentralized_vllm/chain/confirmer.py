"""Sees every stored transaction through to a receipt that no re-organisation can take away."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from decentralized_vllm.chain.confirmation import Patience, View
from decentralized_vllm.chain.fees import FeePolicy
from decentralized_vllm.chain.identity import ChainIdentity
from decentralized_vllm.chain.outbox import Outbox
from decentralized_vllm.chain.outgoing import Outgoing
from decentralized_vllm.chain.preparation import gas_limit, revert_data, simulated_gas
from decentralized_vllm.chain.receipts import Found, abandoned, find_receipts
from decentralized_vllm.chain.resubmission import Resubmission
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.signing import TransactionSigner
from decentralized_vllm.chain.submission import Submission
from decentralized_vllm.protocol.errors import DvllmError, PermanentError

log = logging.getLogger(__name__)

MISSED_DEADLINE = "it could not be mined before its deadline"
OUT_OF_GAS = "it ran out of gas"
REVERTED = "it was mined and reverted"


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """Limits of a sender; `for_chain` gives fitting ones.

    confirmations: blocks, its own included, after which `wait` returns.
    finality_blocks: until then a mined transaction is watched and, if need be, sent again.
    max_in_flight: unmined at once; nodes drop more than 16 or so of one key when they are full.
    lost_after_blocks: nonce used and no receipt at so many blocks that were looked at, one after
        the other, means another transaction took it.
    after_block_s: how long a new block is left to those who are in more of a hurry.
    behind_patience_s: how long a head below a known block counts as an endpoint that lags.
    retries_reverted: sends anew, until its deadline, what only reverts since a re-organisation.
        Not for who acts on such a failure.
    keep_settled_s: chain time for which a settled transaction still answers `send` and `wait`.
    """

    confirmations: int = 1
    finality_blocks: int = 64
    max_in_flight: int = 16
    max_gas: int = 8_000_000
    lost_after_blocks: int = 15
    behind_patience_s: float = 10.0
    keep_settled_s: int = 7 * 24 * 3600
    poll_s: float = 2.0
    after_block_s: float = 0.0
    retries_reverted: bool = False
    patience: Patience = field(default_factory=Patience)
    fees: FeePolicy = field(default_factory=FeePolicy)

    @classmethod
    def for_chain(cls, identity: ChainIdentity) -> "SenderSettings":
        if not identity.is_local:
            return cls()
        return cls(
            max_in_flight=256, poll_s=0.25, lost_after_blocks=5, patience=Patience(bump_s=5.0)
        )


class Confirmer:
    """`tick(view)` does what is due at one look at the chain. Raises ChainUnavailable."""

    def __init__(
        self,
        rpc: Rpc,
        signer: TransactionSigner,
        outbox: Outbox,
        submission: Submission,
        settings: SenderSettings,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._outbox = outbox
        self._submission = submission
        self._settings = settings
        self._resubmission = Resubmission(submission, outbox, settings.fees, settings.patience)
        self._behind_since_s: float | None = None
        # key → where its nonce was found used and no receipt: blocks looked at, the last of them
        self._missing: dict[str, tuple[int, int]] = {}
        self._taken_back: set[str] = set()  # keys of what was mined and then abandoned
        self._retried_at_block = -1

    async def tick(self, view: View) -> None:
        await self._take_back_abandoned(view)
        await self._record_mined(view)
        await self._retry_reverted(view)
        await self._resubmission.push(view)
        await self._settle_deep(view)

    async def _take_back_abandoned(self, view: View) -> None:
        mined = self._outbox.mined()
        beyond = [o for o in mined if o.inclusion and o.inclusion.block_number > view.block_number]
        if not beyond:
            self._behind_since_s = None
            lost = await abandoned(self._rpc, mined, final_block=self._final_block(view))
        elif self._is_rolled_back(view):
            lost = beyond
        else:
            return
        if lost:
            log.warning("transactions_unmined", extra={"keys": [o.key for o in lost]})
        self._taken_back |= {o.key for o in lost if o.failure is None}
        await self._outbox.save([outgoing.back_to_pending() for outgoing in lost])

    def _is_rolled_back(self, view: View) -> bool:
        if self._behind_since_s is None:
            self._behind_since_s = view.seen_at_s
        return view.seen_at_s - self._behind_since_s >= self._settings.behind_patience_s

    async def _record_mined(self, view: View) -> None:
        waiting = self._outbox.waiting()
        looked = await find_receipts(
            self._rpc, self._signer.address, waiting, chain_nonce=view.nonce
        )
        found = looked.found
        mined = [outgoing for f in found if (outgoing := await self._mined_as(f, view)) is not None]
        await self._outbox.save(mined)
        done = {f.outgoing.key for f in found}
        passed = [o for o in waiting if o.key not in done and o.nonce < looked.chain_nonce]
        await self._replace_lost(passed, view)

    async def _mined_as(self, found: Found, view: View) -> Outgoing | None:
        """None when it was sent anew, with more gas."""
        outgoing, inclusion = found.outgoing, found.inclusion
        if found.attempt.is_cancellation:
            is_filler = outgoing.call.to == self._signer.address
            failure = None if is_filler else MISSED_DEADLINE
            return outgoing.mined(inclusion, failure, None)
        if found.is_success:
            return outgoing.mined(inclusion, None, None)
        data = await revert_data(
            self._rpc, self._signer.address, outgoing.call, block=inclusion.block_number
        )
        is_out_of_gas = inclusion.gas_used >= outgoing.gas_limit * 63 // 64
        if data is None and is_out_of_gas and await self._send_with_more_gas(outgoing, view):
            return None
        failure = OUT_OF_GAS if data is None and is_out_of_gas else REVERTED
        return outgoing.mined(inclusion, failure, data)

    async def _send_with_more_gas(self, outgoing: Outgoing, view: View) -> bool:
        """Once, with double the gas; what fails again has a reason that gas does not mend."""
        doubled = 2 * outgoing.gas_limit
        if doubled > self._settings.max_gas:
            return False
        sent = await self._submission.store_under_new_nonce(
            outgoing, gas_limit=doubled, view=view, forgets_attempts=True
        )
        await self._submission.offer([sent], view)
        return True

    async def _retry_reverted(self, view: View) -> None:
        """After a re-organisation others' transactions come in another order: what had its effect
        may be mined before what it builds on, and revert. It is sent anew when it would not.

        Until its deadline: then its effect is no longer wanted.
        """
        is_known = view.block_number <= self._retried_at_block
        if not self._settings.retries_reverted or is_known:
            return
        self._retried_at_block = view.block_number
        self._taken_back = {k for k in self._taken_back if self._outbox.unsettled(k) is not None}
        for outgoing in self._outbox.mined():
            is_meant = outgoing.key in self._taken_back and outgoing.failure == REVERTED
            if is_meant and view.block_time_s <= (outgoing.deadline_s or 0):
                await self._send_unless_it_reverts(outgoing, view)

    async def _send_unless_it_reverts(self, outgoing: Outgoing, view: View) -> None:
        try:
            limit = await self._gas_limit(outgoing)
        except PermanentError:
            return
        log.warning("reverted_after_reorganisation", extra={"key": outgoing.key})
        sent = await self._submission.store_under_new_nonce(
            outgoing, gas_limit=limit, view=view, forgets_attempts=True
        )
        await self._submission.offer([sent], view)

    async def _replace_lost(self, passed: Sequence[Outgoing], view: View) -> None:
        """Those whose nonce a foreign transaction used, as far as can be known.

        To send once more what was mined after all has its effect twice: an endpoint that fails to
        show a receipt now and then, or after an outage of many blocks, is not believed.
        """
        self._missing = {o.key: self._missed_once_more(o.key, view) for o in passed}
        for outgoing in passed:
            n_blocks, _ = self._missing[outgoing.key]
            if n_blocks > self._settings.lost_after_blocks:
                await self._send_under_new_nonce(outgoing, view)

    def _missed_once_more(self, key: str, view: View) -> tuple[int, int]:
        n_blocks, last = self._missing.get(key, (0, -1))
        return n_blocks + (view.block_number > last), max(last, view.block_number)

    async def _send_under_new_nonce(self, outgoing: Outgoing, view: View) -> None:
        log.warning("nonce_lost", extra={"key": outgoing.key, "nonce": outgoing.nonce})
        if outgoing.latest.is_cancellation:
            await self._outbox.save([outgoing.given_up(MISSED_DEADLINE, view.block_time_s)])
            return
        try:
            limit = await self._gas_limit(outgoing)
        except PermanentError as error:
            lost = outgoing.given_up(f"its nonce was lost, and now: {error}", view.block_time_s)
            await self._outbox.save([lost])
            return
        sent = await self._submission.store_under_new_nonce(
            outgoing, gas_limit=limit, view=view, forgets_attempts=False
        )
        await self._submission.offer([sent], view)

    async def _gas_limit(self, outgoing: Outgoing) -> int:
        call = outgoing.call
        (estimate,), _ = await simulated_gas(self._rpc, self._signer.address, [call])
        if isinstance(estimate, DvllmError):
            raise estimate
        return gas_limit(estimate, most=self._settings.max_gas, label=call.label)

    async def _settle_deep(self, view: View) -> None:
        deep = self._final_block(view)
        await self._outbox.settle(
            [
                o.settled(view.block_time_s)
                for o in self._outbox.mined()
                if o.inclusion and o.inclusion.block_number <= deep
            ],
            forget_before_s=view.block_time_s - self._settings.keep_settled_s,
        )

    def _final_block(self, view: View) -> int:
        return view.block_number - self._settings.finality_blocks
