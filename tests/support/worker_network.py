"""A network for real workers: chain, contracts, store, a real tiny model and a requester."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount

from decentralized_vllm import ClientSettings
from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.content.local import LocalStore
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.protocol.events import InferenceCompleted, JobFailed
from decentralized_vllm.protocol.ids import ZERO_ADDRESS, Address, Cid, JobId, ModelId, Wei
from decentralized_vllm.protocol.jobs import JobState, JobStatus, Terms
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.nodes import NodeProfile
from decentralized_vllm.protocol.responses import ResponseDocument, parse_response
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import Anvil, development_account
from tests.support.engines import tiny_model_path
from tests.support.local_network import OWNER, REQUESTER, connected, deployed_on, sending
from tests.support.ports import free_port
from tests.support.worker_process import WorkerProcess, worker_process

FIRST_WORKER = development_account(2)
SECOND_WORKER = development_account(3)
STAKE_WEI = tokens(10_000)
MODEL_ID = ModelId("tiny")
PROMPT = b"How do leases work?"

TERMS = Terms(
    input_price_gwei=10**5,
    output_price_gwei=10**6,
    flat_fee_gwei=10**7,
    max_fee_gwei=10**9,
    lease_s=60,
    open_s=120,
    max_input_tokens=512,
    max_output_tokens=128,
)

PATIENCE_S = 200.0
LOG_END = 8_000  # characters of a worker's log that are told with a failure


@dataclass
class WorkerNetwork:
    anvil: Anvil
    network: Network
    server: ContentServer
    store: LocalStore
    folder: Path
    model: ModelInfo
    requester: OutboxSender
    n_sent: int = 0
    workers: list[WorkerProcess] = field(default_factory=list)

    def client_settings(self, requester: LocalAccount = REQUESTER) -> ClientSettings:
        """For a requester whose own store nobody else reads."""
        return ClientSettings(
            eth_node_url=self.anvil.url,
            contract_address=self.network.coordinator.address,
            private_key="0x" + bytes(requester.key).hex(),
            ws_url=self.anvil.ws_url,
            data_dir=self.folder / "client",
            poll_s=0.2,
        )

    # ------------------------------------------------------------ workers

    @contextmanager
    def worker(
        self, account: LocalAccount = FIRST_WORKER, **changes: Mapping[str, Any]
    ) -> Iterator[WorkerProcess]:
        """With the null engine unless `engine` says otherwise. Not registered yet, not started."""
        folder = self.folder / account.address
        with worker_process(account, folder, self._sections(account, folder, changes)) as worker:
            self.workers.append(worker)
            yield worker

    def _sections(
        self, account: LocalAccount, folder: Path, changes: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        sections: dict[str, dict[str, Any]] = {
            "": {"data_dir": str(folder / "data"), "log_format": "json"},
            "chain": {
                "eth_node_url": [self.anvil.url],
                "ws_url": self.anvil.ws_url,
                "contract_address": self.network.coordinator.address,
                "block_time_s": 1.0,
                "poll_s": 0.5,
            },
            "key": {
                "private_key": "0x" + bytes(account.key).hex(),
                "lock_dir": str(self.folder / "locks"),
            },
            "node": {"slots": 64, "take_jitter_s": 0.2, "pause_when_stopped": False},
            "content": {
                "gateways": [self.server.gateway_url],
                "allow_private_addresses": True,
                "mirror_api": self.server.api_url,
                "fetch_timeout_s": 4.0,
            },
            "limits": {"drain_s": 5.0, "sweep_every_s": 1.0},
            "engine": {"kind": "null"},
        }
        for name, fields in changes.items():
            section = "" if name == "top" else name
            sections[section] = {**sections.get(section, {}), **fields}
        return sections

    async def enlist(
        self, worker: WorkerProcess, *, slots: int = 64, endpoint: str | None = None
    ) -> None:
        """Registers, stakes and joins, past the commands under test."""
        network = self.network
        version = await network.coordinator.current_version(MODEL_ID)
        profile = NodeProfile(
            1024, 0, 100, endpoint=worker.url if endpoint is None else endpoint, slots=slots
        )
        await self._fund(worker.address)
        async with sending(network, worker.account, self.folder) as sender:
            for call in (
                network.node_registry.register_node(profile),
                network.token.approve(network.coordinator.address, STAKE_WEI),
                network.node_calls.stake(STAKE_WEI),
                network.node_calls.join_version(version.current),
            ):
                await self._do(sender, call)

    async def fund(self, worker: WorkerProcess) -> None:
        await self._fund(worker.address)

    async def give_tokens(self, to: Address, amount_wei: Wei) -> None:
        async with sending(self.network, OWNER, self.folder) as sender:
            await self._do(sender, self.network.token.transfer(to, amount_wei))

    # ------------------------------------------------------------ jobs

    async def submit(self, prompt: bytes | Cid = PROMPT, *, node: Address | None = None) -> JobId:
        """One job, leased to `node` if one is named; its number."""
        cid = Cid(prompt) if isinstance(prompt, str) else await self.store.add_bytes(prompt)
        call = self.network.requester_calls.submit_prompt_capped(
            cid,
            MODEL_ID,
            ceiling_wei=Wei(TERMS.max_fee_gwei * 10**9),
            share=255,
            node=node or ZERO_ADDRESS,
        )
        await self._do(self.requester, call)
        return JobId(await self.network.coordinator.job_count())

    async def state(self, job_id: JobId) -> JobState:
        return await self.network.coordinator.job(job_id)

    async def reaches(
        self, job_id: JobId, *wanted: JobStatus, patience_s: float = PATIENCE_S
    ) -> JobState:
        """The job's state once its status is one of `wanted`."""
        try:
            async with asyncio.timeout(patience_s):
                while (state := await self.state(job_id)).status not in wanted:  # noqa: ASYNC110 - the chain tells nothing by itself
                    await asyncio.sleep(0.1)
                return state
        except TimeoutError:
            logs = "\n".join(worker.log_text()[-LOG_END:] for worker in self.workers)
            state = await self.state(job_id)
            raise AssertionError(f"job {job_id} is not {wanted} but {state}:\n{logs}") from None

    async def answer(self, job_id: JobId) -> ResponseDocument:
        """The delivered answer, read by its CID and checked against job and node."""
        events = await self.network.jobs.events(job_id)
        done = [event for event in events if isinstance(event, InferenceCompleted)]
        assert len(done) == 1, f"{len(done)} deliveries"
        document = parse_response(
            await self.store.read_bytes(done[0].response_cid, max_bytes=1 << 20)
        )
        document.verify(document.request, done[0].worker)
        assert document.request.job_id == job_id
        return document

    async def failure(self, job_id: JobId) -> JobFailed:
        events = await self.network.jobs.events(job_id)
        return next(event for event in events if isinstance(event, JobFailed))

    async def sent_by(self, account: LocalAccount) -> int:
        """How many transactions of this key are mined."""
        return int(await self.anvil.acall("eth_getTransactionCount", account.address, "latest"), 16)

    async def pass_time(self, seconds: int) -> None:
        await self.anvil.acall("evm_increaseTime", seconds)
        await self.anvil.acall("evm_mine")

    async def mine_every_second(self) -> None:
        await self.anvil.acall("evm_setAutomine", False)
        await self.anvil.acall("evm_setIntervalMining", 1)

    async def _do(self, sender: OutboxSender, call: Call) -> None:
        self.n_sent += 1
        key = f"{call.label} {self.n_sent}"
        await sender.send(call, key=key)
        await sender.wait(key)

    async def _fund(self, to: Address) -> None:
        await self.give_tokens(to, Wei(2 * STAKE_WEI))


@asynccontextmanager
async def worker_network(
    anvil: Anvil, folder: Path, terms: Terms = TERMS
) -> AsyncIterator[WorkerNetwork]:
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(
            connected(await deployed_on(anvil), anvil.url, ws_url=anvil.ws_url)
        )
        store = await stack.enter_async_context(LocalStore(folder / "public"))
        server = await stack.enter_async_context(
            ContentServer(store, api_port=free_port(), gateway_port=free_port())
        )
        model_cid = await store.add_path(tiny_model_path())
        model = ModelInfo(MODEL_ID, model_cid, "Tiny", "for tests", 0, True)
        requester = await stack.enter_async_context(sending(network, REQUESTER, folder))
        net = WorkerNetwork(anvil, network, server, store, folder, model, requester)
        async with sending(network, OWNER, folder) as owner:
            await net._do(owner, network.model_registry.register_model(model, terms))
            tokens_call = network.token.transfer(Address(REQUESTER.address), tokens(5_000))
            await net._do(owner, replace(tokens_call, label="fund the requester"))
        coordinator = network.coordinator.address
        await net._do(requester, network.token.approve(coordinator, tokens(5_000)))
        await net._do(requester, network.requester_calls.deposit(tokens(4_000)))
        yield net
