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


async def test_call__two_callers_of_one_endpoint__no_number_of_a_request_is_both(
    anvil, monkeypatch
):
    """Else who mixes them up could give either the other's answer, and neither would notice."""
    first, second = (Endpoint(anvil.url, timeout_s=10) for _ in range(2))
    numbers = []

    for endpoint in (first, second):
        ask = endpoint._post

        async def noting(body, ask=ask):
            numbers.extend(each["id"] for each in body)
            return await ask(body)

        monkeypatch.setattr(endpoint, "_post", noting)
        for _ in range(2):
            await endpoint.batch([("eth_chainId", []), ("eth_blockNumber", [])])
        await endpoint.close()
    assert len(set(numbers)) == len(numbers) == 8
