"""`cat`, `ls` and `get`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from decentralized_vllm.content.dag_pb import PbLink
from decentralized_vllm.content.nodes import DirectoryNode, FileNode
from decentralized_vllm.content.server.answers import stream
from decentralized_vllm.content.server.arguments import BadArgument, flag, number, texts
from decentralized_vllm.content.store import PinningStore
from decentralized_vllm.content.tar import tar_pieces
from decentralized_vllm.content.unixfs import EntryType


class ReadCalls:
    def __init__(self, store: PinningStore) -> None:
        self._store = store

    def calls(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        return {"cat": self.cat, "ls": self.ls, "get": self.get}

    async def cat(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/plain", "X-Stream-Output": "1"}
        return await stream(request, self._cat_pieces(request), headers)

    async def _cat_pieces(self, request: web.Request) -> AsyncIterator[bytes]:
        offset, length = number(request, "offset") or 0, number(request, "length")
        for path in texts(request, "arg"):
            cid = (await self._store.resolve(path)).text()
            async for piece in self._store.stream(cid, offset=offset, length=length):
                yield piece

    async def ls(self, request: web.Request) -> web.StreamResponse:
        objects = [await self._listing(path) for path in texts(request, "arg")]
        return web.json_response({"Objects": objects})

    async def _listing(self, path: str) -> dict[str, Any]:
        node = await self._store.load(await self._store.resolve(path))
        entries = node.entries if isinstance(node, DirectoryNode) else ()
        return {"Hash": path, "Links": [await self._link(entry) for entry in entries]}

    async def _link(self, entry: PbLink) -> dict[str, Any]:
        node = await self._store.load(entry.cid)
        is_file = isinstance(node, FileNode)
        return {
            "Name": entry.name,
            "Hash": entry.cid.text(),
            "Size": node.file_bytes if isinstance(node, FileNode) else 0,
            "Type": int(EntryType.FILE if is_file else EntryType.DIRECTORY),
            "Target": "",
        }

    async def get(self, request: web.Request) -> web.StreamResponse:
        if flag(request, "compress"):
            raise BadArgument("compress is not supported")
        path, *more = texts(request, "arg")
        if more:
            raise BadArgument("get takes one argument")
        root = await self._store.resolve(path)
        name = path.rstrip("/").rpartition("/")[2]
        headers = {"Content-Type": "application/x-tar", "X-Stream-Output": "1"}
        return await stream(request, tar_pieces(self._store, root, name), headers)
