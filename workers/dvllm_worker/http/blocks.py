"""`POST /jobs/{id}/blocks`: a requester hands over the blocks of its prompt, as a CAR v1.

No signature is asked: only blocks below the prompt CID of a job that this node holds are taken,
and they hash to what the chain already says.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from decentralized_vllm.content.car import CarReader
from decentralized_vllm.content.cid import ParsedCid, check_block, parse_cid
from decentralized_vllm.content.nodes import DirectoryNode, decode_block
from decentralized_vllm.content.store import Import, PinningStore
from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES
from decentralized_vllm.protocol.errors import (
    ContentError,
    ContentMalformed,
    ContentMismatch,
    ContentTooLarge,
    InvalidCid,
    StorageFull,
)
from decentralized_vllm.protocol.ids import Cid
from dvllm_worker.content.arrivals import Arrivals
from dvllm_worker.http.errors import refusal
from dvllm_worker.http.jobs import JobsSoonKnown, job_id_of
from dvllm_worker.pipeline.stages import Stage

MAX_BLOCKS = 64
MAX_CAR_BYTES = MAX_PROMPT_BYTES + 64 * 1024
BODY_TIMEOUT_S = 30.0
PIECE_BYTES = 64 * 1024

_WANTED = frozenset({Stage.SEEN, Stage.TAKING, Stage.LEASED})


@dataclass(frozen=True, slots=True)
class _Block:
    cid: ParsedCid
    data: bytes


@dataclass(frozen=True, slots=True)
class _Received:
    blocks: list[_Block]
    is_whole: bool


class BlockDoor:
    def __init__(self, jobs: JobsSoonKnown, own: PinningStore, arrivals: Arrivals) -> None:
        self._jobs = jobs
        self._own = own
        self._arrivals = arrivals

    async def post(self, request: web.Request) -> web.Response:
        row = await self._jobs.latest(job_id_of(request))
        if row is None:
            return refusal(404, "this node holds no such job")
        if row.stage not in _WANTED:
            return web.json_response({"accepted": 0})  # it has the prompt, or no use for it
        prompt_cid = row.request.prompt_cid
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                received = await read_prompt_blocks(parse_cid(prompt_cid), _body(request))
            await self._keep(prompt_cid, received)
        except TimeoutError:
            return refusal(408, f"the body took longer than {BODY_TIMEOUT_S:.0f} s")
        except ContentTooLarge as error:
            return refusal(413, error.message)
        except (ContentError, InvalidCid) as error:
            return refusal(400, error.message)
        except StorageFull as error:
            return refusal(507, error.message)
        self._arrivals.tell(prompt_cid)
        return web.json_response({"accepted": len(received.blocks)})

    async def _keep(self, prompt_cid: Cid, received: _Received) -> None:
        """Pinned, so that no collection takes the prompt before it is read."""
        async with self._own.importing() as run:
            await asyncio.to_thread(_store, run, received.blocks)
            if received.is_whole:
                await run.pin(prompt_cid)


def _store(run: Import, blocks: list[_Block]) -> None:
    """In one trip to a thread: most prompts are one block."""
    for block in blocks:
        run.sink(block.cid, block.data)
    run.flush_now()


async def read_prompt_blocks(root: ParsedCid, body: AsyncIterator[bytes]) -> _Received:
    """The verified blocks of one file, parents first and nothing beside it.

    Of a directory only the root is taken: enough for the pipeline to see that it is no prompt.
    Raises ContentMalformed, ContentMismatch, ContentTooLarge.
    """
    car = CarReader(body)
    if [cid.digest for cid in await car.roots()] != [root.digest]:
        raise ContentMalformed("the CAR's root is not the prompt of this job")
    wanted = {root.digest: root}
    blocks: list[_Block] = []
    async for named, data in car.blocks():
        cid = wanted.pop(named.digest, None)
        if cid is None:
            raise ContentMismatch("a block does not belong to the prompt of this job")
        check_block(cid, data)
        blocks.append(_Block(cid, data))
        node = decode_block(cid, data)
        if isinstance(node, DirectoryNode):
            return _Received(blocks, is_whole=False)
        wanted.update((part.cid.digest, part.cid) for part in node.parts)
        if len(blocks) + len(wanted) > MAX_BLOCKS:
            raise ContentTooLarge(f"a prompt of more than {MAX_BLOCKS} blocks")
    if wanted:
        raise ContentMalformed(f"{len(wanted)} blocks of the prompt are missing")
    return _Received(blocks, is_whole=True)


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    n_bytes = 0
    async for piece in request.content.iter_chunked(PIECE_BYTES):
        n_bytes += len(piece)
        if n_bytes > MAX_CAR_BYTES:
            raise ContentTooLarge(f"the CAR has more than {MAX_CAR_BYTES} bytes")
        yield piece
