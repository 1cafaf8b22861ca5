"""The node's own content store is down: that is the node's matter and never the requester's."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from decentralized_vllm.content.car import encode_block, encode_header
from decentralized_vllm.content.cid import parse_cid
from decentralized_vllm.content.importer import cid_of_bytes
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.protocol.events import JobFailed, JobHandedBack
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.jobs import FailureCode, JobStatus
from tests.faults.proxy import Fault, FaultProxy
from tests.support.anvil import Anvil
from tests.support.content_process import serving
from tests.support.engines import tiny_model_path
from tests.support.ports import free_port
from tests.support.worker_network import TERMS, WorkerNetwork, worker_network
from tests.support.worker_process import WorkerProcess, run_in_thread

BRIEF_S = 12  # a lease that ends within a test, whatever becomes of it
LONG_S = 240  # a lease that outlasts the trouble
ESCROW_WEI = TERMS.max_fee_gwei * 10**9
SLOTS = 4
PROMPT = b"a prompt that is in one store"


@dataclass
class OwnStore:
    """The operator's `dvllm content serve`, in a process that a test stops and starts."""

    folder: Path
    api_port: int
    gateway_port: int
    process: "AbstractContextManager[Any] | None" = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def start(self) -> None:
        self.process = serving(self.folder, api_port=self.api_port, gateway_port=self.gateway_port)
        self.process.__enter__()

    def stop(self) -> None:
        if self.process is not None:
            self.process.__exit__(None, None, None)
            self.process = None

    def settings(self, *, is_mirror: bool = False) -> dict[str, Any]:
        gateways = [f"http://127.0.0.1:{self.gateway_port}"]
        mirror = {"mirror_api": self.api_url} if is_mirror else {}
        return {"gateways": gateways, "fetch_timeout_s": 2.0, **mirror}


@pytest.fixture
def lease_s() -> int:
    return BRIEF_S


@pytest.fixture
async def net(anvil: Anvil, tmp_path: Path, lease_s: int) -> AsyncIterator[WorkerNetwork]:
    async with worker_network(anvil, tmp_path, replace(TERMS, lease_s=lease_s)) as net:
        await net.mine_every_second()
        yield net


@pytest.fixture
async def own_store(tmp_path: Path) -> AsyncIterator[OwnStore]:
    """Running, with the model and a prompt."""
    store = OwnStore(tmp_path / "own", free_port(), free_port())
    store.start()
    async with KuboStore(store.api_url) as kubo:
        await kubo.add_path(tiny_model_path())
        await kubo.add_bytes(PROMPT)
    yield store
    store.stop()


@pytest.fixture
def worker(net: WorkerNetwork, own_store: OwnStore) -> Iterator[WorkerProcess]:
    """Set up with the operator's store for reading; where answers go is not under test."""
    content = {**own_store.settings(), "mirror_api": net.server.api_url}
    with net.worker(content=content, node={"slots": SLOTS}) as worker:
        yield worker


async def on_duty(net: WorkerNetwork, worker: WorkerProcess) -> None:
    await net.enlist(worker, slots=SLOTS)
    worker.start()
    await worker.on_duty()


async def handed_back(net: WorkerNetwork, job_id: JobId) -> JobHandedBack:
    """How the job's first lease ended. The requester lost nothing by it."""
    await net.reaches(job_id, JobStatus.OPEN, JobStatus.FAILED)
    events = await net.network.jobs.events(job_id)
    assert not [event for event in events if isinstance(event, JobFailed)]
    [ending] = [event for event in events if isinstance(event, JobHandedBack)]
    return ending


async def status_of(worker: WorkerProcess) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{worker.url}/status") as answer:
        status: dict[str, Any] = await answer.json()
        return status


async def slots_become(net: WorkerNetwork, worker: WorkerProcess, wanted: int) -> None:
    async with asyncio.timeout(180):
        while True:
            node = await net.network.node_registry.node(worker.address)
            if node.profile.slots == wanted:
                return
            await asyncio.sleep(0.1)


async def hand_over(worker: WorkerProcess, job_id: JobId, prompt: bytes) -> int:
    """As a requester does; the answer's status."""
    store = MemoryStore()
    cid = await store.add_bytes(prompt)
    blocks = [encode_block(each, block) async for each, block in store.blocks_below(cid)]
    car = encode_header(parse_cid(cid)) + b"".join(blocks)
    url = f"{worker.url}/jobs/{job_id}/blocks"
    async with aiohttp.ClientSession() as http, http.post(url, data=car) as answer:
        return answer.status


