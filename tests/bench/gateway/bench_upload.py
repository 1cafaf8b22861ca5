"""What the gateway weighs while it takes a model of a gigabyte, checks it and stores it."""

import asyncio
import secrets
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from eth_account import Account

from decentralized_vllm.content.importer import cid_of_path
from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.protocol.request_auth import HttpRequest, form_digest, signed_headers
from tests.bench.figures import Figure, at_most, show
from tests.bench.gateway.load import session
from tests.bench.gateway.stand import Stand, open_stand
from tests.support.big_model import big_model, peak_rss_bytes

N_BYTES = 1 << 30
PATH = "/api/models/upload"
TEXTS = {"modelId": "big", "name": "Big", "description": "A gigabyte of zeros"}
MB = 10**6


def signed(stand: Stand, digest: str) -> dict[str, str]:
    """As the models' owner, who deployed the contracts."""
    owner = Account.from_key(stand.network.manifest.accounts[0].private_key)
    request = HttpRequest(urlsplit(stand.dvllm_url).netloc, "POST", PATH, digest)
    headers = signed_headers(
        request, owner, timestamp_s=int(time.time()), nonce=secrets.token_urlsafe(16)
    )
    return {**headers, "X-Content-Digest": digest}


def form(folder: Path, files: ExitStack) -> aiohttp.FormData:
    data = aiohttp.FormData(TEXTS, default_to_multipart=True)
    for path in sorted(folder.iterdir()):
        data.add_field("file", files.enter_context(path.open("rb")), filename=path.name)
    return data


async def upload(stand: Stand, folder: Path, cid: Cid) -> None:
    with ExitStack() as files:
        data = form(folder, files)
        headers = signed(stand, form_digest(TEXTS, cid))
        url = stand.dvllm_url + PATH
        timeout = aiohttp.ClientTimeout(total=600)
        async with (
            session(headers) as opened,
            opened.post(url, data=data, timeout=timeout) as answer,
        ):
            if answer.status != 201 or (await answer.json())["cid"] != cid:
                raise RuntimeError(f"{answer.status}: {await answer.text()}")


async def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = await asyncio.to_thread(big_model, Path(temporary) / "big", N_BYTES)
        cid = await asyncio.to_thread(cid_of_path, folder)
        async with open_stand() as stand:
            before_cpu_s, began_s = stand.cpu_s(), time.perf_counter()
            work = asyncio.create_task(upload(stand, folder, cid))
            peak = await peak_rss_bytes(stand.gateway, work)
            work.result()
            took_s = time.perf_counter() - began_s
            cpu_s = stand.cpu_s() - before_cpu_s
    return [
        Figure("upload_peak_rss_mb", peak / MB, "MB", at_most(200)),
        Figure("upload_cpu_s", cpu_s, "s"),
        Figure("upload_s", took_s, "s"),
    ]


if __name__ == "__main__":
    show(f"An upload of {N_BYTES >> 20} MiB", asyncio.run(measure()))
