"""The events of one job, found by its id among the coordinator's logs."""

from collections.abc import Sequence
from typing import Any

from decentralized_vllm.chain.blocks import header_request, latest_header
from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.chain.log_decoder import RawLog, decode_log, job_topics
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import UnknownJob
from decentralized_vllm.protocol.events import InferenceRequested, JobEvent
from decentralized_vllm.protocol.ids import Address, JobId

FIRST_WINDOW_BLOCKS = 2_000
WIDEST_WINDOW_BLOCKS = 50_000


class JobHistory:
    """Searches backwards from the latest block to `first_block` (that of the deployment)."""

    def __init__(self, rpc: Rpc, coordinator: Address, first_block: int) -> None:
        self._rpc = rpc
        self._coordinator = coordinator
        self._first_block = first_block

    async def request(self, job_id: JobId) -> InferenceRequested:
        """Raises UnknownJob, ChainUnavailable."""
        topic = contract_abi("InferenceCoordinator").events["InferenceRequested"].topic
        last = await self._latest()
        window = FIRST_WINDOW_BLOCKS
        while last >= self._first_block:
            first = max(self._first_block, last - window + 1)
            try:
                logs = await self._logs(first, last, [topic], job_id)
            except RpcError as error:
                window = _narrower(window, error)
                continue
            for entry in logs:
                event = decode_log(entry)
                if isinstance(event, InferenceRequested):
                    return event
            last = first - 1
            window = min(window * 2, WIDEST_WINDOW_BLOCKS)
        raise UnknownJob(f"there is no job {job_id}")

    async def events(self, job_id: JobId) -> tuple[JobEvent, ...]:
        """Everything told of the job so far, its request first. Raises UnknownJob."""
        first: int = (await self.request(job_id)).position.block_number
        latest = await self._latest()
        window = WIDEST_WINDOW_BLOCKS
        found: list[RawLog] = []
        while first <= latest:
            last = min(latest, first + window - 1)
            try:
                found += await self._logs(first, last, job_topics(), job_id)
            except RpcError as error:
                window = _narrower(window, error)
                continue
            first = last + 1
        events = (decode_log(entry) for entry in found)
        return tuple(event for event in events if isinstance(event, JobEvent))

    async def _latest(self) -> int:
        return latest_header((await self._rpc.batch([header_request()]))[0]).number

    async def _logs(
        self, first: int, last: int, topics: Sequence[str], job_id: JobId
    ) -> list[RawLog]:
        query: dict[str, Any] = {
            "address": self._coordinator,
            "topics": [list(topics), f"0x{job_id:064x}"],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        logs: list[RawLog] = await self._rpc.call("eth_getLogs", query)
        return logs


def _narrower(window: int, error: RpcError) -> int:
    """A refused range is tried in halves; a single block that is refused is a fault."""
    if window <= 1:
        raise error
    return window // 2
