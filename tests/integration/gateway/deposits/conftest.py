"""A network whose tokens are in a user's wallet, and a gateway's address to send them to."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from decentralized_vllm.chain.network import Network
from decentralized_vllm.chain.sender import OutboxSender
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import tokens
from dvllm_gateway.state import Database, open_database
from tests.support.anvil import Anvil, running_anvil
from tests.support.deposit_desk import USER, DepositDesk, deposit_desk
from tests.support.local_network import OWNER, connected, deployed_on, sending


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """Mines every transaction at once."""
    with running_anvil() as anvil:
        yield anvil


@pytest.fixture
async def network(anvil: Anvil, tmp_path: Path) -> AsyncIterator[Network]:
    async with connected(await deployed_on(anvil), anvil.url, ws_url=anvil.ws_url) as network:
        async with sending(network, OWNER, tmp_path) as sender:
            call = network.token.transfer(Address(USER.address), tokens(1_000))
            await sender.send(call, key="stake the user")
            await sender.wait("stake the user")
        yield network


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path / "gateway.sqlite") as database:
        yield database


@pytest.fixture
async def desk(network: Network, database: Database) -> AsyncIterator[DepositDesk]:
    async with deposit_desk(network, database) as desk:
        yield desk


@pytest.fixture
async def user(network: Network, tmp_path: Path) -> AsyncIterator[OutboxSender]:
    """Sends with the user's own key."""
    async with sending(network, USER, tmp_path) as sender:
        yield sender
