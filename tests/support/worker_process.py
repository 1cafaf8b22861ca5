"""Real `worker` processes against a real network, for tests of the node as a whole."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.ids import Address
from tests.support.ports import free_port
from tests.support.program import Program, Sections
from tests.support.waiting import PATIENCE_S


@dataclass
class WorkerProcess(Program):
    """One node: what it is started with, and what it says."""

    NAME = "worker"

    account: LocalAccount = field(kw_only=True)
    port: int = field(kw_only=True)

    @property
    def address(self) -> Address:
        return Address(self.account.address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stages(self, job_id: int) -> list[str]:
        return [
            event["stage"]
            for event in self.events()
            if event.get("job_id") == job_id and "stage" in event
        ]

    async def on_duty(self) -> None:
        await self.logged("on duty")

    async def logged(self, text: str, *, patience_s: float = PATIENCE_S) -> None:
        await self.until_log(
            lambda log: text in log, what=f"it logged {text!r}", patience_s=patience_s
        )


@contextmanager
def worker_process(
    account: LocalAccount, folder: Path, sections: Sections
) -> Iterator[WorkerProcess]:
    """Ends whatever still runs; the settings' port is filled in here."""
    port = free_port()
    with_port = {**sections, "http": {**sections.get("http", {}), "port": port}}
    worker = WorkerProcess(folder, with_port, account=account, port=port)
    try:
        yield worker
    finally:
        worker.end()


async def run_in_thread(worker: WorkerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(worker.run, *arguments)
