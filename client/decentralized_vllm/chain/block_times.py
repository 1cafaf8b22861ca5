"""Timestamps of blocks, read once each."""

from collections.abc import Iterable

from decentralized_vllm.chain.blocks import as_header, header_request
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import BlockNumber


async def block_times_s(rpc: Rpc, numbers: Iterable[BlockNumber]) -> dict[BlockNumber, int]:
    """One round trip. Raises ChainUnavailable."""
    wanted = sorted(set(numbers))
    answers = await rpc.batch([header_request(number) for number in wanted])
    times: dict[BlockNumber, int] = {}
    for number, answer in zip(wanted, answers, strict=True):
        header = as_header(answer)
        if header is None:
            raise ChainUnavailable(f"the RPC endpoint has no block {number}")
        times[number] = header.timestamp_s
    return times
