"""Keeps unmined transactions moving: offer again, pay more, cancel, fill gaps of nonces."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from decentralized_vllm.chain.confirmation import Patience, Step, View, next_step
from decentralized_vllm.chain.fees import FeePolicy, bumped_fees
from decentralized_vllm.chain.nonces import missing_nonces
from decentralized_vllm.chain.outbox import Outbox
from decentralized_vllm.chain.outgoing import Outgoing
from decentralized_vllm.chain.submission import Submission

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Gap:
    nonces: tuple[int, ...]
    since: View


class Resubmission:
    def __init__(
        self, submission: Submission, outbox: Outbox, policy: FeePolicy, patience: Patience
    ) -> None:
        self._submission = submission
        self._outbox = outbox
        self._policy = policy
        self._patience = patience
        self._gap: _Gap | None = None

    async def push(self, view: View) -> None:
        """Does for every unmined transaction what is due, then offers all of them at once."""
        waiting = self._outbox.waiting()
        lowest = min((o.nonce for o in waiting if o.nonce >= view.nonce), default=-1)
        offers = await self._gap_fillers(waiting, view)
        for outgoing in waiting:
            sent = self._outbox.sent(outgoing)
            is_next = outgoing.nonce == lowest
            step = next_step(outgoing, sent, view, self._patience, is_next=is_next)
            if step in (Step.BUMP, Step.CANCEL):
                offers.append(await self._replaced(outgoing, view, step))
            elif step is Step.RESEND:
                offers.append(outgoing)
        if offers:
            await self._submission.offer(offers, view)

    async def _replaced(self, outgoing: Outgoing, view: View, step: Step) -> Outgoing:
        fees = bumped_fees(self._policy, outgoing.latest.fees, view.base_fee_wei)
        details = {"key": outgoing.key, "nonce": outgoing.nonce, "step": step.name}
        if fees is None:
            log.warning("fee_ceiling_reached", extra=details)
            return outgoing
        log.info("transaction_replaced", extra={**details, "max_fee_wei": fees.max_fee_wei})
        cancels = step is Step.CANCEL or outgoing.latest.is_cancellation
        return await self._submission.store_replacement(outgoing, fees, cancels=cancels)

    async def _gap_fillers(self, waiting: Sequence[Outgoing], view: View) -> list[Outgoing]:
        """A gap is filled when it lasted: an endpoint that lags shows gaps that are none."""
        unmined = {outgoing.nonce for outgoing in waiting}
        mined = {outgoing.nonce for outgoing in self._outbox.mined()}
        gap = missing_nonces(view.nonce, view.pending_nonce, unmined)
        missing = tuple(nonce for nonce in gap if nonce not in mined)
        if not missing:
            self._gap = None
            return []
        if self._gap is None or self._gap.nonces != missing:
            self._gap = _Gap(missing, view)
        since = self._gap.since
        blocks = view.block_number - since.block_number
        seconds = view.seen_at_s - since.seen_at_s
        if blocks < self._patience.bump_blocks and seconds < self._patience.bump_s:
            return []
        log.warning("nonce_gap_filled", extra={"nonces": missing})
        return [await self._submission.store_filler(nonce, view) for nonce in missing]
