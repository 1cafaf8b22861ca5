"""What a node tells of a job while it works, as the services understand it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from decentralized_vllm.protocol.ids import Cid
from decentralized_vllm.requester.node_sources import NodeSources
from decentralized_vllm.requester.server_events import ServerEvent
from dvllm_gateway.market.failures import as_gateway_errors
from dvllm_gateway.market.node_streams import NodeStreams
from dvllm_gateway.services.task_jobs import Job
from dvllm_gateway.services.task_market import (
    AnswerBegins,
    AnswerGoesOn,
    AnswerPublished,
    NodeWord,
)

MAX_TOKENS_AT_ONCE = 1 << 20
_READABLE = frozenset({"published", "submitting", "submitted", "final"})


class NodeEars:
    def __init__(self, nodes: NodeSources, streams: NodeStreams) -> None:
        self._nodes = nodes
        self._streams = streams

    async def listen(self, job: Job) -> AsyncGenerator[NodeWord, None]:
        """Ends at once for a node without an endpoint. Raises NetworkUnavailable."""
        with as_gateway_errors():
            if job.node is None:
                return
            endpoint = await self._nodes.endpoint_of(job.node)
            if endpoint is None:
                return
            async with aclosing(self._streams.events(endpoint, job.id)) as events:
                async for event in events:
                    word = word_of(event)
                    if word is not None:
                        yield word


def word_of(event: ServerEvent) -> NodeWord | None:
    """None for what is of no interest, or no sense."""
    fields = event.fields
    if event.name == "text":
        text, n_tokens = fields.get("text"), fields.get("n_tokens")
        if isinstance(text, str) and isinstance(n_tokens, int):
            return AnswerGoesOn(text, max(0, min(n_tokens, MAX_TOKENS_AT_ONCE)))
    elif event.name == "stage":
        return _word_of_stage(fields)
    return None


def _word_of_stage(fields: Mapping[str, Any]) -> NodeWord | None:
    stage, cid = fields.get("stage"), fields.get("response_cid")
    if stage == "generating":
        return AnswerBegins()
    if not isinstance(cid, str):
        return None
    document = fields.get("response")
    if stage == "generated" and isinstance(document, str):
        return AnswerPublished(Cid(cid), document.encode("utf-8", "replace"))
    return AnswerPublished(Cid(cid)) if stage in _READABLE else None
