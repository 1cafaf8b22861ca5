"""The asynchronous client: everything a requester does, from one coordinator's address."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import fields
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Self

from decentralized_vllm.protocol.amounts import TokenAmount, wei_of
from decentralized_vllm.protocol.errors import DvllmError, WaitTimeout
from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.ids import Cid, ModelId
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.models import ModelInfo
from decentralized_vllm.protocol.nodes import RegisteredNode
from decentralized_vllm.protocol.ports import Progress
from decentralized_vllm.protocol.prompts import PromptDocument
from decentralized_vllm.protocol.transactions import Receipt
from decentralized_vllm.requester.handlers import Dispatch, Handler, Handlers, call_here
from decentralized_vllm.requester.inputs import (
    Prompt,
    TaskOrId,
    checked_timeout,
    job_id_of,
    make_document,
    make_embedding_document,
)
from decentralized_vllm.requester.lifecycle import OpenAndClose
from decentralized_vllm.requester.monitoring import Monitoring
from decentralized_vllm.requester.tasks import Balance, Model, Task, TaskProgress, model_of
from decentralized_vllm.requester.tool_inputs import OfferedTools, ToolChoice, offered_tools
from decentralized_vllm.settings import DEFAULT_IPFS_PORT, ClientSettings


class AsyncClient(OpenAndClose):
    """`async with AsyncClient(eth_node_url, contract_address, private_key, …) as client:`

    Takes the fields of ClientSettings. Opening raises ChainUnavailable and the SettingErrors
    (WrongChain, NoContract, AbiMismatch, …), each naming the setting. Amounts given are whole
    tokens, as text, int or Decimal; amounts told are wei. `dispatch` decides where handlers run.
    """

    def __init__(
        self,
        eth_node_url: str | Sequence[str],
        contract_address: str,
        private_key: str | None = None,
        ipfs_host: str | None = None,
        ipfs_port: int = DEFAULT_IPFS_PORT,
        *,
        dispatch: Dispatch = call_here,
        **more: Any,
    ) -> None:
        super().__init__(
            ClientSettings(
                eth_node_url=eth_node_url,
                contract_address=contract_address,
                private_key=private_key,
                ipfs_host=ipfs_host,
                ipfs_port=ipfs_port,
                **more,
            )
        )
        self._handlers = Handlers(dispatch)
        self._monitoring = Monitoring(self._handlers)

    @classmethod
    def of(cls, settings: ClientSettings) -> Self:
        return cls(**{field.name: getattr(settings, field.name) for field in fields(settings)})

    # ---------------------------------------------------------------- tasks
    async def submit_task(
        self,
        prompt: Prompt,
        model_id: str,
        *,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stop: Sequence[str] | None = (),
        seed: int | None = None,
        max_fee: TokenAmount | None = None,
        tools: OfferedTools | None = None,
        tool_choice: ToolChoice | None = None,
        parallel_tool_calls: bool = True,
    ) -> Task:
        """Returns when the request is mined.

        `prompt` is a question, the messages of a chat, or token ids of the model's own tokenizer,
        to which no chat template is applied.

        Temperature 0 is greedy, top_k 0 no limit. `max_fee` is the highest price of a job that is
        accepted; without it the model's present one is stated, so that it can not rise on the way.
        `tools` and `tool_choice` are as in OpenAI's API; calls of the answer are yours to run.
        Raises InvalidPrompt, UnknownModel, CeilingTooLow, InsufficientFunds, InsufficientGas,
        ContractRevert, ChainUnavailable, and ContentUnavailable when the content API is silent;
        with tools or token ids also NotServed and NodesBusy.
        """
        parameters = SamplingParameters(
            max_tokens,
            temperature,
            top_p,
            top_k,
            (stop,) if isinstance(stop, str) else tuple(stop or ()),
            seed,
        )
        offered = offered_tools(tools, tool_choice, parallel_tool_calls)
        return await self._submit(make_document(prompt, parameters, offered), model_id, max_fee)

    async def submit_embeddings(
        self, texts: str | Iterable[str], model_id: str, *, max_fee: TokenAmount | None = None
    ) -> Task:
        """One task for all texts, whose `vectors` it has when it is completed.

        Raises as `submit_task`, NotServed if no node makes vectors of this model, and NodesBusy.
        """
        return await self._submit(make_embedding_document(texts), model_id, max_fee)

    async def _submit(
        self, document: PromptDocument, model_id: str, max_fee: TokenAmount | None
    ) -> Task:
        max_fee_wei = None if max_fee is None else wei_of(max_fee, "max_fee")
        session = self._opened()
        spender = session.require_spender()
        submitted = await spender.submission.submit(
            document, ModelId(model_id), max_fee_wei, partial(session.take_on, document)
        )
        task = await session.submitted_task(submitted)
        await self._monitoring.tell_submitted(task)
        return task

    async def get_task(self, task: TaskOrId) -> Task:
        """The task as it is now; a completed one with its verified answer."""
        return await self._opened().reader.task(job_id_of(task))

    async def wait_for_completion(self, task: TaskOrId, timeout: float | None = None) -> Task:
        """The completed task with its verified answer. `timeout` is in seconds; None waits.

        Raises JobFailed, JobExpired and JobCancelled, which tell the refund; WaitTimeout, after
        which the job goes on; UnknownJob; InvalidResponse and InvalidReceipt for an answer that
        is not the paid node's to this request.
        """
        job_id = job_id_of(task)
        try:
            async with asyncio.timeout(checked_timeout(timeout)):
                return await self._opened().waiting.completed(job_id)
        except TimeoutError as error:
            raise WaitTimeout(f"job {job_id} has no answer after {timeout:g} s") from error

    async def wait_for_all(
        self, tasks: Iterable[TaskOrId], timeout: float | None = None
    ) -> list[Task]:
        """Completed tasks in the order given, when the last is over; `timeout` is for all of them.

        Raises the first task's error that has one, when all are over.
        """
        completed: list[Task] = []
        for result in await self.wait_for_each(tasks, timeout):
            if isinstance(result, DvllmError):
                raise result
            completed.append(result)
        return completed

    async def wait_for_each(
        self, tasks: Iterable[TaskOrId], timeout: float | None = None
    ) -> list[Task | DvllmError]:
        """As `wait_for_all`, with a task's error in its place."""
        return await asyncio.gather(*(self._outcome(task, timeout) for task in tasks))

    async def _outcome(self, task: TaskOrId, timeout: float | None) -> Task | DvllmError:
        try:
            return await self.wait_for_completion(task, timeout)
        except DvllmError as error:
            return error

    async def cancel_task(self, task: TaskOrId) -> Task:
        """Takes an open job back for a full refund. ContractRevert while a node holds it."""
        job_id = job_id_of(task)
        session = self._opened()
        sender = session.require_spender().sender
        state = await session.network.coordinator.job(job_id)
        # A node that was quicker makes it fail; once the job is open again, it is another order.
        key = f"cancel:{job_id}:{state.digest.hex()[:16]}:{state.attempts}"
        await sender.send(session.network.requester_calls.cancel_job(job_id), key=key)
        await sender.wait(key)
        return await session.reader.task(job_id)

    async def tasks(self, limit: int = 20) -> list[Task]:
        """This account's latest tasks, newest first, without their answers."""
        session = self._opened()
        requests = session.require_spender().requests
        found: list[Task] = []
        if limit < 1:
            return found
        async for request in requests.newest_first(self.settings.first_block):
            found.append(await session.reader.task(request.job_id, with_answer=False))
            if len(found) >= limit:
                break
        return found

    async def progress(self, task: Task) -> AsyncIterator[TaskProgress]:
        """What the node that holds the job tells of it; ends at once if it tells nothing."""
        reader = self._opened().require_spender().progress
        if task.worker is not None:
            async for progress in reader.follow(task.id, task.prompt_cid, task.worker):
                yield progress

    # ---------------------------------------------------------------- events
    def on(self, event: str, handler: Handler) -> None:
        """`task_submitted`, `task_started`, `task_completed` and `task_failed` get a Task,
        `task_progress` a TaskProgress. Raises SettingError for another name."""
        self._handlers.on(event, handler)

    async def start_monitoring(self) -> None:
        """Tells the handlers of all this account's tasks from now on, wherever submitted."""
        if not self._monitoring.is_on:
            self._monitoring.start(self._opened().monitor(self._handlers))

    async def stop_monitoring(self) -> None:
        await self._monitoring.stop()

    async def close(self) -> None:
        await self._monitoring.stop()
        await super().close()

    # ---------------------------------------------------------------- models and nodes
    async def list_models(self, *, active_only: bool = True) -> list[Model]:
        infos = await self._opened().network.model_registry.models()
        return [model_of(info) for info in infos if info.is_active or not active_only]

    async def upload_model(
        self,
        model_path: str | PathLike[str],
        model_id: str,
        name: str,
        description: str = "",
        *,
        terms: Terms | None = None,
        progress: Progress | None = None,
    ) -> str:
        """Publishes a Hugging Face style directory; returns its model id when it is mined.

        The network's owner may use any free id, everybody else `<own address>/<name>` with the
        publisher's bond in credit. An id of one's own that exists gets a new version.
        """
        spender = self._opened().require_spender()
        info = ModelInfo(ModelId(model_id), Cid(""), name, description, 0, True)
        published = await spender.publishing.publish(Path(model_path), info, terms, progress)
        return published.model_id

    async def default_terms(self) -> Terms:
        """Those of a model that is uploaded without terms of its own."""
        return await self._opened().network.model_registry.default_terms()

    async def list_nodes(self) -> list[RegisteredNode]:
        nodes = await self._opened().network.node_registry.nodes()
        return [node for node in nodes if node.is_registered]

    # ---------------------------------------------------------------- money
    async def balance(self) -> Balance:
        return await self._opened().balance()

    async def deposit(self, amount: TokenAmount) -> Receipt:
        """From the wallet into credit."""
        return await self._opened().require_spender().purse.deposit(wei_of(amount, "amount"))

    async def withdraw(self, amount: TokenAmount) -> Receipt:
        """From credit into the wallet."""
        return await self._opened().require_spender().purse.withdraw(wei_of(amount, "amount"))

    async def send_tokens(self, to: str, amount: TokenAmount) -> Receipt:
        """From the wallet to the wallet of another address. Raises SettingError for one whose
        tokens nobody could move, InsufficientFunds, and all that sending raises."""
        return await self._opened().require_spender().purse.send(to, wei_of(amount, "amount"))

    async def draw_test_tokens(self, amount: TokenAmount) -> Receipt:
        """From the faucet of a local chain."""
        purse = self._opened().require_spender().purse
        return await purse.draw_test_tokens(wei_of(amount, "amount"))
