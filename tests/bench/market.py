"""A local network to measure on: one worker, one requester, and prompts by the hundred."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.log_decoder import decode_log
from decentralized_vllm.chain.network import Network as ChainNetwork
from decentralized_vllm.chain.network import connect
from decentralized_vllm.content.kubo import KuboStore
from decentralized_vllm.protocol.events import InferenceCompleted
from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import Cid, JobId, ModelId
from decentralized_vllm.protocol.prompts import chat_prompt
from decentralized_vllm.protocol.responses import ResponseDocument, parse_response
from dvllm_devnet.console import Console
from dvllm_devnet.network import Network, running_network
from dvllm_devnet.network_plan import NetworkPlan, on_free_ports
from dvllm_devnet.settings import DevnetSettings, load_settings

ROOT = Path(__file__).parents[2]
JOBS_PER_TRANSACTION = 25
GAS_PER_JOB = 160_000
FEE_CAP_WEI = 100 * 10**9
MAX_RESPONSE_BYTES = 1 << 22
PATIENCE_S = 600.0
ASK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Market:
    network: Network
    chain: ChainNetwork
    store: KuboStore

    @property
    def model_id(self) -> ModelId:
        return ModelId(self.network.plan.settings.model.id)

    @property
    def worker_pid(self) -> int:
        return self.network.workers[0].child.pid

    @property
    def worker_log(self) -> Path:
        return self.network.workers[0].child.log

    async def publish_prompts(self, n_prompts: int, max_tokens: int) -> list[Cid]:
        """Different prompts, so that nothing is answered from what an earlier job left."""
        parameters = SamplingParameters(max_tokens=max_tokens, temperature=0.0)
        documents = [
            chat_prompt(f"Tell story number {number}, a long one.", parameters).to_bytes()
            for number in range(n_prompts)
        ]
        return [await self.store.add_bytes(document) for document in documents]

    async def submit(self, prompts: Sequence[Cid]) -> int:
        """Submits all of them at once, many in a transaction; the block of the first."""
        calls = [self.chain.requester_calls.submit_prompt(cid, self.model_id) for cid in prompts]
        batches = [
            calls[start : start + JOBS_PER_TRANSACTION]
            for start in range(0, len(calls), JOBS_PER_TRANSACTION)
        ]
        first_nonce = int(await self._rpc("eth_getTransactionCount", self._requester, "latest"), 16)
        hashes = []
        for i, batch in enumerate(batches):
            data = self.chain.requester_calls.multicall(batch).data
            hashes.append(await self._send(data, first_nonce + i, GAS_PER_JOB * len(batch)))
        receipts = [await self._receipt(tx_hash) for tx_hash in hashes]
        return min(int(receipt["blockNumber"], 16) for receipt in receipts)

    async def deliveries(
        self, since_block: int, n_jobs: int, *, ask_every_s: float = ASK_EVERY_S
    ) -> list[InferenceCompleted]:
        """Waits for so many deliveries from a block on; every answer lists all there are so far."""
        topic = contract_abi("InferenceCoordinator").events["InferenceCompleted"].topic
        query = {
            "address": self.chain.coordinator.address,
            "fromBlock": hex(since_block),
            "toBlock": "latest",
            "topics": [topic],
        }
        logs = await self._until(
            lambda found: len(found) >= n_jobs, "eth_getLogs", query, every_s=ask_every_s
        )
        decoded = [decode_log(log) for log in logs]
        return [event for event in decoded if isinstance(event, InferenceCompleted)]

    async def answers(self, done: Sequence[InferenceCompleted]) -> dict[JobId, ResponseDocument]:
        return {
            event.job_id: parse_response(
                await self.store.read_bytes(event.response_cid, max_bytes=MAX_RESPONSE_BYTES)
            )
            for event in done
        }

    @property
    def _requester(self) -> str:
        return self.network.cast.requester.address

    async def _rpc(self, method: str, *params: Any) -> Any:
        return await self.chain.rpc.call(method, *params)

    async def _send(self, data: bytes, nonce: int, gas: int) -> str:
        fields = {
            "to": self.chain.coordinator.address,
            "data": data,
            "nonce": nonce,
            "gas": gas,
            "chainId": self.chain.identity.chain_id,
            "value": 0,
            "maxFeePerGas": FEE_CAP_WEI,
            "maxPriorityFeePerGas": 10**9,
            "type": 2,
        }
        signed = Account.sign_transaction(fields, self.network.cast.requester.private_key)
        return str(await self._rpc("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex()))

    async def _receipt(self, tx_hash: str) -> dict[str, Any]:
        receipt: dict[str, Any] = await self._until(bool, "eth_getTransactionReceipt", tx_hash)
        if int(receipt["status"], 16) != 1:
            raise RuntimeError(f"the submission {tx_hash} reverted")
        return receipt

    async def _until(
        self,
        holds: Callable[[Any], bool],
        method: str,
        *params: Any,
        every_s: float = ASK_EVERY_S,
    ) -> Any:
        """Asks again and again, seldom enough not to be what is measured."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(answer := await self._rpc(method, *params)):  # noqa: ASYNC110
                await asyncio.sleep(every_s)
        return answer


@asynccontextmanager
async def open_market(
    engine: Mapping[str, Any], *, slots: int, model: str = "tiny"
) -> AsyncIterator[Market]:
    """A fresh network with one worker of so many slots, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        settings = on_free_ports(_settings(slots, model))
        plan = NetworkPlan(root=ROOT, home=Path(folder), settings=settings, engine=engine)
        async with (
            running_network(plan, Console(for_json=True)) as network,
            connect(network.addresses.chain_settings) as chain,
            KuboStore(plan.ipfs_api) as store,
        ):
            yield Market(network, chain, store)


def _settings(slots: int, model: str) -> DevnetSettings:
    """Cheap jobs with a long lease: neither stake nor time is what is measured."""
    shipped = load_settings(ROOT / "devnet.toml")
    prices = {"input_price": 10**9, "output_price": 10**9, "flat_fee": 10**9, "max_fee": 10**15}
    return shipped.model_copy(
        update={
            "workers": shipped.workers.model_copy(update={"count": 1, "slots": slots}),
            "clocks": shipped.clocks.model_copy(update={"lease_s": 600, "open_s": 600}),
            "terms": shipped.terms.model_copy(update=prices),
            "model": shipped.model.model_copy(
                update={"source": model} if model == "smollm2" else {"source": model, "id": model}
            ),
        }
    )
