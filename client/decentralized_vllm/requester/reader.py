"""Reads one job whole: its state, its story, and its verified answer if it was delivered."""

from collections import OrderedDict
from dataclasses import replace

from decentralized_vllm.chain.block_times import block_times_s
from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.errors import ChainUnavailable, JobCancelled, JobExpired, JobFailed
from decentralized_vllm.protocol.ids import Address, Cid, JobId, Wei
from decentralized_vllm.protocol.prompts import PromptDocument
from decentralized_vllm.protocol.receipts import Deployment
from decentralized_vllm.protocol.responses import ResponseDocument
from decentralized_vllm.requester.answers import (
    ReadsFiles,
    check_delivery,
    identity_of,
    read_answer,
    read_prompt,
    vectors_in,
)
from decentralized_vllm.requester.node_sources import NodeSources
from decentralized_vllm.requester.story import blocks_of_interest, request_of, tell
from decentralized_vllm.requester.tasks import Task, TaskStatus

SPECIAL_KEPT = 8192  # prompts; of older ones the answer alone tells whether they must be read


class TaskReader:
    """Answers come from the node that gave them, else from the client's own store."""

    def __init__(self, network: Network, nodes: NodeSources, store: ReadsFiles) -> None:
        self._network = network
        self._nodes = nodes
        self._store = store
        self._special: OrderedDict[Cid, None] = OrderedDict()
        self.deployment = Deployment(network.identity.chain_id, network.coordinator.address)

    def note(self, prompt_cid: Cid, document: PromptDocument) -> None:
        """A prompt submitted here; its answer is held against what only the prompt tells."""
        if document.tools is not None or document.inputs is not None:
            self._special[prompt_cid] = None
            while len(self._special) > SPECIAL_KEPT:
                self._special.popitem(last=False)

    async def task(self, job_id: JobId, *, with_answer: bool = True) -> Task:
        """Without its answer, a completed task has no `response`, `document` and `usage`.

        Raises UnknownJob and ChainUnavailable; about the answer ContentUnavailable,
        InvalidResponse and InvalidReceipt.
        """
        state = await self._network.coordinator.job(job_id)
        story = await self._network.jobs.events(job_id)
        times = await block_times_s(self._network.rpc, blocks_of_interest(story))
        task = tell(state, story, times)
        if task.status is not TaskStatus.COMPLETED:
            return task
        if task.response_cid is None:
            raise ChainUnavailable(f"the RPC endpoint does not show the delivery of job {job_id}")
        request = identity_of(request_of(job_id, story), self.deployment)
        check_delivery(request, task.response_cid, task.price_wei or Wei(0), state.digest)
        if not with_answer:
            return task
        sources = await self._sources(state.node)
        document = await read_answer(sources, task.response_cid, request, state.node)
        told = tell(state, story, times, document)
        if not self._needs_prompt(document):
            return told
        prompt = await read_prompt(sources, task.prompt_cid)
        return replace(told, vectors=vectors_in(document, prompt))

    def _needs_prompt(self, answer: ResponseDocument) -> bool:
        """Calls must have been offered, and only vectors take no tokens. Other answers are text."""
        is_text = answer.token_ids and not answer.tool_calls
        return not is_text or answer.request.prompt_cid in self._special

    async def _sources(self, node: Address) -> list[ReadsFiles]:
        at_node = await self._nodes.store_of(node)
        return [self._store] if at_node is None else [at_node, self._store]


_FAILURES = {
    "content_missing": "the prompt or the model could not be found",
    "content_too_large": "the prompt is too large",
    "content_invalid": "the prompt is not valid",
    "key_missing": "the key to the sealed prompt was missing",
}


def require_answer(task: Task) -> Task:
    """The task, if it is completed. Raises JobFailed, JobExpired or JobCancelled."""
    refund = task.refund_wei or Wei(0)
    match task.status:
        case TaskStatus.FAILED:
            code = task.failure or "unknown"
            reason = _FAILURES.get(code, code)
            raise JobFailed(f"job {task.id} failed: {reason}", refund_wei=refund, code=code)
        case TaskStatus.EXPIRED:
            raise JobExpired(f"job {task.id} was not answered in time", refund_wei=refund)
        case TaskStatus.CANCELLED:
            raise JobCancelled(f"job {task.id} was cancelled", refund_wei=refund)
    return task
