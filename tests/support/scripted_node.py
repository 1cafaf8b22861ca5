"""A registered, staked node that does to its jobs what a test tells it, on the real contracts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from eth_account.signers.local import LocalAccount

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.protocol.generation import EngineIdentity, FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, Wei
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.nodes import NodeProfile
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.protocol.responses import ResponseDocument, ResponseTiming
from decentralized_vllm.protocol.transactions import Call
from decentralized_vllm.protocol.units import tokens
from decentralized_vllm.requester.answers import identity_of
from tests.support.local_network import OWNER, sending

STAKE_WEI = tokens(10_000)


class ScriptedNode:
    def __init__(
        self, network: Network, account: LocalAccount, sender: OutboxSender, store: MemoryStore
    ) -> None:
        self.address = Address(account.address)
        self.network = network
        self.account = account
        self.store = store
        self._sender = sender

    async def send(self, call: Call, key: str) -> None:
        await self._sender.send(call, key=key)
        await self._sender.wait(key)

    async def serve(self, model_id: ModelId, endpoint: str = "") -> None:
        """Registers, stakes and joins the model's present version."""
        network = self.network
        profile = NodeProfile(1024, 0, 100, endpoint=endpoint, slots=8)
        coordinator = network.coordinator.address
        version = await network.coordinator.current_version(model_id)
        for call in (
            network.node_registry.register_node(profile),
            network.token.approve(coordinator, STAKE_WEI),
            network.node_calls.stake(STAKE_WEI),
            network.node_calls.join_version(version.current),
        ):
            await self.send(call, f"{call.label} {self.address}")

    async def leave(self) -> None:
        """Takes no more jobs."""
        await self.send(self.network.node_registry.set_slots(0), f"leave {self.address}")

    async def document(self, job_id: JobId, text: str) -> ResponseDocument:
        network = self.network
        request = await network.jobs.request(job_id)
        deployment = Deployment(network.identity.chain_id, network.coordinator.address)
        return ResponseDocument(
            request=identity_of(request, deployment),
            node=self.address,
            text=text,
            token_ids=tuple(range(len(text.split()))),
            finish_reason=FinishReason.STOP,
            usage=Usage(5, len(text.split())),
            timing=ResponseTiming(1_700_000_000_000, 10, 50),
            engine=EngineIdentity("scripted", "1", "float32", "cpu"),
        )

    async def answer(self, job_id: JobId, text: str) -> Cid:
        signed = (await self.document(job_id, text)).sign(self.account)
        return await self.deliver(job_id, signed.to_bytes(), signed.usage)

    async def deliver(self, job_id: JobId, data: bytes, usage: Usage | None) -> Cid:
        """Publishes any bytes, and delivers their CID."""
        cid = await self.store.add_bytes(data)
        digest = (await self.network.coordinator.job(job_id)).digest
        calls = self.network.node_calls
        await self.send(calls.submit_response(job_id, cid, digest, usage), f"answer {job_id}")
        return cid

    async def fail(self, job_id: JobId, code: FailureCode) -> None:
        digest = (await self.network.coordinator.job(job_id)).digest
        call = self.network.node_calls.fail_job(job_id, code, digest)
        await self.send(call, f"fail {job_id}")


@asynccontextmanager
async def scripted_node(
    network: Network,
    account: LocalAccount,
    folder: Path,
    store: MemoryStore,
    model_id: ModelId,
    endpoint: str = "",
) -> AsyncIterator[ScriptedNode]:
    await _fund(network, Address(account.address), Wei(2 * STAKE_WEI), folder)
    async with sending(network, account, folder) as sender:
        node = ScriptedNode(network, account, sender, store)
        await node.serve(model_id, endpoint)
        yield node


async def _fund(network: Network, to: Address, amount_wei: Wei, folder: Path) -> None:
    async with sending(network, OWNER, folder) as sender:
        call = replace(network.token.transfer(to, amount_wei), label=f"fund {to}")
        await sender.send(call, key=call.label)
        await sender.wait(call.label)
