"""Calls to a Kubo-compatible RPC, as plain as HTTP allows."""

import io
import json
from pathlib import Path

import aiohttp

from decentralized_vllm.content.server.listeners import ContentServer


class Rpc:
    """Posts to one server and reads JSON lines."""

    def __init__(self, server: ContentServer, http: aiohttp.ClientSession) -> None:
        self._base = f"{server.api_url}/api/v0/"
        self._http = http

    def post(self, call: str, files: object = None, **params: object) -> object:
        query = [
            (key.replace("_", "-"), str(item))
            for key, value in params.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        return self._http.post(self._base + call, params=query, data=files)

    async def lines(self, call: str, files: object = None, **params: object) -> list[dict]:
        async with self.post(call, files, **params) as response:
            assert response.status == 200, await response.text()
            return [json.loads(line) for line in (await response.text()).splitlines()]

    async def error(self, call: str, files: object = None, **params: object) -> tuple[int, str]:
        async with self.post(call, files, **params) as response:
            body = await response.json()
            assert body["Type"] == "error"
            return response.status, body["Message"]


def form(files: dict[str, bytes | None]) -> aiohttp.FormData:
    """Files by path; None is a directory."""
    data = aiohttp.FormData(quote_fields=False)
    for path, content in files.items():
        quoted = path.replace("/", "%2F")
        if content is None:
            kind = "application/x-directory"
            data.add_field("file", b"", filename=quoted, content_type=kind)
        else:
            data.add_field("file", io.BytesIO(content), filename=quoted)
    return data


def tree_form(folder: Path) -> aiohttp.FormData:
    root = folder.parent
    return form(
        {
            str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
            for path in [folder, *sorted(folder.rglob("*"))]
        }
    )
