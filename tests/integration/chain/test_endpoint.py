"""A connection to an RPC endpoint, and its end."""

import pytest

from decentralized_vllm.chain.endpoint import Endpoint


async def test_call__after_closing__opens_nothing_again(anvil):
    endpoint = Endpoint(anvil.url, timeout_s=10)
    assert int(await endpoint.call("eth_chainId"), 16) == 31337
    await endpoint.close()
    await endpoint.close()
    with pytest.raises(RuntimeError, match="closed"):
        await endpoint.call("eth_chainId")
