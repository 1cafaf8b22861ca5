"""How far a running job is, as the node that runs it tells its requester."""

from collections.abc import AsyncIterator

from decentralized_vllm.protocol.documents import MAX_PROMPT_BYTES, MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.errors import ContentError, InvalidDocument, RetryableError
from decentralized_vllm.protocol.ids import Address, Cid, JobId
from decentralized_vllm.protocol.prompts import parse_prompt
from decentralized_vllm.requester.answers import ReadsFiles
from decentralized_vllm.requester.node_door import NodeDoor
from decentralized_vllm.requester.node_sources import NodeSources
from decentralized_vllm.requester.server_events import ServerEvent
from decentralized_vllm.requester.tasks import TaskProgress

# 100 is kept for a task that is completed on chain.
MOST_WHILE_RUNNING = 99.0
SPARE_CHUNKS = 64  # such as a last one without a token of its own


class ProgressReader:
    def __init__(self, nodes: NodeSources, door: NodeDoor, store: ReadsFiles) -> None:
        self._nodes = nodes
        self._door = door
        self._store = store

    async def follow(
        self, job_id: JobId, prompt_cid: Cid, node: Address
    ) -> AsyncIterator[TaskProgress]:
        """Ends when the node says no more, or can not be asked: progress is never promised."""
        try:
            max_tokens = await self._max_tokens(prompt_cid)
            endpoint = await self._nodes.endpoint_of(node)
            if endpoint is None:
                return
            counter = _Counter(job_id, max_tokens)
            async for event in self._door.events(endpoint, job_id):
                if counter.hear(event):
                    yield counter.progress()
                elif counter.is_full:
                    return
        except (RetryableError, ContentError, InvalidDocument):
            return

    async def _max_tokens(self, prompt_cid: Cid) -> int:
        data = await self._store.read_bytes(prompt_cid, max_bytes=MAX_PROMPT_BYTES)
        return parse_prompt(data).parameters.max_tokens


class _Counter:
    """Believes a node as far as percentages go: they never fall and never reach the end.

    It hears no more than an answer can have: a node may tell of one without end.
    """

    def __init__(self, job_id: JobId, max_tokens: int) -> None:
        self._job_id = job_id
        self._max_tokens = max_tokens
        self._n_tokens = 0
        self._text = ""
        self._n_chunks = 0
        self.is_full = False

    def hear(self, event: ServerEvent) -> bool:
        text, n_tokens = event.fields.get("text"), event.fields.get("n_tokens")
        if event.name != "text" or not isinstance(text, str) or not isinstance(n_tokens, int):
            return False
        self._n_chunks += 1
        has_room = self._n_chunks <= 2 * self._max_tokens + SPARE_CHUNKS
        if not has_room or len(self._text) + len(text) > MAX_RESPONSE_BYTES:
            self.is_full = True
            return False
        self._n_tokens += max(0, n_tokens)
        self._text += text
        return True

    def progress(self) -> TaskProgress:
        percentage = min(100.0 * self._n_tokens / self._max_tokens, MOST_WHILE_RUNNING)
        return TaskProgress(self._job_id, self._n_tokens, percentage, self._text)
