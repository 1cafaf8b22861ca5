"""One or several RPC endpoints as one: failover, retries with jitter, and a chain-id check."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from decentralized_vllm.chain.endpoint import Endpoint, Json, Request
from decentralized_vllm.chain.health import MOST_DOUBLINGS, CheckedEndpoint
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable, SettingError, WrongChain

LONGEST_BACKOFF_S = 5.0
WATCH_HEADS_S = 5.0
LAG_BLOCKS = 3  # less is how news of blocks travels

T = TypeVar("T")


class Rpc:
    """The chain behind one or several URLs. An async context manager; usable when entered.

    Of several, one that falls behind the others is asked only when none of them can answer, and
    one that does not answer is left for another after two seconds.

    `call` and `batch` ask the healthiest endpoint and then the others, `attempts` times in all:
    also where one answers that it is in trouble itself. They raise ChainUnavailable when none
    answers, RpcError for an answered error, and WrongChain when every endpoint serves another
    chain than `chain_id` (None: the one found at entering).
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain_id: int | None = None,
        timeout_s: float = 10.0,
        attempts: int = 4,
        backoff_s: float = 0.1,
    ) -> None:
        if not urls:
            raise SettingError("eth_node_url", "is empty")
        self._endpoints = [CheckedEndpoint(Endpoint(url, timeout_s=timeout_s)) for url in urls]
        self._chain_id = chain_id
        self._attempts = max(attempts, len(urls))
        self._backoff_s = backoff_s
        self._watching: asyncio.Task[None] | None = None

    @property
    def chain_id(self) -> int:
        if self._chain_id is None:
            raise RuntimeError("the chain id is known once the Rpc is entered")
        return self._chain_id

    async def __aenter__(self) -> Self:
        try:
            await self._agree_on_chain()
        except BaseException:
            await self._close()
            raise
        if len(self._endpoints) > 1:
            self._watching = asyncio.create_task(self._watch_heads(), name="heads")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def call(self, method: str, *params: Json) -> Json:
        # What refuses logs may do so for their range: who asks makes that smaller then.
        is_range = method == "eth_getLogs"
        return await self._with_failover(
            lambda endpoint: endpoint.call(method, *params),
            lambda error: error.is_rate_limit if is_range else error.is_fault,
        )

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """One round trip to one endpoint; an answered error stands in the place of its result.

        Raises RpcError where the endpoint's own trouble is all that was answered.
        """

        async def ask(endpoint: CheckedEndpoint) -> list[Json | RpcError]:
            answers = await endpoint.batch(requests)
            faults = [a for a in answers if isinstance(a, RpcError) and a.is_fault]
            if faults and len(faults) == len(answers):
                raise faults[0]
            return answers

        return await self._with_failover(ask, lambda error: error.is_fault)

    def healthiest(self) -> CheckedEndpoint:
        """For reads that belong together and must not mix the heads of two nodes."""
        return min(self._endpoints, key=lambda endpoint: endpoint.rank)

    async def is_left(self, asked: CheckedEndpoint) -> bool:
        """For what `asked`, the healthiest before, would also say if it were behind: whether it
        is, and another one is asked from now on."""
        if len(self._endpoints) > 1 and self.healthiest() is asked:
            await self._note_lags(tolerated_blocks=0)
        return self.healthiest() is not asked

    async def _note_lags(self, tolerated_blocks: int) -> None:
        asked = await asyncio.gather(*(e.head() for e in self._endpoints), return_exceptions=True)
        heads = {e: h for e, h in zip(self._endpoints, asked, strict=True) if isinstance(h, int)}
        newest = max(heads.values(), default=0)
        for endpoint, head in heads.items():
            if head < newest - tolerated_blocks:
                endpoint.note_lag(head)
            else:
                endpoint.note_level()

    async def broadcast(self, raws: Sequence[str]) -> list[list[Json | ChainUnavailable]]:
        """Sends signed transactions to every endpoint; per transaction, what each one said.

        Those that rest are not waited for once another one took all.

        An entry is a hash, an RpcError (the node refused) or a ChainUnavailable (nobody knows).
        """
        requests = [("eth_sendRawTransaction", [raw]) for raw in raws]
        resting = [e for e in self._endpoints if e.rests]
        late = [asyncio.create_task(_batch_or_fault(e, requests)) for e in resting]
        try:
            well = [e for e in self._endpoints if e not in resting]
            said = list(await _all_of([_batch_or_fault(e, requests) for e in well]))
            if late and not _are_taken(said):
                await asyncio.wait(late)
            said += [offer.result() for offer in late if offer.done()]
        finally:
            for offer in late:
                offer.cancel()
        return [list(answers) for answers in zip(*said, strict=True)]

    async def _with_failover(
        self,
        ask: Callable[[CheckedEndpoint], Awaitable[T]],
        may_pass: Callable[[RpcError], bool],
    ) -> T:
        attempt = 0
        while True:
            try:
                return await ask(self.healthiest())
            except (ChainUnavailable, WrongChain) as error:
                attempt += 1
                is_answer = isinstance(error, RpcError) and not may_pass(error)
                if is_answer or attempt >= self._attempts:
                    raise
            await asyncio.sleep(jittered_backoff_s(self._backoff_s, attempt))

    async def _watch_heads(self) -> None:
        """Until cancelled: a node that is stuck answers as ever, and nothing else shows it."""
        while True:
            await asyncio.sleep(WATCH_HEADS_S)
            await self._note_lags(tolerated_blocks=LAG_BLOCKS)

    async def _agree_on_chain(self) -> None:
        """Every endpoint that can be reached must serve one chain; one at least must answer."""
        found = await self._reachable_chain_ids()
        expected = self._chain_id if self._chain_id is not None else found[0][1]
        for name, chain_id in found:
            if chain_id != expected:
                raise WrongChain("eth_node_url", f"{name} serves chain {chain_id}, not {expected}")
        self._chain_id = expected
        for endpoint in self._endpoints:
            endpoint.expect(expected, beside=self._endpoints)

    async def _reachable_chain_ids(self) -> list[tuple[str, int]]:
        for attempt in range(1, self._attempts + 1):
            answers = await asyncio.gather(
                *(endpoint.chain_id() for endpoint in self._endpoints), return_exceptions=True
            )
            found = [
                (endpoint.name, answer)
                for endpoint, answer in zip(self._endpoints, answers, strict=True)
                if isinstance(answer, int)
            ]
            if found:
                return found
            if attempt < self._attempts:
                await asyncio.sleep(jittered_backoff_s(self._backoff_s, attempt))
        names = ", ".join(endpoint.name for endpoint in self._endpoints)
        raise ChainUnavailable(
            f"eth_node_url: no answer from {names}: {answers[0]}",
            hint="is the node running, and is the address right?",
        )

    async def _close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        for endpoint in self._endpoints:
            await endpoint.close()


def jittered_backoff_s(base_s: float, attempt: int) -> float:
    """Doubles per attempt up to 5 s, and is cut by up to half so that many do not retry at once."""
    doublings = min(attempt - 1, MOST_DOUBLINGS)
    return min(base_s * 2.0**doublings, LONGEST_BACKOFF_S) * random.uniform(0.5, 1.0)


async def _all_of(asked: Sequence[Awaitable[T]]) -> Sequence[T]:
    """As `gather`, which makes tasks and lets others go first, also where there is but one."""
    if len(asked) == 1:
        return [await asked[0]]
    return await asyncio.gather(*asked)


def _are_taken(said: Sequence[Sequence[Json | ChainUnavailable]]) -> bool:
    by_transaction = list(zip(*said, strict=True))
    taken = [any(isinstance(answer, str) for answer in answers) for answers in by_transaction]
    return bool(taken) and all(taken)


async def _batch_or_fault(
    endpoint: CheckedEndpoint, requests: Sequence[Request]
) -> Sequence[Json | ChainUnavailable]:
    try:
        return await endpoint.offer(requests)
    except ChainUnavailable as error:
        return [error] * len(requests)
    except WrongChain as error:
        return [ChainUnavailable(error.message)] * len(requests)
