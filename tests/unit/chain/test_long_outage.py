"""An outage of hours: whoever counts its failures is not undone by their number."""

import pytest

from decentralized_vllm.chain.endpoint import Endpoint
from decentralized_vllm.chain.health import CheckedEndpoint
from decentralized_vllm.chain.rpc import LONGEST_BACKOFF_S, jittered_backoff_s
from decentralized_vllm.protocol.errors import ChainUnavailable

N_FAILURES = 1_100  # a float doubled so often is none any more


class Down(Endpoint):
    async def call(self, method: str, *params: object) -> object:
        raise ChainUnavailable("it is down")


async def test_call__down_for_very_long__still_told_as_unavailable() -> None:
    endpoint = CheckedEndpoint(Down("http://127.0.0.1:1", timeout_s=1))
    for _ in range(N_FAILURES):
        with pytest.raises(ChainUnavailable):
            await endpoint.call("eth_blockNumber")
    assert endpoint.rank > (False, False, N_FAILURES)


def test_backoff__very_many_attempts__the_longest() -> None:
    assert LONGEST_BACKOFF_S / 2 <= jittered_backoff_s(0.1, N_FAILURES) <= LONGEST_BACKOFF_S
