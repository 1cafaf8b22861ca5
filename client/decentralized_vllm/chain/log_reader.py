"""Reads a range of one contract's logs from one endpoint, and shrinks the range when refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decentralized_vllm.chain.blocks import Header, as_header, header_request
from decentralized_vllm.chain.health import CheckedEndpoint
from decentralized_vllm.chain.log_decoder import RawLog
from decentralized_vllm.chain.log_source import LogSource
from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable

SUCCESSES_TO_GROW = 8


@dataclass(frozen=True, slots=True)
class LogRange:
    """Logs up to block `last`, in chain order, and the hash block `anchor` has on that chain."""

    last: Header
    anchor_hash: str | None
    logs: tuple[RawLog, ...]


class LogReader:
    """Asks for at most `max_span` blocks at once, for fewer after a refusal, then for more again.

    Nodes refuse a range as too large, or with too many results, in a dozen spellings and with
    any code; so any failure of a range of several blocks halves the next one.
    """

    def __init__(self, source: LogSource, *, max_span: int) -> None:
        self._address = source.address
        self._topics = list(source.topics)
        self._max_span = max_span
        self._span = max_span
        self._successes = 0

    @property
    def span_blocks(self) -> int:
        return self._span

    async def read(
        self, endpoint: CheckedEndpoint, first: int, target: int, *, anchor: int
    ) -> LogRange:
        """From `first` to `target` or a block before it. Raises ChainUnavailable.

        The headers are read in the same batch, after the logs: a node that can not show the last
        block has answered with less than was asked.
        """
        while True:
            last = min(target, first + self._span - 1)
            try:
                found = await self._read(endpoint, first, last, anchor)
            except ChainUnavailable as error:
                self._shrink(last - first + 1)
                is_refusal = isinstance(error, RpcError) and not error.is_rate_limit
                if not is_refusal or last == first:
                    raise
            else:
                self._grow_in_time()
                return found

    async def glance(
        self, endpoint: CheckedEndpoint, first: int, last: int, *, anchor: int
    ) -> LogRange | None:
        """One try for the whole range, which shrinks nothing. None if it fails, whatever for."""
        if last - first >= self._span:
            return None
        try:
            return await self._read(endpoint, first, last, anchor)
        except ChainUnavailable:
            return None

    def _shrink(self, tried: int) -> None:
        self._span = max(1, tried // 2)
        self._successes = 0

    def _grow_in_time(self) -> None:
        """Not at once: what was refused a moment ago will be refused again."""
        self._successes += 1
        if self._successes >= SUCCESSES_TO_GROW:
            self._span = min(self._max_span, self._span * 2)
            self._successes = 0

    async def _read(
        self, endpoint: CheckedEndpoint, first: int, last: int, anchor: int
    ) -> LogRange:
        logs, last_block, anchor_block = await endpoint.batch(
            [self._request(first, last), header_request(last), header_request(anchor)]
        )
        if isinstance(logs, RpcError):
            raise logs
        header = as_header(last_block)
        if header is None:
            raise ChainUnavailable(f"{endpoint.name} is behind block {last}")
        anchor_header = as_header(anchor_block)
        self._check(logs, first, header)
        # Of an abandoned block, or so it says: not delivered now, and not counted as it either.
        there = [entry for entry in logs if not entry.get("removed")]
        ordered = sorted(there, key=lambda entry: (_number(entry), int(entry["logIndex"], 16)))
        return LogRange(header, anchor_header.hash if anchor_header else None, tuple(ordered))

    def _request(self, first: int, last: int) -> tuple[str, Sequence[Any]]:
        query = {
            "address": self._address,
            "topics": self._topics,
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        return "eth_getLogs", (query,)

    def _check(self, logs: list[RawLog], first: int, last: Header) -> None:
        """Logs nobody asked for, or of another block than the header's, are a broken answer."""
        for entry in logs:
            number = _number(entry)
            is_asked = first <= number <= last.number
            is_ours = entry["address"].lower() == self._address.lower()
            is_of_last = number < last.number or entry["blockHash"] == last.hash
            if not (is_asked and is_ours and is_of_last):
                raise ChainUnavailable(f"a log of block {number} does not belong to the answer")


def _number(entry: RawLog) -> int:
    return int(entry["blockNumber"], 16)
