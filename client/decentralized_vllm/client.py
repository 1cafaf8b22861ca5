"""The synchronous client: AsyncClient in an event loop of its own, in a background thread."""

import asyncio
import inspect
import weakref
from collections.abc import Callable, Coroutine, Iterable, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypeVar

from decentralized_vllm.aio import AsyncClient
from decentralized_vllm.loop_thread import LoopThread
from decentralized_vllm.protocol.amounts import TokenAmount
from decentralized_vllm.protocol.errors import DvllmError
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.nodes import RegisteredNode
from decentralized_vllm.protocol.ports import Progress
from decentralized_vllm.protocol.transactions import Receipt
from decentralized_vllm.requester.handlers import Handler
from decentralized_vllm.requester.inputs import Prompt, TaskOrId
from decentralized_vllm.requester.tasks import Balance, Model, Task, TaskProgress
from decentralized_vllm.requester.tool_inputs import OfferedTools, ToolChoice
from decentralized_vllm.settings import DEFAULT_IPFS_PORT, ClientSettings

T = TypeVar("T")


class Client:
    """`Client(eth_node_url, contract_address, private_key, ipfs_host, ipfs_port)`

    Connects at once. See AsyncClient for what the methods do and raise. Usable from several
    threads; handlers run in a thread of their own. Closed by `with`, `close()` or at exit. A forked
    process opens its own.
    """

    def __init__(
        self,
        eth_node_url: str | Sequence[str],
        contract_address: str,
        private_key: str | None = None,
        ipfs_host: str | None = None,
        ipfs_port: int = DEFAULT_IPFS_PORT,
        **more: Any,
    ) -> None:
        self._thread = thread = LoopThread()

        async def dispatch(handler: Handler, subject: Task | TaskProgress) -> None:
            await thread.call(_call, handler, subject)

        try:
            self._client = AsyncClient(
                eth_node_url,
                contract_address,
                private_key,
                ipfs_host,
                ipfs_port,
                dispatch=dispatch,
                **more,
            )
            thread.run(self._client.open())
        except BaseException:
            thread.stop(_nothing())
            raise
        self._close = weakref.finalize(self, _close, thread, self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def settings(self) -> ClientSettings:
        return self._client.settings

    def close(self) -> None:
        """Twice is no error."""
        self._close()

    def submit_task(
        self,
        prompt: Prompt,
        model_id: str,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        stop: Sequence[str] | None = (),
        seed: int | None = None,
        max_fee: TokenAmount | None = None,
        *,
        tools: OfferedTools | None = None,
        tool_choice: ToolChoice | None = None,
        parallel_tool_calls: bool = True,
    ) -> Task:
        return self._run(
            self._client.submit_task(
                prompt,
                model_id,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                top_k=top_k,
                stop=stop,
                seed=seed,
                max_fee=max_fee,
                tools=tools,
                tool_choice=tool_choice,
                parallel_tool_calls=parallel_tool_calls,
            )
        )

    def submit_embeddings(
        self, texts: str | Iterable[str], model_id: str, *, max_fee: TokenAmount | None = None
    ) -> Task:
        return self._run(self._client.submit_embeddings(texts, model_id, max_fee=max_fee))

    def get_task(self, task: TaskOrId) -> Task:
        return self._run(self._client.get_task(task))

    def wait_for_completion(self, task: TaskOrId, timeout: float | None = None) -> Task:
        return self._run(self._client.wait_for_completion(task, timeout))

    def wait_for_all(self, tasks: Iterable[TaskOrId], timeout: float | None = None) -> list[Task]:
        """Raises the first task's error that has one, when all are over."""
        return self._run(self._client.wait_for_all(tasks, timeout))

    def wait_for_each(
        self, tasks: Iterable[TaskOrId], timeout: float | None = None
    ) -> list[Task | DvllmError]:
        """As `wait_for_all`, with a task's error in its place."""
        return self._run(self._client.wait_for_each(tasks, timeout))

    def cancel_task(self, task: TaskOrId) -> Task:
        return self._run(self._client.cancel_task(task))

    def tasks(self, limit: int = 20) -> list[Task]:
        return self._run(self._client.tasks(limit))

    def on(self, event: str, handler: Callable[[Any], None]) -> None:
        self._client.on(event, handler)

    def start_monitoring(self) -> None:
        self._run(self._client.start_monitoring())

    def stop_monitoring(self) -> None:
        self._run(self._client.stop_monitoring())

    def list_models(self, *, active_only: bool = True) -> list[Model]:
        return self._run(self._client.list_models(active_only=active_only))

    def upload_model(
        self,
        model_path: str | PathLike[str],
        model_id: str,
        name: str,
        description: str = "",
        *,
        terms: Terms | None = None,
        progress: Progress | None = None,
    ) -> str:
        return self._run(
            self._client.upload_model(
                model_path, model_id, name, description, terms=terms, progress=progress
            )
        )

    def default_terms(self) -> Terms:
        return self._run(self._client.default_terms())

    def list_nodes(self) -> list[RegisteredNode]:
        return self._run(self._client.list_nodes())

    def balance(self) -> Balance:
        return self._run(self._client.balance())

    def deposit(self, amount: TokenAmount) -> Receipt:
        return self._run(self._client.deposit(amount))

    def withdraw(self, amount: TokenAmount) -> Receipt:
        return self._run(self._client.withdraw(amount))

    def send_tokens(self, to: str, amount: TokenAmount) -> Receipt:
        return self._run(self._client.send_tokens(to, amount))

    def draw_test_tokens(self, amount: TokenAmount) -> Receipt:
        return self._run(self._client.draw_test_tokens(amount))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(work)


def _call(handler: Handler, subject: Task | TaskProgress) -> None:
    outcome = handler(subject)
    if inspect.iscoroutine(outcome):
        asyncio.run(outcome)


def _close(thread: LoopThread, client: AsyncClient) -> None:
    """Holds no reference to the Client, which else would never be collected."""
    thread.stop(client.close())


async def _nothing() -> None:
    """Of what was not opened there is nothing to close."""
