"""An existing Kubo (or our own server) by its RPC address. What it says is verified here."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic_core import from_json

from decentralized_vllm.content.budget import MAX_BLOCK_BYTES
from decentralized_vllm.content.cid import CODEC_NAMES, ParsedCid, parse_cid
from decentralized_vllm.content.dag_builder import discard_block
from decentralized_vllm.content.http_client import ContentHttp, HttpTimeouts, read_limited
from decentralized_vllm.content.importer import TreeImport, bytes_to_import, cid_of_bytes
from decentralized_vllm.content.multipart import Body, Multipart
from decentralized_vllm.content.profiles import V1, ImportProfile
from decentralized_vllm.content.reads import VerifyingReads, parse_to_store
from decentralized_vllm.protocol.errors import (
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    SettingError,
)
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.ports import Progress

_MAX_ANSWER_BYTES = 64 * 1024 * 1024  # an `add` answers a line for each file
_SLOWEST_BYTES_PER_S = 1_000_000  # transfers slower than this run into the time limit
_PIN_S = 600.0
_KUBO_MAX_LINKS = 174  # what every Kubo uses; only newer ones can be told otherwise
_BIG_BLOCK_BYTES = 1024 * 1024


class KuboStore(VerifyingReads):
    """`KuboStore("http://127.0.0.1:5001", profile=V1, timeouts=…)`; `await close()` at the end.

    Reads fetch raw blocks. Adds send every parameter that decides the CID and compare the answer
    with the CID computed here, since a Kubo's defaults may be anything.
    """

    def __init__(
        self,
        api_url: str,
        profile: ImportProfile = V1,
        *,
        timeouts: HttpTimeouts | None = None,
        setting: str = "ipfs_api",
    ) -> None:
        self.profile = profile
        _check_url(api_url, setting)
        self._base = f"{api_url.rstrip('/')}/api/v0/"
        self._setting = setting
        self._timeouts = timeouts or HttpTimeouts()
        self._multipart = Multipart()
        # The operator names this address, and it is loopback as a rule.
        self._http = ContentHttp(self._timeouts, public_only=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.close()

    async def version(self) -> str:
        """What it calls itself. Raises SettingError if this is no Kubo RPC."""
        (answer,) = await self._lines("version", {})
        return str(answer.get("Version", ""))

    async def answers(self) -> bool:
        """Whether it works as a Kubo RPC now."""
        try:
            await self.version()
        except (ContentUnavailable, ContentTooLarge, SettingError):
            return False
        return True

    async def _load_block(self, cid: ParsedCid) -> bytes:
        return await self._call("block/get", {"arg": cid.text()}, max_bytes=MAX_BLOCK_BYTES)

    async def has_block(self, cid: Cid) -> bool:
        """Whether the Kubo itself has it; it does not ask its network."""
        parse_cid(cid)
        try:
            await self._lines("block/stat", {"arg": cid, "offline": "true"})
        except ContentUnavailable:
            return False
        return True

    async def put_block(self, cid: Cid, block: bytes) -> None:
        parsed = parse_to_store(cid, block)
        parameters = {"cid-codec": CODEC_NAMES[parsed.codec], "mhtype": "sha2-256"}
        if len(block) > _BIG_BLOCK_BYTES:
            parameters["allow-big-block"] = "true"
        answer = await self._lines("block/put", parameters, self._multipart.of_bytes(block))
        stored = parse_cid(str(answer[-1].get("Key", "")))
        if stored.digest != parsed.digest:
            raise ContentMismatch(f"the Kubo stored {stored.text()} instead of {cid}")

    async def add_bytes(self, data: bytes) -> Cid:
        expected = cid_of_bytes(data, self.profile)
        return await self._add(expected, self._multipart.of_bytes(data), len(data))

    async def add_path(self, path: Path, *, progress: Progress | None = None) -> Cid:
        """Reads the path twice: to know its CID, then to send it. Progress is of the first."""
        total_bytes = await asyncio.to_thread(bytes_to_import, path) if progress else None
        tree = TreeImport(path, self.profile, discard_block)
        while await asyncio.to_thread(tree.step):
            if progress is not None:
                progress(tree.done_bytes, total_bytes)
        body = self._multipart.of_path(path)
        return await self._add(tree.root.cid.text(), body, tree.done_bytes)

    async def pin(self, cid: Cid) -> None:
        """The Kubo fetches what it lacks; ten minutes are given."""
        await self._lines("pin/add", {"arg": parse_cid(cid).text()}, total_s=_PIN_S)

    async def unpin(self, cid: Cid) -> None:
        if cid in await self.pins():
            await self._lines("pin/rm", {"arg": cid})

    async def pins(self) -> list[Cid]:
        (answer,) = await self._lines("pin/ls", {"type": "recursive"})
        return sorted(Cid(cid) for cid in answer.get("Keys") or {})

    async def _add(self, expected: Cid, body: Body, n_bytes: int) -> Cid:
        total_s = self._timeouts.total_s + n_bytes / _SLOWEST_BYTES_PER_S
        parameters = _add_parameters(self.profile)
        lines = await self._lines("add", parameters, body, total_s=total_s)
        stored = str(lines[-1].get("Hash", ""))
        if stored != expected:
            raise ContentMismatch(
                f"the Kubo stored {stored or 'nothing'} instead of {expected}",
                hint=f"a file changed meanwhile, or it lacks the profile {self.profile.name}",
            )
        return expected

    async def _lines(
        self,
        call: str,
        parameters: dict[str, str],
        body: Body | None = None,
        *,
        total_s: float | None = None,
    ) -> list[dict[str, Any]]:
        answer = await self._call(call, parameters, body, total_s=total_s)
        try:
            lines = [from_json(line) for line in answer.splitlines()]
        except ValueError as error:
            raise self._no_kubo(f"answers {call} with something else than JSON") from error
        if not lines or not all(isinstance(line, dict) for line in lines):
            raise self._no_kubo(f"answers {call} with something else than objects")
        return lines

    async def _call(
        self,
        call: str,
        parameters: dict[str, str],
        body: Body | None = None,
        *,
        total_s: float | None = None,
        max_bytes: int = _MAX_ANSWER_BYTES,
    ) -> bytes:
        headers = self._multipart.headers if body is not None else {}
        async with self._http.request(
            "POST",
            self._base + call,
            total_s=total_s,
            params=parameters,
            data=body,
            headers=headers,
        ) as response:
            answer = await read_limited(response, max_bytes)
            if response.status == 200:
                return answer
            if response.status == 500:
                raise ContentUnavailable(f"{call} failed: {_message(answer)}")
            if response.status > 500:  # of what stands before it
                raise ContentUnavailable(f"{self._base} answered {response.status}")
            raise self._no_kubo(f"answers {call} with status {response.status}")

    def _no_kubo(self, what: str) -> SettingError:
        return SettingError(self._setting, f"{self._base} {what}", hint="is it a Kubo RPC address?")


def _add_parameters(profile: ImportProfile) -> dict[str, str]:
    parameters = {
        "cid-version": str(profile.cid_version),
        "raw-leaves": str(profile.raw_leaves).lower(),
        "chunker": f"size-{profile.chunk_bytes}",
        "hash": "sha2-256",
        "pin": "true",
    }
    if profile.max_links != _KUBO_MAX_LINKS:
        parameters["max-file-links"] = str(profile.max_links)
    return parameters


def _message(answer: bytes) -> str:
    """Kubo's error text, cut and made printable: it is foreign text on its way into our log."""
    try:
        text = str(from_json(answer)["Message"])
    except (ValueError, KeyError, TypeError):
        text = answer[:200].decode(errors="replace")
    return "".join(char if char.isprintable() else "?" for char in text[:200])


def _check_url(url: str, setting: str) -> None:
    """Raises SettingError, which does not show the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # an address or a port that can be none
        is_usable = False
    if not is_usable:
        raise SettingError(setting, "is not an http(s) URL")
