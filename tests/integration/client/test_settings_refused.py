"""What a client is told wrongly is refused at the start, naming the setting."""

import pytest

from decentralized_vllm import (
    AsyncClient,
    CeilingTooLow,
    ChainUnavailable,
    ContentUnavailable,
    InsufficientFunds,
    InvalidPrompt,
    SettingError,
    UnknownJob,
    UnknownModel,
)
from decentralized_vllm.protocol.errors import AbiMismatch, InsufficientGas, NoContract, WrongChain
from tests.support.anvil import development_account
from tests.support.local_network import MODEL

CLOSED = "http://127.0.0.1:9"


async def opened(market, **changes):
    async with AsyncClient.of(market.settings(**changes)):
        raise AssertionError("it opened")


@pytest.mark.parametrize(
    ("changes", "kind", "setting"),
    [
        ({"eth_node_url": CLOSED}, ChainUnavailable, "eth_node_url"),
        ({"eth_node_url": "localhost:8545"}, SettingError, "eth_node_url"),
        ({"chain_id": 1}, WrongChain, "eth_node_url"),
        ({"contract_address": "0x" + "12" * 20}, NoContract, "contract_address"),
        ({"contract_address": "coordinator"}, SettingError, "contract_address"),
        ({"private_key": "hush"}, SettingError, "private_key"),
        ({"max_top_up": "lots"}, SettingError, "max_top_up"),
        ({"max_top_up": 0.1}, SettingError, "max_top_up"),
        ({"first_block": 1_000_000}, SettingError, "first_block"),
        ({"first_block": -1}, SettingError, "first_block"),
        ({"first_block": "7"}, SettingError, "first_block"),
        ({"poll_s": float("nan")}, SettingError, "poll_s"),
        ({"ws_url": "nonsense"}, SettingError, "ws_url"),
        ({"ws_url": "ws://"}, SettingError, "ws_url"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_open__wrong_setting__is_refused_by_name(market, changes, kind, setting):
    with pytest.raises(kind, match=setting) as caught:
        await opened(market, **changes)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("timeout", [float("nan"), "5"])
async def test_wait__timeout_that_is_no_number__is_refused_by_name(client, timeout):
    with pytest.raises(SettingError, match="timeout"):
        await client.wait_for_completion(1, timeout=timeout)


async def test_open__address_of_another_contract__is_refused(market):
    with pytest.raises(AbiMismatch, match="contract_address"):
        await opened(market, contract_address=market.network.token.address)


async def test_open__passphrase_missing__is_refused(market, tmp_path):
    with pytest.raises(SettingError, match="passphrase"):
        await opened(market, private_key=None, keystore=tmp_path / "wallet.json")


@pytest.mark.parametrize(
    ("prompt", "options", "kind", "told"),
    [
        ("", {}, InvalidPrompt, "empty"),
        ([], {}, InvalidPrompt, "the prompt is empty"),
        ([5, 4.0], {}, InvalidPrompt, "prompt: the token id at index 1"),
        ([5] * 4_097, {}, InvalidPrompt, "prompt: 4097 token ids are more than the 4096"),
        ([{"role": "root", "content": "x"}], {}, InvalidPrompt, "role"),
        ([{"text": "x"}], {}, InvalidPrompt, "role"),
        ("x" * (1 << 20), {}, InvalidPrompt, "bytes"),
        ("Hi", {"max_tokens": 0}, InvalidPrompt, "max_tokens"),
        ("Hi", {"max_tokens": 2_049}, InvalidPrompt, "max_tokens"),
        ("Hi", {"temperature": float("nan")}, InvalidPrompt, "temperature"),
        ("Hi", {"max_fee": "0.1"}, CeilingTooLow, "max_fee"),
        ("Hi", {"model_id": "nowhere"}, UnknownModel, "nowhere"),
    ],
)
async def test_submit_task__bad_input__is_refused_before_anything_is_sent(
    client, market, prompt, options, kind, told
):
    model_id = options.pop("model_id", MODEL.model_id)
    with pytest.raises(kind, match=told):
        await client.submit_task(prompt, model_id, **options)
    assert await market.network.coordinator.job_count() == 0


async def test_submit_task__more_than_max_top_up__is_refused(market):
    async with AsyncClient.of(market.settings(max_top_up="0.001")) as client:
        with pytest.raises(InsufficientFunds, match="max_top_up"):
            await client.submit_task("Hi", MODEL.model_id)


async def test_submit_task__wallet_without_tokens__is_refused(market):
    poor = "0x" + bytes(development_account(7).key).hex()
    async with AsyncClient.of(market.settings(private_key=poor)) as client:
        with pytest.raises(InsufficientFunds, match="wallet"):
            await client.submit_task("Hi", MODEL.model_id)


async def test_submit_task__key_without_gas_money__is_refused(market):
    async with AsyncClient.of(market.settings(private_key="0x" + "5a" * 32)) as client:
        with pytest.raises((InsufficientGas, InsufficientFunds)):
            await client.submit_task("Hi", MODEL.model_id)


async def test_submit_task__without_a_key__is_refused(market):
    async with AsyncClient.of(market.settings(private_key=None)) as client:
        with pytest.raises(SettingError, match="private_key"):
            await client.submit_task("Hi", MODEL.model_id)


async def test_submit_task__silent_content_api__is_refused_by_name(market):
    async with AsyncClient.of(market.settings(ipfs_port=9)) as client:
        with pytest.raises(ContentUnavailable):
            await client.submit_task("Hi", MODEL.model_id)


async def test_get_task__no_such_job__is_refused(client):
    with pytest.raises(UnknownJob):
        await client.get_task(99)


async def test_on__unknown_event__is_refused(client):
    with pytest.raises(SettingError, match="task_completed"):
        client.on("task_compleeted", print)
