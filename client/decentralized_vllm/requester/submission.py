"""Puts a prompt on chain: content first, then one transaction that brings missing money along."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.request_history import transaction_events
from decentralized_vllm.protocol.errors import ChainUnavailable, InvalidPrompt, UnknownModel
from decentralized_vllm.protocol.events import InferenceRequested, JobLeased
from decentralized_vllm.protocol.ids import Address, Cid, ModelId, TxHash, VersionNumber, Wei
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.prompts import PromptDocument
from decentralized_vllm.protocol.transactions import Call, Receipt
from decentralized_vllm.requester.key_sender import SendsAndKnows
from decentralized_vllm.requester.mined import read_mined
from decentralized_vllm.requester.node_choice import NodeChoice
from decentralized_vllm.requester.permits import Permits
from decentralized_vllm.requester.pricing import Offer, make_offer, top_up
from decentralized_vllm.requester.seeing_through import Commitment, SeeingThrough


@dataclass(frozen=True, slots=True)
class Submitted:
    """`node` is who the submission leased the job to, None for nobody."""

    request: InferenceRequested
    node: Address | None
    offer: Offer


def check_length(document: PromptDocument, terms: Terms) -> None:
    """Of token ids the number is known here; other prompts only a node can count.

    Raises InvalidPrompt for more than any node of the model would read, and charge a fiftieth for.
    """
    n_tokens = len(document.token_ids or ())
    if n_tokens > terms.max_input_tokens:
        raise InvalidPrompt(
            f"prompt: {n_tokens} token ids are more than the {terms.max_input_tokens} of this model"
        )


class AddsBytes(Protocol):
    async def add_bytes(self, data: bytes) -> Cid: ...


class Submission:
    """Submits for one account. Several at once share one credit without spending it twice."""

    def __init__(
        self,
        network: Network,
        account: Address,
        sender: SendsAndKnows,
        permits: Permits,
        store: AddsBytes,
        choice: NodeChoice,
        max_top_up_wei: Wei,
    ) -> None:
        self._network = network
        self._account = account
        self._sender = sender
        self._permits = permits
        self._store = store
        self._choice = choice
        self._max_top_up_wei = max_top_up_wei
        self._reserved_wei = 0
        self._seeing_through = SeeingThrough()

    async def submit(
        self,
        document: PromptDocument,
        model_id: ModelId,
        max_fee_wei: Wei | None,
        take_on: Callable[[Submitted], None],
    ) -> Submitted:
        """Returns when the request is mined. `take_on` hears of it also if the caller has left
        when it was sent: its escrow stays spoken for until then, and its prompt is asked for.

        Raises InvalidPrompt, UnknownModel, CeilingTooLow, InsufficientFunds, InsufficientGas,
        NotServed, NodesBusy, ContractRevert, ChainUnavailable, and what the content store raises.
        """

        async def submitted(commitment: Commitment) -> Submitted:
            mined = await self._submit(document, model_id, max_fee_wei, commitment)
            take_on(mined)
            return mined

        return await self._seeing_through.run(submitted)

    async def close(self) -> None:
        await self._seeing_through.close()

    async def _submit(
        self,
        document: PromptDocument,
        model_id: ModelId,
        max_fee_wei: Wei | None,
        commitment: Commitment,
    ) -> Submitted:
        data = document.to_bytes()
        version = await self._version(model_id)
        terms = await self._network.jobs.terms(version)
        check_length(document, terms)
        offer = make_offer(terms, document, max_fee_wei)
        node = await self._choice.node_for(document.features, version, offer.escrow_wei)
        prompt_cid = await self._store.add_bytes(data)
        key = f"submit:{uuid.uuid4()}"
        async with self._reserving(offer):
            call = self._call(prompt_cid, model_id, offer, node)
            receipt = await self._send(offer, call, key, commitment)
        return await read_mined(receipt.tx_hash, lambda: self._submitted(receipt.tx_hash, offer))

    async def _submitted(self, tx_hash: TxHash, offer: Offer) -> Submitted:
        events = await transaction_events(
            self._network.rpc, self._network.coordinator.address, tx_hash
        )
        request = next((e for e in events if isinstance(e, InferenceRequested)), None)
        if request is None:
            raise ChainUnavailable(f"the RPC endpoint shows no request in transaction {tx_hash}")
        leases = (e.node for e in events if isinstance(e, JobLeased))
        return Submitted(request, next(leases, None), offer)

    async def _version(self, model_id: ModelId) -> VersionNumber:
        try:
            info = await self._network.model_registry.model(model_id)
        except UnknownModel as error:
            raise UnknownModel(f"there is no model {model_id!r}", hint=error.hint) from error
        if not info.is_active:
            raise UnknownModel(f"model {model_id!r} takes no new jobs")
        return (await self._network.coordinator.current_version(model_id)).current

    def _call(self, prompt_cid: Cid, model_id: ModelId, offer: Offer, node: Address) -> Call:
        return self._network.requester_calls.submit_prompt_capped(
            prompt_cid,
            model_id,
            ceiling_wei=offer.ceiling_wei,
            share=offer.share,
            node=node,
        )

    async def _send(self, offer: Offer, call: Call, key: str, commitment: Commitment) -> Receipt:
        """One plan at a time, also among processes that share the key.

        A permit's nonce has to be mined before the next one is signed.
        """
        async with self._sender.turn():
            async with self._permits.planning:
                short_wei = await self._short_wei(offer)
                if short_wei:
                    permit = await self._permits.sign(short_wei)
                    deposit = self._network.requester_calls.deposit_with_permit(permit)
                    call = self._network.requester_calls.multicall([deposit, call])
                await self._commit(call, key, commitment)
                if short_wei:
                    return await self._sender.wait(key)
            return await self._sender.wait(key)

    async def _commit(self, call: Call, key: str, commitment: Commitment) -> None:
        try:
            await self._sender.send(call, key=key)
        except asyncio.CancelledError:
            if commitment.is_void or not await self._sender.knows(key):
                raise
        commitment.is_made = True

    async def _short_wei(self, offer: Offer) -> Wei:
        # Read before the credit: what is mined in between is then counted twice, never not at all.
        promised_wei = self._reserved_wei - offer.escrow_wei
        credit_wei, wallet_wei = await asyncio.gather(
            self._network.coordinator.credit(self._account),
            self._network.token.balance(self._account),
        )
        return top_up(
            offer,
            credit_wei=Wei(max(0, credit_wei - promised_wei)),
            wallet_wei=wallet_wei,
            max_top_up_wei=self._max_top_up_wei,
        )

    @asynccontextmanager
    async def _reserving(self, offer: Offer) -> AsyncIterator[None]:
        """Credit that unmined submissions will take counts as taken."""
        self._reserved_wei += offer.escrow_wei
        try:
            yield
        finally:
            self._reserved_wei -= offer.escrow_wei
