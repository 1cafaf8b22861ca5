"""`pin/add`, `pin/rm` and `pin/ls`. Pins are always recursive."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from decentralized_vllm.content.server.answers import stream_lines
from decentralized_vllm.content.server.arguments import BadArgument, flag, texts
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.protocol.errors import ContentUnavailable
from decentralized_vllm.protocol.ids import Cid

_KIND = "recursive"


class PinCalls:
    def __init__(self, store: PinningStore) -> None:
        self._store = store

    def calls(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        return {"pin/add": self.add, "pin/rm": self.remove, "pin/ls": self.ls}

    async def add(self, request: web.Request) -> web.Response:
        cids = await self._named(request)
        for cid in cids:
            await self._store.pin(cid)
        return web.json_response({"Pins": cids})

    async def remove(self, request: web.Request) -> web.Response:
        cids = await self._named(request)
        await self._check_pinned(cids)
        for cid in cids:
            await self._store.unpin(cid)
        return web.json_response({"Pins": cids})

    async def ls(self, request: web.Request) -> web.StreamResponse:
        kind = request.query.get("type", "all")
        if kind not in ("all", "recursive", "direct", "indirect"):
            raise BadArgument(f"type {kind} is unknown")
        pins = await self._store.pins()
        if "arg" in request.query:
            pins = await self._named(request)
            await self._check_pinned(pins)
        if kind not in ("all", _KIND):
            pins = []
        if flag(request, "stream"):
            return await stream_lines(request, _lines(pins))
        return web.json_response({"Keys": {cid: {"Type": _KIND} for cid in pins}})

    async def _named(self, request: web.Request) -> list[Cid]:
        if not flag(request, "recursive", True):
            raise BadArgument("only recursive pins are supported")
        return [(await self._store.resolve(path)).text() for path in texts(request, "arg")]

    async def _check_pinned(self, cids: list[Cid]) -> None:
        pinned = set(await self._store.pins())
        for cid in cids:
            if cid not in pinned:
                raise ContentUnavailable(f"{cid} is not pinned")


async def _lines(pins: list[Cid]) -> AsyncIterator[dict[str, Any]]:
    for cid in pins:
        yield {"Cid": cid, "Type": _KIND}
