"""The store a client writes prompts and models to: a Kubo-compatible API, or one of its own.

Opened at first use, since reading the chain needs none and an own store is held by one process.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from decentralized_vllm.content.cid import ParsedCid
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import ContentLimits, Progress
from decentralized_vllm.settings import ClientSettings


class OwnStore:
    """Raises SettingError and KeyInUse at first use, ContentUnavailable for a silent API."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._store: KuboStore | LocalStore | None = None
        self._opening = asyncio.Lock()

    async def add_bytes(self, data: bytes) -> Cid:
        return await (await self._opened()).add_bytes(data)

    async def add_path(self, path: Path, *, progress: Progress | None = None) -> Cid:
        return await (await self._opened()).add_path(path, progress=progress)

    async def read_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        return await (await self._opened()).read_bytes(cid, max_bytes=max_bytes)

    async def unpin(self, cid: Cid) -> None:
        await (await self._opened()).unpin(cid)

    async def check(self) -> None:
        """Raises ContentUnavailable when a Kubo-compatible API does not answer."""
        store = await self._opened()
        if isinstance(store, KuboStore):
            await store.version()

    async def blocks_below(
        self, cid: Cid, *, limits: ContentLimits
    ) -> AsyncIterator[tuple[ParsedCid, bytes]]:
        async for found in (await self._opened()).blocks_below(cid, limits=limits):
            yield found

    async def close(self) -> None:
        match self._store:
            case KuboStore():
                await self._store.close()
            case LocalStore():
                self._store.close()  # here: at the process's end no thread can be started any more
        self._store = None

    async def _opened(self) -> KuboStore | LocalStore:
        async with self._opening:
            if self._store is None:
                self._store = await self._open()
            return self._store

    async def _open(self) -> KuboStore | LocalStore:
        host = self._settings.ipfs_host
        if host is None:
            store = LocalStore(self._settings.store_path)
            await asyncio.to_thread(store.open)
            return store
        url = host if "://" in host else f"http://{_bracketed(host)}:{self._settings.ipfs_port}"
        return KuboStore(url, setting="ipfs_host")


def _bracketed(host: str) -> str:
    """An IPv6 address as a URL wants it."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
