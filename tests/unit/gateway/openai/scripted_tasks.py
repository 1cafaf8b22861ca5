"""Tasks that say what a test wants, to see what the dialect makes of failures and departures."""

import asyncio
from dataclasses import replace

from decentralized_vllm.protocol.generation import FinishReason, Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, TxHash, Wei
from dvllm_gateway.ids import AccountId, new_task_id
from dvllm_gateway.services.tasks import StreamEnd, TaskRecord, TaskState, TextChunk

ACCOUNT = AccountId("0xabc")


def make_record(**changes):
    fields = {
        "id": new_task_id(),
        "account": ACCOUNT,
        "model_id": "m",
        "prompt": "Say hi",
        "prompt_cid": Cid("bafkprompt"),
        "max_tokens": 8,
        "state": TaskState.RUNNING,
        "created_at_ms": 1_700_000_000_123,
        "reserved_wei": Wei(5),
        "job_id": JobId(7),
        "request_tx": TxHash("0x01"),
        "worker": Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    }
    return TaskRecord(**{**fields, **changes})


class ScriptedTasks:
    """`texts` are the pieces of each task in turn; an exception among them is raised."""

    def __init__(self, *texts, refuses=None, document=None, ends=FinishReason.STOP):
        self._texts = list(texts)
        self._document = document
        self._ends = ends
        self._refuses = refuses
        self._scripts = {}
        self.requests = []
        self.cancelled = []
        self._n_waiting = 0
        self.all_wait = asyncio.Event()

    async def submit_all(self, account, requests):
        if self._refuses is not None:
            raise self._refuses
        return tuple([self._begin(account, request) for request in requests])

    def _begin(self, account, request):
        record = make_record(account=account, prompt=request.shown_prompt)
        self._scripts[record.id] = record, self._texts[len(self.requests)]
        self.requests.append(request)
        return record

    async def wait_submitted(self, account, task_id, timeout_s):
        return self._scripts[task_id][0]

    async def stream(self, account, task_id):
        record, pieces = self._scripts[task_id]
        for piece in pieces:
            if isinstance(piece, BaseException):
                raise piece
            if piece is None:
                self._n_waiting += 1
                if self._n_waiting == len(self._texts):
                    self.all_wait.set()
                await asyncio.Event().wait()
            yield TextChunk(piece, 1)
        text = "".join(pieces)
        yield StreamEnd(self._ends, Usage(3, len(pieces)), replace(record, response=text))

    async def answer(self, account, task_id):
        async for item in self.stream(account, task_id):
            end = item
        return end

    async def document(self, task):
        if isinstance(self._document, BaseException):
            raise self._document
        return self._document

    async def cancel(self, account, task_id):
        self.cancelled.append(task_id)
        return self._scripts[task_id][0]
