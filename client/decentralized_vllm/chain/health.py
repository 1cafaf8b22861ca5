"""An endpoint that remembers how it did, and that never serves another chain than expected."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from decentralized_vllm.chain.endpoint import Endpoint, Json, Request
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable, WrongChain

log = logging.getLogger(__name__)

FIRST_REST_S = 0.5
LONGEST_REST_S = 30.0
MOST_DOUBLINGS = 10  # more than lead to the longest; a float that is doubled for hours is none

T = TypeVar("T")


class CheckedEndpoint:
    """One try per call, like `Endpoint`; its chain id is read before first use and after faults.

    After a fault it `rests`, longer each time: it is then asked only when no other can answer.
    Raises ChainUnavailable, RpcError and WrongChain.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.name = endpoint.name
        self._endpoint = endpoint
        self._failures = 0
        self._rests_until_s = 0.0
        self._expected_chain_id: int | None = None
        self._is_checked = False
        self._lags = False

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Lower is healthier."""
        return self.rests, self._lags, self._failures

    @property
    def rests(self) -> bool:
        return self._rests_until_s > time.monotonic()

    def expect(self, chain_id: int, *, beside: Iterable["CheckedEndpoint"] = ()) -> None:
        """While one of those `beside` it is well, it is not waited for as long as usual: a node
        that hangs would cost whoever has a lease a good part of it."""
        others = [other for other in beside if other is not self]
        self._endpoint.hurry_while(lambda: any(not other._is_unwell for other in others))
        self._expected_chain_id = chain_id
        self._is_checked = False

    @property
    def _is_unwell(self) -> bool:
        return self.rests or self._lags

    async def close(self) -> None:
        await self._endpoint.close()

    async def chain_id(self) -> int:
        return int(await self._endpoint.call("eth_chainId"), 16)

    async def call(self, method: str, *params: Json) -> Json:
        await self._check_chain()
        return await self._noted(self._endpoint.call(method, *params))

    async def batch(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        await self._check_chain()
        return await self._noted(self._endpoint.batch(requests), _fault_among)

    async def offer(self, requests: Sequence[Request]) -> list[Json | RpcError]:
        """As `batch`, for what every endpoint is given, however it does: no answer to it shows
        that one keeps up with the chain."""
        await self._check_chain()
        return await self._faults_noted(self._endpoint.batch(requests))

    async def head(self) -> int:
        """Its latest block. That it answers does not show that it keeps up."""
        await self._check_chain()
        return int(await self._faults_noted(self._endpoint.call("eth_blockNumber")), 16)

    def note_lag(self, head: int) -> None:
        """It shows an older chain than was seen elsewhere: others are asked first until it is
        found level with them."""
        if not self._lags:
            log.info("rpc_lags", extra={"endpoint": self.name, "head": head})
        self._lags = True
        self._is_checked = False  # what answers next may be another node behind the same name

    def note_level(self) -> None:
        """It answers now, and is as far as any: whatever it rests from is over."""
        self._lags = False
        self._rests_until_s = 0.0

    async def confirm_chain(self) -> None:
        """Reads its chain id again: for an answer that only another chain should explain."""
        self._is_checked = False
        await self._check_chain()

    async def _check_chain(self) -> None:
        if self._is_checked or self._expected_chain_id is None:
            return
        found = await self._faults_noted(self.chain_id())
        if found != self._expected_chain_id:
            self._rest(LONGEST_REST_S)
            raise WrongChain(
                "eth_node_url",
                f"{self.name} serves chain {found}, not {self._expected_chain_id}",
            )
        self._is_checked = True

    async def _noted(
        self, answer: Awaitable[T], fault_in: Callable[[T], RpcError | None] = lambda _: None
    ) -> T:
        result = await self._faults_noted(answer)
        fault = fault_in(result)
        if fault is not None:
            self._note_failure(fault)
            return result
        self._failures = 0
        self._rests_until_s = 0.0
        return result

    async def _faults_noted(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except ChainUnavailable as error:
            if not isinstance(error, RpcError) or error.is_fault:
                self._note_failure(error)
            raise

    def _note_failure(self, error: ChainUnavailable) -> None:
        self._failures += 1
        self._is_checked = False  # what answers next may be another node behind the same name
        doublings = min(self._failures - 1, MOST_DOUBLINGS)
        self._rest(min(FIRST_REST_S * 2**doublings, LONGEST_REST_S))
        log.info("rpc_failed", extra={"endpoint": self.name, "reason": error.message})

    def _rest(self, duration_s: float) -> None:
        self._rests_until_s = time.monotonic() + duration_s


def _fault_among(answers: Sequence[Json | RpcError]) -> RpcError | None:
    faults = (a for a in answers if isinstance(a, RpcError) and a.is_fault)
    return next(faults, None)
