"""Real `gateway` processes against a real network, for tests of the gateway as a whole."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from eth_account.signers.local import LocalAccount

from tests.support.anvil import development_account
from tests.support.ports import free_port
from tests.support.program import Program, Sections
from tests.support.worker_network import PATIENCE_S, WorkerNetwork

GATEWAY_KEY = development_account(6)


class GatewayProcess(Program):
    NAME = "gateway"

    @property
    def unified_url(self) -> str:
        return self._url("unified_port")

    @property
    def dvllm_url(self) -> str:
        return self._url("dvllm_port")

    @property
    def dvllm_ws_url(self) -> str:
        return self._url("dvllm_ws_port", "ws")

    @property
    def admin_url(self) -> str:
        return self._url("admin_port")

    async def ready(self) -> None:
        """Listening, and with the key."""
        starts = self.n_starts

        def holds(log: str) -> bool:
            return log.count('"listening"') == starts and log.count('"key_held"') >= starts

        await self.until_log(holds, what="it was ready")

    async def has_open_tasks(self, n_tasks: int) -> None:
        """Returns when that is so. With none, all that was answered is also in the books."""
        gauge = f"dvllm_gateway_open_tasks {n_tasks}.0"
        async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE_S):
            while gauge not in await (await http.get(f"{self.admin_url}/metrics")).text():  # noqa: ASYNC110 - a page tells nothing by itself
                await asyncio.sleep(0.1)

    async def make_key(self, account: str, *scopes: str, credit: str | None = None) -> str:
        """An API key of an account, which gets so many tokens of credit."""
        if credit is not None:
            granted = await asyncio.to_thread(
                self.run, "accounts", "grant", account, credit, "--reason", "for a test"
            )
            assert granted.returncode == 0, granted.stderr
        named = ("--scopes", ",".join(scopes)) if scopes else ()
        made = await asyncio.to_thread(self.run, "keys", "create", "--account", account, *named)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def _url(self, port: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.sections['listen'][port]}"


@contextmanager
def gateway_process(
    net: WorkerNetwork, *, key: LocalAccount = GATEWAY_KEY, name: str = "gateway", **changes: Any
) -> Iterator[GatewayProcess]:
    """Not started yet; ends whatever still runs. `changes` are of sections, `top` of the rest."""
    folder = net.folder / name
    gateway = GatewayProcess(folder, _merged(_sections(net, folder, key), changes))
    try:
        yield gateway
    finally:
        gateway.end()


def _sections(net: WorkerNetwork, folder: Path, key: LocalAccount) -> dict[str, dict[str, Any]]:
    return {
        "": {"data_dir": str(folder / "data"), "log_format": "json"},
        "chain": {
            "eth_node_url": [net.anvil.url],
            "ws_url": net.anvil.ws_url,
            "contract_address": net.network.coordinator.address,
            "poll_s": 0.2,
        },
        "key": {
            "private_key": "0x" + bytes(key.key).hex(),
            "lock_dir": str(net.folder / "locks"),
        },
        "listen": {
            name: free_port()
            for name in ("unified_port", "dvllm_port", "dvllm_ws_port", "admin_port")
        },
        "content": {
            "ipfs_host": "127.0.0.1",
            "ipfs_port": int(net.server.api_url.rpartition(":")[2]),
        },
        "tasks": {"drain_s": 10.0},
    }


def _merged(sections: dict[str, dict[str, Any]], changes: Mapping[str, Any]) -> Sections:
    for name, fields in changes.items():
        section = "" if name == "top" else name
        sections[section] = {**sections.get(section, {}), **fields}
    return sections
