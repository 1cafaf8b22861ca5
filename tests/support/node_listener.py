"""A worker's one listener on a real port, without the worker behind it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
from eth_account import Account
from eth_account.signers.local import LocalAccount

from decentralized_vllm.content.car import encode_block, encode_header
from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.server.gateway import gateway_routes
from decentralized_vllm.protocol.errors import ChainUnavailable, InsufficientFunds
from decentralized_vllm.protocol.ids import Address, Cid, JobId
from decentralized_vllm.protocol.request_auth import HttpRequest, body_digest, signed_headers
from dvllm_worker.content.arrivals import Arrivals
from dvllm_worker.http.blocks import BlockDoor
from dvllm_worker.http.callers import Callers
from dvllm_worker.http.events import EventStream
from dvllm_worker.http.hub import JobHub
from dvllm_worker.http.jobs import JobsSoonKnown
from dvllm_worker.http.listener import Listener, worker_app
from dvllm_worker.http.nonces import NonceBook
from dvllm_worker.http.orders import OrderDoor
from dvllm_worker.http.owners import Owners
from dvllm_worker.http.resources import ResourceDoor
from dvllm_worker.http.resume import ResumeDoor
from dvllm_worker.http.status import NodeStatus, StatusPage
from dvllm_worker.office.orders import Order
from dvllm_worker.pipeline.rows import JobRow
from dvllm_worker.pipeline.stages import Stage
from dvllm_worker.resources.meter import Meter
from tests.support.jobs import COORDINATOR, ME, requested, row
from tests.support.node_resources import NoGpu, Told, allotment_in

ASKER = Account.from_key("0x" + "22" * 32)
OPERATOR = Account.from_key("0x" + "44" * 32)
STRANGER = Account.from_key("0x" + "33" * 32)
PROMPT = b"a prompt of some length, " * 20_000  # more than one block


class Rows(dict[JobId, JobRow]):
    def latest(self, job_id: JobId) -> JobRow | None:
        return self.get(job_id)


@dataclass
class Door:
    url: str
    authority: str
    port: int
    rows: Rows
    hub: JobHub
    own: MemoryStore
    arrivals: Arrivals
    session: aiohttp.ClientSession
    asked: list[str]

    def hold(self, prompt_cid: Cid, stage: Stage = Stage.LEASED) -> JobRow:
        request = replace(requested(1), prompt_cid=prompt_cid, controller=Address(ASKER.address))
        held = replace(row(1, stage), request=request)
        self.rows[JobId(1)] = held
        return held

    def signed(
        self, path: str, account: LocalAccount = ASKER, nonce: str = "nonce-of-16-chars"
    ) -> dict[str, str]:
        request = HttpRequest(self.authority, "GET", path, body_digest(b""))
        return signed_headers(request, account, timestamp_s=int(time.time()), nonce=nonce)


@asynccontextmanager
async def node_door(tmp_path: Path) -> AsyncIterator[Door]:
    """Open on a free port; what the node offers and knows is set by the test."""
    rows, hub, own, arrivals, nonces = Rows(), JobHub(), MemoryStore(), Arrivals(), NonceBook()
    names: list[str] = []
    status = NodeStatus("0", ME, 1, COORDINATOR, 4, 3, 0, False, None, 1, [])
    callers = LateCallers(names, nonces)
    allotment, meter = allotment_in(tmp_path, Told()), Meter(tmp_path, NoGpu())
    jobs = JobsSoonKnown(rows, hub, within_s=0.5)
    owners = Owners(callers, [Address(OPERATOR.address)])
    asked: list[str] = []

    async def resume() -> bool:
        asked.append("resume")
        if len(asked) > 1:
            raise ChainUnavailable("out for lunch")
        return True

    async def do(order: Order) -> dict[str, Any]:
        asked.append(repr(order))
        if order.path == "/unstake":
            raise InsufficientFunds("too little", hint="stake more")
        return {"node": "me"}

    app = worker_app(
        gateway_routes(own),
        BlockDoor(jobs, own, arrivals),
        EventStream(jobs, hub, callers),
        StatusPage(lambda: status),
        ResourceDoor(allotment, meter, owners),
        ResumeDoor(resume, owners),
        OrderDoor(do, owners),
    )
    async with (
        Listener(app, host="127.0.0.1", port=0, head_timeout_s=0.5) as listener,
        aiohttp.ClientSession() as session,
    ):
        authority = f"127.0.0.1:{listener.port}"
        names.append(authority)
        yield Door(
            f"http://{authority}",
            authority,
            listener.port,
            rows,
            hub,
            own,
            arrivals,
            session,
            asked,
        )


class LateCallers(Callers):
    """The port, and with it the listener's name, is known once it listens."""

    def __init__(self, names: list[str], nonces: NonceBook) -> None:
        super().__init__((), nonces)
        self._authorities = names  # type: ignore[assignment]


async def car_of(data: bytes) -> tuple[Cid, bytes]:
    store = MemoryStore()
    cid = await store.add_bytes(data)
    blocks = [encode_block(each, block) async for each, block in store.blocks_below(cid)]
    return cid, encode_header(parse_cid(cid)) + b"".join(blocks)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
