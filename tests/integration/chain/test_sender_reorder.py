"""A re-organisation that mines a transaction before what it builds on."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from decentralized_vllm.chain.network import Network
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import Anvil
from tests.support.local_network import NODE, OWNER, REQUESTER, quick_settings, sending
from tests.support.waiting import wait_until

FAR_S = 1 << 40
MOST_BLOCKS = 300
AMOUNT = tokens(5)


def pay_the_node(network: Network, anvil: Anvil) -> None:
    call = network.token.transfer(Address(NODE.address), AMOUNT)
    wish = {"from": OWNER.address, "to": call.to, "data": "0x" + call.data.hex()}
    anvil.call("eth_sendTransaction", wish)
    anvil.mine()


async def test_send__reverts_before_what_it_builds_on_is_mined_again__sent_anew(
    anvil: Anvil, network: Network, tmp_path: Path
) -> None:
    settings = replace(quick_settings(network), retries_reverted=True)
    async with sending(network, NODE, tmp_path, settings=settings) as sender:
        anvil.call("evm_setAutomine", False)
        pay_the_node(network, anvil)
        pass_on = network.token.transfer(Address(REQUESTER.address), AMOUNT)
        first = await sender.send(pass_on, key="pass on", deadline_s=FAR_S)
        anvil.mine()
        await sender.wait("pass on")
        anvil.call("anvil_reorg", 2, [])
        await wait_until(
            lambda: is_offered(anvil, first), what="its bytes once more", patience_s=20
        )
        anvil.mine()
        assert int(anvil.call("eth_getTransactionReceipt", first)["status"], 16) == 0
        await asyncio.sleep(0.2)
        pay_the_node(network, anvil)
        for _ in range(MOST_BLOCKS):
            if not await network.token.balance(Address(NODE.address)):
                break
            await asyncio.sleep(0.1)
            anvil.mine()
    assert anvil.call("eth_getTransactionCount", NODE.address, "latest") == "0x2"


def is_offered(anvil: Anvil, tx_hash: str) -> bool:
    return tx_hash in json.dumps(anvil.call("txpool_content")["pending"])
