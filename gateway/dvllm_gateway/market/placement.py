"""Puts prompts into the content store, and lets who asks go on meanwhile while that goes well."""

import asyncio
import logging

from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.requester.submission import AddsBytes
from dvllm_gateway.services.latest import Latest
from dvllm_gateway.services.retries import Retries

log = logging.getLogger(__name__)


class Placement:
    """One prompt on its way. It goes on until it is there, or is ended."""

    def __init__(self, placer: "PromptPlacer", document: bytes) -> None:
        self._placer = placer
        self._document = document
        self._outcome: Latest[Exception | bool] = Latest(False)
        self._task = asyncio.create_task(self._run())

    @property
    def is_there(self) -> bool:
        return self._outcome.value is True

    async def expected(self) -> None:
        """Returns at once where the store took what it was given last: this is on its way, and
        there before the next block as a rule. Else waits, and raises what the store raises."""
        if self._placer.is_trusted:
            return
        outcome = await self._outcome.until(lambda now: now is not False)
        if isinstance(outcome, Exception):
            raise outcome

    def end(self) -> None:
        self._task.cancel()

    async def _run(self) -> None:
        retries = Retries()
        while True:
            try:
                await self._placer.add(self._document)
            except Exception as error:
                self._outcome.set(error)
                if not isinstance(error, DvllmError):
                    raise
                log.warning("prompt_not_placed", extra={"reason": str(error)})
                await retries.pause()
            else:
                self._outcome.set(True)
                return


class PromptPlacer:
    """A store that failed is trusted again when it has taken something.

    Nothing is lost by a prompt that comes late: the gateway's database has it, the gateway hands
    it to the node by itself (see `PromptOffers`), and nodes look for it more than once.
    """

    def __init__(self, store: AddsBytes) -> None:
        self._store = store
        self.is_trusted = False

    def begin(self, document: bytes) -> Placement:
        """`end` it when the prompt is of no use any more."""
        return Placement(self, document)

    async def add(self, document: bytes) -> None:
        try:
            await self._store.add_bytes(document)
        except Exception:
            self.is_trusted = False
            raise
        self.is_trusted = True
