"""The blocks that reading starts from, at endpoints that may not have them."""

from decentralized_vllm.chain.blocks import as_header, header_request
from decentralized_vllm.chain.health import CheckedEndpoint
from decentralized_vllm.protocol.errors import ChainUnavailable
from decentralized_vllm.protocol.events import Cursor


async def cursor_at(endpoint: CheckedEndpoint, number: int) -> Cursor:
    header = as_header((await endpoint.batch([header_request(number)]))[0])
    if header is None:
        raise lacks(endpoint, number)
    return Cursor(header.number, header.hash)


def lacks(endpoint: CheckedEndpoint, number: int) -> ChainUnavailable:
    """It lags, or has forgotten old blocks: another one is asked before it."""
    endpoint.note_lag(number - 1)
    return ChainUnavailable(f"{endpoint.name} has no block {number}")
