"""A deployed network with one model, a node under the test's control, and a content API."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from decentralized_vllm import ClientSettings
from decentralized_vllm.chain.network import Network
from decentralized_vllm.content.memory import MemoryStore
from decentralized_vllm.content.server.listeners import ContentServer
from decentralized_vllm.protocol.jobs import Terms
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import Anvil, development_account
from tests.support.local_network import (
    MODEL,
    NODE,
    OWNER,
    connected,
    deployed_on,
    sending,
)
from tests.support.ports import free_port
from tests.support.scripted_node import ScriptedNode, scripted_node

TERMS = Terms(
    input_price_gwei=10**5,
    output_price_gwei=10**6,
    flat_fee_gwei=10**7,
    max_fee_gwei=10**10,
    lease_s=120,
    open_s=300,
    max_input_tokens=4_096,
    max_output_tokens=2_048,
)
ASKER = development_account(5)


@dataclass
class Market:
    """What a client needs to know, and what a test may do behind its back."""

    anvil: Anvil
    network: Network
    server: ContentServer
    store: MemoryStore
    node: ScriptedNode
    folder: Path
    gateway_url: str

    async def pass_time(self, seconds: int) -> None:
        await self.anvil.acall("evm_increaseTime", seconds)
        await self.anvil.acall("evm_mine")

    def settings(self, **changes: object) -> ClientSettings:
        port = int(self.server.api_url.rpartition(":")[2])
        settings = ClientSettings(
            eth_node_url=self.anvil.url,
            contract_address=self.network.coordinator.address,
            private_key="0x" + bytes(ASKER.key).hex(),
            ipfs_host="127.0.0.1",
            ipfs_port=port,
            ws_url=self.anvil.ws_url,
            data_dir=self.folder / "client",
            poll_s=0.1,
        )
        return replace(settings, **changes)


@asynccontextmanager
async def market_on(anvil: Anvil, folder: Path) -> AsyncIterator[Market]:
    """`anvil` has to mine at once; it mines every second when the market is set up."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(
            connected(await deployed_on(anvil), anvil.url, ws_url=anvil.ws_url)
        )
        store = MemoryStore()
        server = await stack.enter_async_context(
            ContentServer(store, api_port=free_port(), gateway_port=free_port())
        )
        async with sending(network, OWNER, folder) as sender:
            for call in (
                network.model_registry.register_model(MODEL, TERMS),
                network.token.transfer(ASKER.address, tokens(50)),
            ):
                await sender.send(call, key=call.label)
                await sender.wait(call.label)
        node = await stack.enter_async_context(
            scripted_node(network, NODE, folder, store, MODEL.model_id, server.gateway_url)
        )
        anvil.call("evm_setAutomine", False)
        anvil.call("evm_setIntervalMining", 1)
        yield Market(anvil, network, server, store, node, folder, server.gateway_url)
