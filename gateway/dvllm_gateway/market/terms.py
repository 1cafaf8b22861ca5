"""What a job of each model costs now, kept at hand so that a request waits for no chain."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from decentralized_vllm.chain.network import Network
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.protocol.errors import UnknownModel
from decentralized_vllm.protocol.events import VersionAnnounced
from decentralized_vllm.protocol.ids import ModelId
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.units import gwei
from decentralized_vllm.requester.pricing import make_offer
from dvllm_gateway.errors import ModelNotFound, NoCapacity
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.services.task_market import Quote
from dvllm_gateway.services.tasks import TaskRequest

KEPT_S = 30.0
KEPT_REFUSAL_S = 3.0
MODELS_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Offered:
    """The version that serves a model; None for a model that takes no jobs, with the reason."""

    terms: Terms | None
    is_served: bool
    refusal: str = ""


@dataclass(slots=True)
class _Shelf:
    offered: Offered | None = None
    until_s: float = 0.0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class TermsBook:
    """Read again after half a minute, when a version is announced, and when one begins to serve."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._shelves: OrderedDict[ModelId, _Shelf] = OrderedDict()

    async def quote(self, request: TaskRequest) -> Quote:
        """Raises ModelNotFound, InvalidRequest, NoCapacity (no node serves it) and
        NetworkUnavailable."""
        terms = await self._terms(request.model_id)
        with as_gateway_errors():
            offer = make_offer(terms, request.document, request.max_fee_wei)
            document = request.document.to_bytes()
        return Quote(
            document=document,
            prompt_cid=cid_of_bytes(document),
            # Not the most the caller accepts: what is reserved must cover what is escrowed.
            ceiling_wei=gwei(terms.max_fee_gwei),
            share=offer.share,
            escrow_wei=offer.escrow_wei,
        )

    def note(self, announced: VersionAnnounced) -> None:
        self.forget(announced.model_id)

    def forget(self, model_id: ModelId) -> None:
        """What is known of it was found wrong."""
        self._shelves.pop(model_id, None)

    async def _terms(self, model_id: ModelId) -> Terms:
        offered = await self._offered(model_id)
        if offered.terms is None:
            raise ModelNotFound(offered.refusal)
        if not offered.is_served:
            raise NoCapacity("no node serves this model now", retry_after_s=30)
        return offered.terms

    async def _offered(self, model_id: ModelId) -> Offered:
        shelf = self._shelf(model_id)
        if shelf.offered is not None and time.monotonic() < shelf.until_s:
            return shelf.offered
        async with shelf.reading:  # whoever asks first reads it for all who ask meanwhile
            if shelf.offered is None or time.monotonic() >= shelf.until_s:
                with as_gateway_errors():
                    offered, kept_s = await self._read(model_id)
                shelf.offered, shelf.until_s = offered, time.monotonic() + kept_s
            return shelf.offered

    def _shelf(self, model_id: ModelId) -> _Shelf:
        """Strangers name models: so many names are kept and no more."""
        shelf = self._shelves.setdefault(model_id, _Shelf())
        self._shelves.move_to_end(model_id)
        while len(self._shelves) > MODELS_KEPT:
            self._shelves.popitem(last=False)
        return shelf

    async def _read(self, model_id: ModelId) -> tuple[Offered, float]:
        """With the seconds for which it may be believed."""
        coordinator = self._network.coordinator
        try:
            info, version = await asyncio.gather(
                self._network.model_registry.model(model_id), coordinator.current_version(model_id)
            )
        except UnknownModel:
            return Offered(None, False, f"there is no model {model_id!r}"), KEPT_REFUSAL_S
        if not info.is_active:
            return Offered(None, False, f"the model {model_id!r} takes no jobs"), KEPT_REFUSAL_S
        current = await coordinator.version(version.current)
        offered = Offered(current.terms, is_served=current.n_entries > 0)
        if not offered.is_served:
            return offered, KEPT_REFUSAL_S
        if version.announced is None:
            return offered, KEPT_S
        follower = await coordinator.version(version.announced)
        left_s = follower.serves_from_s - await self._network.jobs.chain_time_s()
        return offered, min(KEPT_S, max(1.0, left_s))
