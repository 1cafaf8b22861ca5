"""A real anvil on a free port, ended by its pid; and its first funded development accounts."""

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from tests.support.local_server import local_server
from tests.support.ports import free_port

ANVIL = Path(__file__).parents[2] / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
MNEMONIC = "test test test test test test test test test test test junk"

Account.enable_unaudited_hdwallet_features()


def development_account(index: int) -> LocalAccount:
    """One of the ten accounts that every anvil funds with 10,000 ether."""
    account: LocalAccount = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
    return account


@dataclass(frozen=True)
class Anvil:
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def call(self, method: str, *params: Any) -> Any:
        """Past every layer under test. Raises RuntimeError for an answered error."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        request = urllib.request.Request(
            self.url, body.encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.loads(response.read())
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def acall(self, method: str, *params: Any) -> Any:
        return await asyncio.to_thread(self.call, method, *params)

    def mine(self, blocks: int = 1) -> None:
        if blocks:
            self.call("anvil_mine", hex(blocks))

    def block_number(self) -> int:
        return int(self.call("eth_blockNumber"), 16)


@contextmanager
def running_anvil(*, block_time_s: float | None = None, mines: bool = True) -> Iterator[Anvil]:
    """Mines each transaction at once, or every `block_time_s`, or only when told."""
    port = free_port()
    arguments = [str(ANVIL), "--host", "127.0.0.1", "--port", str(port), "--silent"]
    if not mines:
        arguments.append("--no-mining")
    elif block_time_s is not None:
        arguments += ["--block-time", str(block_time_s)]
    with local_server(arguments, port) as pid:
        yield Anvil(port, pid)
