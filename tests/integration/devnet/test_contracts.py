"""Contracts of a saved network are found again; what does not fit is refused with the mend."""

from pathlib import Path

import pytest

from decentralized_vllm.chain.rpc import Rpc
from dvllm_devnet.accounts import make_cast
from dvllm_devnet.chain_process import start_chain
from dvllm_devnet.contracts import ensure_contracts
from dvllm_devnet.errors import UnusableState
from dvllm_devnet.layout import Layout
from dvllm_devnet.programs import find_anvil
from dvllm_devnet.settings import load_settings
from tests.support.ports import free_ports

ROOT = Path(__file__).parents[3]
DEPLOYER = make_cast(1).deployer


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.setenv("DVLLM_DEVNET__CHAIN__PORT", str(free_ports(1)))
    return load_settings(ROOT / "devnet.toml")


@pytest.fixture
async def rpc(settings, tmp_path):
    chain = await start_chain(find_anvil(ROOT), settings.chain, Layout(tmp_path))
    async with Rpc([f"http://127.0.0.1:{settings.chain.port}"]) as rpc:
        yield rpc
    await chain.stop()


async def test_ensure__twice__deploys_once(rpc, settings, tmp_path):
    first = await ensure_contracts(rpc, Layout(tmp_path), settings, DEPLOYER)
    again = await ensure_contracts(rpc, Layout(tmp_path), settings, DEPLOYER)
    assert again == first
    assert set(first.contracts) == {"token", "coordinator", "model_registry", "node_registry"}


async def test_ensure__other_clocks__names_the_setting(rpc, settings, tmp_path):
    await ensure_contracts(rpc, Layout(tmp_path), settings, DEPLOYER)
    clocks = settings.clocks.model_copy(update={"grace_s": 9})
    changed = settings.model_copy(update={"clocks": clocks})
    with pytest.raises(UnusableState, match=r"clocks\.grace_s.*FRESH=1"):
        await ensure_contracts(rpc, Layout(tmp_path), changed, DEPLOYER)


async def test_ensure__chain_without_them__deploys_anew(rpc, settings, tmp_path):
    first = await ensure_contracts(rpc, Layout(tmp_path), settings, DEPLOYER)
    record = Layout(tmp_path).deployment
    elsewhere = first.coordinator.address.replace("0x", "").lower()
    moved = "0x" + elsewhere[::-1]
    record.write_text(record.read_text().replace(first.coordinator.address, moved))
    again = await ensure_contracts(rpc, Layout(tmp_path), settings, DEPLOYER)
    assert again.coordinator.address != moved
