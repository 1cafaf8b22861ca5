"""The trustless gateway, `GET /ipfs/CID[/path][?format=raw|car]`, for who verifies by itself."""

from collections.abc import AsyncIterator

from aiohttp import web

from decentralized_vllm.content.car import encode_block, encode_header
from decentralized_vllm.content.cid import ParsedCid
from decentralized_vllm.content.nodes import DirectoryNode
from decentralized_vllm.content.reads import ContentReads
from decentralized_vllm.content.server.leavers import let_leave
from decentralized_vllm.protocol.errors import (
    ContentError,
    ContentUnavailable,
    DvllmError,
    InvalidCid,
)

_RAW_TYPE = "application/vnd.ipld.raw"
_CAR_TYPE = "application/vnd.ipld.car"
# Bytes under a CID never change.
_HEADERS = {
    "Cache-Control": "public, max-age=29030400, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox",
}


def gateway_routes(reads: ContentReads) -> list[web.RouteDef]:
    """Routes to mount in any application; they serve what `reads` has, verified, and nothing else.

    A node mounts them over its own store, not over its list of sources: a gateway that fetches for
    strangers is a proxy.
    """
    handler = _GatewayHandler(reads)
    return [web.get("/ipfs/{path:.+}", handler.get)]


def gateway_app(reads: ContentReads) -> web.Application:
    app = web.Application(middlewares=[let_leave])
    app.add_routes(gateway_routes(reads))
    return app


class _GatewayHandler:
    def __init__(self, reads: ContentReads) -> None:
        self._reads = reads

    async def get(self, request: web.Request) -> web.StreamResponse:
        try:
            cid = await self._reads.resolve(request.match_info["path"])
            return await self._answer(request, cid)
        except InvalidCid as error:
            return _refusal(400, error)
        except ContentUnavailable as error:
            return _refusal(404, error)
        except ContentError as error:
            return _refusal(422, error)

    async def _answer(self, request: web.Request, cid: ParsedCid) -> web.StreamResponse:
        wanted = _wanted_format(request)
        headers = {**_HEADERS, "ETag": f'"{cid.text()}{"." + wanted if wanted else ""}"'}
        if wanted == "raw":
            return await self._raw_block(request, cid, headers)
        if wanted == "car":
            return await self._car(request, cid, headers)
        if wanted == "":
            return await self._file(request, cid, headers)
        return web.Response(status=400, text=f"format {wanted!r} is neither raw nor car\n")

    async def _raw_block(
        self, request: web.Request, cid: ParsedCid, headers: dict[str, str]
    ) -> web.Response:
        if request.method == "HEAD":
            here = await self._reads.has_block(cid.text())
            return web.Response(status=200 if here else 404, headers=headers)
        block = await self._reads.get_block(cid.text())
        return web.Response(body=block, content_type=_RAW_TYPE, headers=headers)

    async def _car(
        self, request: web.Request, cid: ParsedCid, headers: dict[str, str]
    ) -> web.StreamResponse:
        blocks = self._reads.blocks_below(cid.text())
        first = await anext(blocks)  # a missing root is a 404, not a broken stream
        response = web.StreamResponse(
            headers={**headers, "Content-Type": f"{_CAR_TYPE}; version=1; order=dfs; dups=n"}
        )
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await response.write(encode_header(cid) + encode_block(*first))
        return await _send(request, response, (encode_block(*item) async for item in blocks))

    async def _file(
        self, request: web.Request, cid: ParsedCid, headers: dict[str, str]
    ) -> web.StreamResponse:
        node = await self._reads.load(cid)
        if isinstance(node, DirectoryNode):
            text = "a directory: name a file below it, or ask with ?format=car\n"
            return web.Response(status=400, text=text)
        response = web.StreamResponse(
            headers={**headers, "Content-Type": "application/octet-stream"}
        )
        response.content_length = node.file_bytes
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        return await _send(request, response, self._reads.stream(cid.text()))


async def _send(
    request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """A failure on the way cuts the connection, so that the reader can't take it for the end."""
    try:
        async for piece in pieces:
            await response.write(piece)
    except DvllmError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("content became unreadable while it was sent") from None
    return response


def _wanted_format(request: web.Request) -> str:
    if "format" in request.query:
        return request.query["format"]
    accepted = request.headers.get("Accept", "")
    if _RAW_TYPE in accepted:
        return "raw"
    return "car" if _CAR_TYPE in accepted else ""


def _refusal(status: int, error: DvllmError) -> web.Response:
    return web.Response(status=status, text=f"{error.message}\n")