async def test_own_store_stopped__for_a_whole_lease__node_pays_and_rests_until_it_is_back(
    net: WorkerNetwork, own_store: OwnStore, worker: WorkerProcess
) -> None:
    await on_duty(net, worker)
    own_store.stop()
    first = await net.submit(cid_of_bytes(PROMPT))
    ending = await handed_back(net, first)
    assert (ending.code, ending.charge_wei) == (FailureCode.BUSY, ESCROW_WEI // 50)
    status = await status_of(worker)
    assert status["free_slots"] == 0
    assert status["paused_because"] == "content.gateways: none of them answers"
    told = (await run_in_thread(worker, "status")).stdout
    assert "paused     content.gateways: none of them answers" in told
    await worker.logged("content.gateways: none of them answers")
    await slots_become(net, worker, 0)
    meanwhile = await net.submit(cid_of_bytes(PROMPT))
    assert (await net.state(meanwhile)).status is JobStatus.OPEN

    own_store.start()
    await slots_become(net, worker, SLOTS)
    assert (await status_of(worker))["paused_because"] is None
    delivered = await net.reaches(meanwhile, JobStatus.DELIVERED)
    assert delivered.node == worker.address
    assert not (await net.network.coordinator.node(worker.address)).is_suspended


@pytest.mark.parametrize("lease_s", [LONG_S])
async def test_own_store_stopped__back_within_the_lease__answered(
    net: WorkerNetwork, own_store: OwnStore, worker: WorkerProcess
) -> None:
    await on_duty(net, worker)
    own_store.stop()
    job_id = await net.submit(cid_of_bytes(PROMPT))
    await worker.logged("content.gateways: none of them answers")
    own_store.start()
    await net.reaches(job_id, JobStatus.DELIVERED)
    assert worker.stages(job_id).count("leased") == 1


@pytest.mark.parametrize("lease_s", [LONG_S])
async def test_own_store_stopped__prompt_is_handed_over__answered(
    net: WorkerNetwork, own_store: OwnStore, worker: WorkerProcess
) -> None:
    worker.change("content", fetch_timeout_s=60.0)
    await on_duty(net, worker)
    own_store.stop()
    job_id = await net.submit(b"handed over")
    assert await hand_over(worker, job_id, b"handed over") == 200
    await net.reaches(job_id, JobStatus.DELIVERED)
    assert "no new jobs" not in worker.log_text()


@pytest.mark.parametrize("lease_s", [2 * BRIEF_S])
async def test_own_store_stopped__answer_can_not_be_mirrored__node_pays(
    net: WorkerNetwork, own_store: OwnStore
) -> None:
    content = own_store.settings(is_mirror=True)
    with net.worker(content=content, node={"slots": SLOTS}) as worker:
        await on_duty(net, worker)
        own_store.stop()
        job_id = await net.submit(b"handed over")
        assert await hand_over(worker, job_id, b"handed over") == 200
        ending = await handed_back(net, job_id)
        assert ending.code is FailureCode.BUSY
        assert "generated" in worker.stages(job_id)
        await worker.logged("content.mirror_api: ")
        own_store.start()
        await slots_become(net, worker, SLOTS)


@pytest.mark.parametrize("fault", [Fault.STATUS, Fault.HANG, Fault.WRONG_ANSWER])
async def test_own_store_out_of_order__takes_calls_but_answers_none__node_pays(
    net: WorkerNetwork, own_store: OwnStore, fault: Fault
) -> None:
    """503, silence, and something that is no block: none of it says that the prompt is missing."""
    async with FaultProxy("127.0.0.1", own_store.gateway_port) as proxy:
        content = {**own_store.settings(), "gateways": [proxy.url]}
        with net.worker(content=content, node={"slots": SLOTS}) as worker:
            await on_duty(net, worker)
            proxy.fault = fault
            job_id = await net.submit(cid_of_bytes(PROMPT))
            assert (await handed_back(net, job_id)).code is FailureCode.BUSY


async def test_own_store_answers__that_it_has_no_such_prompt__requester_pays(
    net: WorkerNetwork, own_store: OwnStore, worker: WorkerProcess
) -> None:
    await on_duty(net, worker)
    job_id = await net.submit(cid_of_bytes(b"nobody has this"))
    await net.reaches(job_id, JobStatus.FAILED)
    assert (await net.failure(job_id)).code is FailureCode.CONTENT_MISSING
    assert (await status_of(worker))["paused_because"] is None
