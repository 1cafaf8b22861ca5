"""Models and money through the asynchronous client, on real contracts."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from decentralized_vllm import AsyncClient, InsufficientFunds, SettingError
from decentralized_vllm.protocol.errors import UnsafeModel
from decentralized_vllm.protocol.ids import Address
from tests.support.client_market import ASKER, TERMS
from tests.support.engines import tiny_model_path
from tests.support.local_network import MODEL, OWNER

OWN_ID = f"{ASKER.address.lower()}/mine"


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copytree(tiny_model_path(), tmp_path / "model"))


@pytest.fixture
async def owner(market):
    settings = market.settings(
        private_key="0x" + bytes(OWNER.key).hex(), data_dir=market.folder / "owner"
    )
    async with AsyncClient.of(settings) as owner:
        yield owner


async def test_upload_model__by_the_owner__is_listed_with_its_cid(owner, market, model):
    seen = []
    model_id = await owner.upload_model(
        model, "custom", "Custom", "ours", progress=lambda done, total: seen.append(done)
    )
    (listed,) = [m for m in await owner.list_models() if m.id == model_id]
    assert (listed.name, listed.description, listed.active) == ("Custom", "ours", True)
    assert (await market.store.list_directory(listed.cid)).entries
    assert seen[-1] >= (model / "model.safetensors").stat().st_size


async def test_upload_model__again_with_other_bytes__announces_a_new_version(owner, market, model):
    await owner.upload_model(model, "custom", "Custom")
    (first,) = [m.cid for m in await owner.list_models() if m.id == "custom"]
    (model / "README.md").write_text("second edition")
    await owner.upload_model(model, "custom", "Custom")
    (second,) = [m.cid for m in await owner.list_models() if m.id == "custom"]
    assert first != second


async def test_upload_model__again_unchanged__sends_nothing(owner, market, model):
    await owner.upload_model(model, "custom", "Custom")
    sent = await market.anvil.acall("eth_getTransactionCount", OWNER.address, "latest")
    assert await owner.upload_model(model, "custom", "Custom") == "custom"
    assert await market.anvil.acall("eth_getTransactionCount", OWNER.address, "latest") == sent


async def test_upload_model__with_own_terms__sells_on_them(owner, market, model):
    terms = replace(await owner.default_terms(), max_fee_gwei=TERMS.max_fee_gwei // 2)
    await owner.upload_model(model, "custom", "Custom", terms=terms)
    version = await market.network.coordinator.current_version("custom")
    assert (await market.network.jobs.terms(version.current)) == terms


async def test_upload_model__bytes_of_another_model__are_refused(owner, model):
    await owner.upload_model(model, "custom", "Custom")
    with pytest.raises(SettingError, match="model_path"):
        await owner.upload_model(model, "copy", "Copy")


async def test_upload_model__plain_name_by_anybody__is_refused_with_the_way_out(client, model):
    with pytest.raises(SettingError, match=OWN_ID.rpartition("/")[0]):
        await client.upload_model(model, "custom", "Custom")
    with pytest.raises(SettingError, match="model_id"):
        await client.upload_model(model, MODEL.model_id, "Stolen")


async def test_upload_model__own_name_with_the_bond__is_published(client, market, model):
    bond = await market.network.coordinator.publisher_bond()
    await client.draw_test_tokens("2000")
    await client.deposit("1500")
    assert await client.upload_model(model, OWN_ID, "Mine") == OWN_ID
    assert await market.network.model_registry.publisher(OWN_ID) == Address(ASKER.address)
    assert (await client.balance()).credit_wei == 1500 * 10**18 - bond


async def test_upload_model__no_such_directory__is_refused(client, tmp_path):
    with pytest.raises(SettingError, match="model_path"):
        await client.upload_model(tmp_path / "nowhere", "custom", "Custom")


async def test_upload_model__with_a_pickle__is_refused_before_it_is_added(owner, market, model):
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    usage = await market.store.usage()
    with pytest.raises(UnsafeModel, match=r"pytorch_model\.bin"):
        await owner.upload_model(model, "custom", "Custom")
    assert await market.store.usage() == usage


async def test_money__deposited_and_withdrawn__is_where_it_should_be(client):
    await client.deposit("20")
    assert (await client.balance()).credit_wei == 20 * 10**18
    await client.withdraw("5.5")
    balance = await client.balance()
    assert (balance.credit_wei, balance.wallet_wei) == (145 * 10**17, 355 * 10**17)


async def test_money__more_than_there_is__is_refused(client):
    with pytest.raises(InsufficientFunds):
        await client.deposit("51")
    with pytest.raises(InsufficientFunds):
        await client.withdraw("1")


@pytest.mark.parametrize("amount", ["-1", "1e-19", "lots", 0.5, True])
async def test_money__amount_that_is_none__is_refused_by_name(client, amount):
    with pytest.raises(SettingError, match="amount"):
        await client.deposit(amount)
