"""Block headers and logs, as read from one endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from decentralized_vllm.chain.rpc_errors import RpcError
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.ids import BlockNumber, Wei


@dataclass(frozen=True, slots=True)
class Header:
    number: BlockNumber
    hash: str
    timestamp_s: int
    base_fee_wei: Wei


def header_request(number: int | None = None) -> tuple[str, Sequence[Any]]:
    """None asks for the latest block."""
    tag = "latest" if number is None else hex(number)
    return "eth_getBlockByNumber", (tag, False)


def as_header(answer: Any) -> Header | None:
    """None for a block the endpoint does not have. Raises the RpcError that stands in its place."""
    if isinstance(answer, RpcError):
        raise answer
    if answer is None:
        return None
    try:
        return Header(
            number=BlockNumber(int(answer["number"], 16)),
            hash=answer["hash"],
            timestamp_s=int(answer["timestamp"], 16),
            base_fee_wei=Wei(int(answer.get("baseFeePerGas") or "0x0", 16)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ChainUnavailable("the RPC endpoint answered a block without its fields") from error


def latest_header(answer: Any) -> Header:
    header = as_header(answer)
    if header is None:
        raise ChainUnavailable("the RPC endpoint has no latest block")
    return header
