"""What the gateway signs for its operator's node: the name that is sent, or it is refused."""

import pytest
from eth_account import Account

from dvllm_gateway.market.node_door import WorkerDoor


@pytest.mark.parametrize(
    ("node_url", "sent"),
    [
        ("http://127.0.0.1:8701", "127.0.0.1:8701"),
        ("https://node.example:443", "node.example"),
        ("http://[::1]:80/", "[::1]"),
        ("https://user:secret@node.example", "node.example"),
    ],
)
async def test_door__any_spelling__signs_what_the_host_header_says(
    node_url: str, sent: str
) -> None:
    door = WorkerDoor(node_url, Account.create())
    assert door._authority == sent
    await door.close()
