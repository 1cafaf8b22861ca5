"""Puts a task's prompt on chain, once for ever, and ties its job to the one who watches it."""

import logging

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.preparation import Simulation
from decentralized_vllm.chain.request_history import transaction_events
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.protocol.errors import (
    CeilingTooLow,
    DvllmError,
    InsufficientFunds,
    InsufficientGas,
    PermanentError,
    TransactionFailed,
)
from decentralized_vllm.protocol.events import InferenceRequested
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, TxHash
from decentralized_vllm.protocol.transactions import Call
from dvllm_gateway.errors import GatewayError, PermanentGatewayError, TransactionRejected
from dvllm_gateway.ids import TaskId
from dvllm_gateway.market.failures import as_gateway_errors, gateway_error
from dvllm_gateway.market.follower import Follower
from dvllm_gateway.market.placement import Placement
from dvllm_gateway.market.simulations import Simulations
from dvllm_gateway.market.stored import AtOnce, NewSubmission, NotStored, StoredSubmission
from dvllm_gateway.market.terms import TermsBook
from dvllm_gateway.market.till import Till
from dvllm_gateway.services.own_time import working
from dvllm_gateway.services.retries import Retries
from dvllm_gateway.services.stores import Along
from dvllm_gateway.services.task_jobs import JobWatch, Rejected
from dvllm_gateway.services.task_market import Order, Stored

log = logging.getLogger(__name__)


class Submitter:
    def __init__(
        self,
        network: Network,
        sender: OutboxSender,
        simulations: Simulations,
        till: Till,
        terms: TermsBook,
        follower: Follower,
    ) -> None:
        self._network = network
        self._sender = sender
        self._simulations = simulations
        self._till = till
        self._terms = terms
        self._follower = follower
        self._at_once = AtOnce(sender, till)

    async def is_sent(self, task_id: TaskId) -> bool:
        with as_gateway_errors():
            return await self._sender.knows(_key(task_id))

    async def store_with(self, order: Order, along: Along) -> Stored | None:
        """See the port."""
        simulation = self._simulations.known(order)
        if simulation is None:
            return None
        submission = NewSubmission(_key(order.task_id), self._call(order), simulation, along)
        try:
            return await self._at_once.store(order, submission)
        except NotStored as error:
            self._learn(order, error.__cause__)
            return None

    async def send(self, order: Order, watch: JobWatch, placement: Placement) -> None:
        """Durable when it returns. Raises GatewayError, and nothing was sent then."""
        if order.stored is not None:
            with working():
                self._follower.follow(await order.stored.sent(), watch)
            return
        call = self._call(order)
        with working():
            was_sent = not order.is_new and await self.is_sent(order.task_id)
            if not was_sent:
                with as_gateway_errors():
                    await placement.expected()
        if was_sent:
            self._till.promised_before(order.task_id, order.escrow_wei)
        else:
            await self._till.promise(order.task_id, order.escrow_wei)
        try:
            # Once there is credit, or else it fails. It waits for the chain: no work of ours.
            simulation = None if was_sent else await self._simulations.of(order, call)
            with working():
                tx_hash = await self._sent(order, call, simulation)
        except BaseException:
            self._till.settled(order.task_id)
            raise
        self._follower.follow(tx_hash, watch)

    async def confirm(self, order: Order, watch: JobWatch) -> None:
        """Until cancelled: sees that the job, or why there is none, gets to `watch`.

        Again whenever a re-organisation drops the request: then the sender sends it again.
        """
        while True:
            await self._until_told(order, watch)
            await watch.until(lambda now: now is None)

    async def _until_told(self, order: Order, watch: JobWatch) -> None:
        retries = Retries()
        while True:
            try:
                receipt = await self._sender.wait(_key(order.task_id))
                self._till.settled(order.task_id)
                self._follower.follow(receipt.tx_hash, watch)
                await self._follower.reaches(receipt.block_number)
                if watch.value is None:
                    await self._catch_up(receipt.tx_hash, watch)
            except TransactionFailed as error:
                self._simulations.forget(order)
                self._till.settled(order.task_id)
                watch.set(Rejected(_rejection(error)))
            except DvllmError as error:
                log.info(
                    "task_not_confirmed", extra={"task_id": order.task_id, "reason": str(error)}
                )
            if watch.value is not None:
                return
            await retries.pause()

    async def _catch_up(self, tx_hash: TxHash, watch: JobWatch) -> None:
        """It was mined before this process began to follow the chain."""
        coordinator = self._network.coordinator.address
        for event in await transaction_events(self._network.rpc, coordinator, tx_hash):
            if isinstance(event, InferenceRequested):
                self._follower.adopt(watch, await self._network.jobs.events(event.job_id))

    async def _sent(self, order: Order, call: Call, simulation: Simulation | None) -> TxHash:
        key = _key(order.task_id)
        try:
            with as_gateway_errors():
                if order.is_new and simulation is not None:
                    new = await self._sender.store_new(call, key=key, simulation=simulation)
                    return await StoredSubmission(new).sent()
                return await self._sender.send(call, key=key)
        except GatewayError as error:
            self._learn(order, error.__cause__)
            raise

    def _learn(self, order: Order, reason: BaseException | None) -> None:
        """What the chain refuses a submission for tells that something known is old."""
        self._simulations.forget(order)
        match reason:
            case CeilingTooLow():
                self._terms.forget(order.model_id)
            case InsufficientGas():
                self._till.short_of_gas()
            case InsufficientFunds():
                self._till.look_soon()

    def _call(self, order: Order) -> Call:
        return self._network.requester_calls.submit_prompt_capped(
            order.prompt_cid,
            order.model_id,
            ceiling_wei=order.ceiling_wei,
            share=order.share,
            node=order.node or ZERO_ADDRESS,
        )


def _key(task_id: TaskId) -> str:
    return f"task:{task_id}"


def _rejection(error: PermanentError) -> PermanentGatewayError:
    known = gateway_error(error)
    if isinstance(known, PermanentGatewayError):
        return known
    return TransactionRejected("the transaction failed")
