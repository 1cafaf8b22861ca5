"""`block/put|get|stat` and `dag/import|export`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from decentralized_vllm.content.budget import MAX_BLOCK_BYTES
from decentralized_vllm.content.car import CarReader, encode_block, encode_header
from decentralized_vllm.content.cid import DAG_PB, RAW, hash_block
from decentralized_vllm.content.reads import parse_to_store
from decentralized_vllm.content.server.answers import stream, stream_lines
from decentralized_vllm.content.server.arguments import BadArgument, flag, text
from decentralized_vllm.content.server.uploads import Upload, uploads
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import ContentError, ContentTooLarge, ContentUnavailable
from decentralized_vllm.protocol.ids import Cid

_FORMATS = {"v0": (0, DAG_PB), "protobuf": (1, DAG_PB), "dag-pb": (1, DAG_PB), "raw": (1, RAW)}


class BlockCalls:
    def __init__(self, store: PinningStore) -> None:
        self._store = store

    def calls(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        return {
            "block/put": self.put,
            "block/get": self.get,
            "block/stat": self.stat,
            "dag/import": self.import_car,
            "dag/export": self.export_car,
        }

    async def get(self, request: web.Request) -> web.Response:
        cid = await self._store.resolve(text(request, "arg"))
        block = await self._store.get_block(cid.text())
        return web.Response(body=block, headers={"X-Stream-Output": "1"})

    async def stat(self, request: web.Request) -> web.Response:
        cid = (await self._store.resolve(text(request, "arg"))).text()
        return web.json_response({"Key": cid, "Size": len(await self._store.get_block(cid))})

    async def put(self, request: web.Request) -> web.StreamResponse:
        return await stream_lines(request, self._put_lines(request))

    async def _put_lines(self, request: web.Request) -> AsyncIterator[dict[str, Any]]:
        version, codec = _block_kind(request)
        async with self._store.importing() as run:
            async for upload in uploads(request):
                block = await _whole_block(upload)
                cid = hash_block(block, version=version, codec=codec)
                await asyncio.to_thread(run.sink, cid, block)
                if flag(request, "pin"):
                    await run.flush()
                    await self._store.pin(cid.text())
                yield {"Key": cid.text(), "Size": len(block)}

    async def export_car(self, request: web.Request) -> web.StreamResponse:
        cid = await self._store.resolve(text(request, "arg"))

        async def pieces() -> AsyncIterator[bytes]:
            yield encode_header(cid)
            async for block_cid, block in self._store.blocks_below(cid.text()):
                yield encode_block(block_cid, block)

        await self._store.get_block(cid.text())  # a missing root is an error, not an empty file
        headers = {"Content-Type": "application/vnd.ipld.car", "X-Stream-Output": "1"}
        return await stream(request, pieces(), headers)

    async def import_car(self, request: web.Request) -> web.StreamResponse:
        return await stream_lines(request, self._import_lines(request))

    async def _import_lines(self, request: web.Request) -> AsyncIterator[dict[str, Any]]:
        n_blocks = n_bytes = 0
        roots: list[Cid] = []
        async with self._store.importing() as run:
            async for upload in uploads(request):
                car = CarReader(upload.pieces())
                roots += [root.text() for root in await car.roots()]
                async for cid, block in car.blocks():
                    parsed = parse_to_store(cid.text(), block)
                    await asyncio.to_thread(run.sink, parsed, block)
                    n_blocks, n_bytes = n_blocks + 1, n_bytes + len(block)
            await run.flush()
            for root in roots:
                yield await self._root_line(root, flag(request, "pin-roots", True))
        if flag(request, "stats"):
            yield {"Stats": {"BlockCount": n_blocks, "BlockBytesCount": n_bytes}}

    async def _root_line(self, root: Cid, pin: bool) -> dict[str, Any]:
        problem = ""
        if pin:
            try:
                await self._store.pin(root)
            except (ContentUnavailable, ContentError) as error:
                problem = error.message
        return {"Root": {"Cid": {"/": root}, "PinErrorMsg": problem}}


async def _whole_block(upload: Upload) -> bytes:
    block = bytearray()
    async for piece in upload.pieces():
        block += piece
        if len(block) > MAX_BLOCK_BYTES:
            raise ContentTooLarge(f"a block has at most {MAX_BLOCK_BYTES} bytes")
    return bytes(block)


def _block_kind(request: web.Request) -> tuple[int, int]:
    """(CID version, codec); `format` is the older name of `cid-codec`."""
    if request.query.get("mhtype", "sha2-256") != "sha2-256":
        raise BadArgument("only mhtype=sha2-256 is supported")
    name = request.query.get("format") or request.query.get("cid-codec") or "raw"
    if name not in _FORMATS:
        raise BadArgument(f"codec {name} is not supported, only {', '.join(_FORMATS)} are")
    return _FORMATS[name]
