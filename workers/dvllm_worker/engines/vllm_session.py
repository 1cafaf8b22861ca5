"""One life of a vLLM server, ours or another's: who may ask it now, and when it is over."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from decentralized_vllm.protocol.errors import EngineRefused, PromptTooLong
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    GenerationChunk,
    GenerationRequest,
)
from dvllm_worker.engines.process import ChildProcess
from dvllm_worker.engines.stalls import StallWatch
from dvllm_worker.engines.vllm_api import VllmApi
from dvllm_worker.engines.vllm_embedding import Embedded, batches, vectors_chunk
from dvllm_worker.engines.vllm_messages import WrongModel

CLOSE_GRACE_S = 8.0


class VllmSession:
    """Ends by the server's exit, by its silence, or by the first answer of another model."""

    def __init__(
        self,
        api: VllmApi,
        identity: EngineIdentity,
        child: ChildProcess | None,
        *,
        makes_vectors: bool,
        n_slots: int,
        token_timeout_s: float,
    ) -> None:
        self.identity = identity
        self.child = child
        self._api = api
        self.makes_vectors = makes_vectors
        self._free_slots = asyncio.Semaphore(n_slots)
        self._watch = StallWatch(token_timeout_s, asyncio.get_running_loop().time)
        self._wrong_model: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ended(self) -> str:
        ways = [asyncio.create_task(self._stalled()), self._wrong_model]
        if self.child is not None:
            ways.append(asyncio.create_task(self.child.ended()))
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def close(self) -> None:
        """Every answer under way ends with EngineUnavailable."""
        await self._api.close()
        if self.child is not None:
            await self.child.close(grace_s=CLOSE_GRACE_S)

    async def is_well(self) -> bool:
        return await self._api.is_well()

    async def answer(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        try:
            async with aclosing(self._open_answer(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except WrongModel as error:
            if not self._wrong_model.done():
                self._wrong_model.set_result(str(error))
            raise

    def _open_answer(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        """One server does either: no feature tells text, which all others write."""
        if request.inputs is not None:
            return self._vectors(request.inputs)
        if self.makes_vectors:
            raise EngineRefused("this model makes vectors and writes no text")
        return self._text(request)

    async def _text(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        async with self._slot(), aclosing(self._fitted_answer(request)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _vectors(self, inputs: Sequence[str]) -> AsyncGenerator[GenerationChunk, None]:
        """Every batch takes a slot: what is under way together is batched anew by the server."""
        tasks = [asyncio.create_task(self._embed(batch)) for batch in batches(inputs)]
        try:
            parts = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        yield vectors_chunk(parts)

    async def _embed(self, batch: Sequence[str]) -> Embedded:
        async with self._slot():
            try:
                embedded = await self._api.embed(batch)
            except EngineRefused as error:
                if await self._is_one_too_long(batch):
                    raise PromptTooLong(error.message) from error
                raise
            self._watch.beat_all()
            return embedded

    async def _is_one_too_long(self, batch: Sequence[str]) -> bool:
        """The server says no more than that it refuses them, in words that change."""
        for text in sorted(batch, key=len, reverse=True):
            if not await self._api.fits(text):
                return True
            self._watch.beat_all()
        return False

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Of what the server is asked at once, and watched for silence meanwhile."""
        async with self._free_slots:
            key = object()
            self._watch.begin(key)
            try:
                yield
            finally:
                self._watch.end(key)

    async def _fitted_answer(
        self, request: GenerationRequest
    ) -> AsyncGenerator[GenerationChunk, None]:
        """vLLM refuses max_tokens beyond its context; then the answer gets what room there is."""
        wanted = request.parameters.max_tokens
        try:
            async with self._asked(request, wanted) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        except EngineRefused as error:
            room = await self._api.room_for_answer(request)
            if room <= 0:
                raise PromptTooLong(error.message) from error
            if room >= wanted:
                raise
        async with self._asked(request, room) as chunks:
            async for chunk in chunks:
                yield chunk

    def _asked(
        self, request: GenerationRequest, max_tokens: int
    ) -> aclosing[AsyncGenerator[GenerationChunk, None]]:
        return aclosing(self._api.answer(request, max_tokens, self._watch.beat_all))

    async def _stalled(self) -> str:
        await self._watch.stalled()
        return f"was hung: no token for {self._watch.timeout_s:g} s"
