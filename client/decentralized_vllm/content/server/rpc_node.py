"""`id`, `version`, `swarm/…` and `repo/…`: what tools ask to see whom they talk to."""

import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from decentralized_vllm.content.cid import encode_base58
from decentralized_vllm.content.server.answers import stream_lines
from decentralized_vllm.content.server.arguments import BadArgument
from decentralized_vllm.content.store import PinningStore

# The Kubo whose calls these are; clients choose their spelling by it.
_KUBO_VERSION = "0.22.0"
_REPO_VERSION = "14"
# An identity multihash of a protobuf with an Ed25519 key of 32 bytes.
_PEER_ID_HEAD = b"\x00\x24\x08\x01\x12\x20"
_UNLIMITED_BYTES = 2**63 - 1


class NodeCalls:
    def __init__(self, store: PinningStore) -> None:
        self._store = store
        # There is no libp2p node behind this, but clients refuse an answer without a peer id.
        self._peer_id = encode_base58(_PEER_ID_HEAD + os.urandom(32))

    def calls(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        return {
            "id": self.identity,
            "version": self.version,
            "swarm/connect": self.connect,
            "swarm/peers": self.peers,
            "repo/stat": self.repo_stat,
            "repo/gc": self.collect,
        }

    async def identity(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "ID": self._peer_id,
                "PublicKey": "",
                "Addresses": [],
                "AgentVersion": "decentralized-vllm",
                "Protocols": [],
            }
        )

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "Version": _KUBO_VERSION,
                "Commit": "",
                "Repo": _REPO_VERSION,
                "System": f"{platform.machine()}/{platform.system().lower()}",
                "Golang": "",
            }
        )

    async def connect(self, request: web.Request) -> web.Response:
        raise BadArgument("this store has no swarm; it reads from the gateways it is given")

    async def peers(self, request: web.Request) -> web.Response:
        return web.json_response({"Peers": []})

    async def repo_stat(self, request: web.Request) -> web.Response:
        usage = await self._store.usage()
        return web.json_response(
            {
                "RepoSize": usage.n_bytes,
                "StorageMax": usage.max_bytes or _UNLIMITED_BYTES,
                "NumObjects": usage.n_blocks,
                "RepoPath": "",
                "Version": f"fs-repo@{_REPO_VERSION}",
            }
        )

    async def collect(self, request: web.Request) -> web.StreamResponse:
        return await stream_lines(request, self._collected())

    async def _collected(self) -> AsyncIterator[dict[str, Any]]:
        for cid in await self._store.collect_garbage():
            yield {"Key": {"/": cid}}
