"""The local chain comes back with everything it had, ended well or not."""

import contextlib
from pathlib import Path

import pytest
from web3 import AsyncHTTPProvider, AsyncWeb3

from decentralized_vllm.protocol.errors import WrongChain
from dvllm_devnet.chain_process import answers_with, start_chain
from dvllm_devnet.layout import Layout
from dvllm_devnet.processes import wait_until_ready
from dvllm_devnet.programs import find_anvil
from dvllm_devnet.settings import ChainSettings
from tests.support.ports import free_ports

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings():
    return ChainSettings(port=free_ports(1), chain_id=31337, block_time_s=1, save_interval_s=1)


@contextlib.asynccontextmanager
async def running(settings, layout):
    url = f"http://127.0.0.1:{settings.port}"
    child = await start_chain(find_anvil(ROOT), settings, layout)
    web3 = AsyncWeb3(AsyncHTTPProvider(url))
    try:
        yield child, web3
    finally:
        await web3.provider.disconnect()
        await child.stop()


async def pay(web3, amount):
    payer, payee, *_ = await web3.eth.accounts
    sent = await web3.eth.send_transaction({"from": payer, "to": payee, "value": amount})
    return await web3.eth.wait_for_transaction_receipt(sent, timeout=30)


async def test_stopped_and_started__blocks_and_receipts_are_there(settings, tmp_path):
    layout = Layout(tmp_path)
    async with running(settings, layout) as (_, web3):
        paid = await pay(web3, 5)
    async with running(settings, layout) as (_, web3):
        again = await web3.eth.get_transaction_receipt(paid["transactionHash"])
        assert again["blockHash"] == paid["blockHash"]
        assert (await pay(web3, 6))["blockNumber"] > paid["blockNumber"]


async def test_killed__comes_back_with_what_was_saved(settings, tmp_path):
    layout = Layout(tmp_path)
    async with running(settings, layout) as (child, web3):
        paid = await pay(web3, 5)

        async def saved():
            state = layout.chain_state
            return state.exists() and paid["transactionHash"].hex() in state.read_text()

        await wait_until_ready(child, saved, timeout_s=30)
        await child.kill()
    async with running(settings, layout) as (_, web3):
        again = await web3.eth.get_transaction_receipt(paid["transactionHash"])
        assert again["blockNumber"] == paid["blockNumber"]


async def test_answers_with__another_chain_id__is_refused(settings, tmp_path):
    async with running(settings, Layout(tmp_path)):
        with pytest.raises(WrongChain):
            await answers_with(f"http://127.0.0.1:{settings.port}", 1)
