"""Programs that are killed now and then, and started again by whoever watches over them."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.support.content_process import COMMAND
from tests.support.ports import free_port
from tests.support.waiting import wait_until

LOOK_EVERY_S = 0.2
PAUSE_BEFORE_START_S = 1.0
PATIENCE_S = 120.0


class Program(Protocol):
    folder: Path
    process: "subprocess.Popen[bytes] | None"
    n_starts: int

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def log_text(self) -> str: ...


@dataclass
class ContentProgram:
    """`dvllm content serve` over one folder, always at the same ports."""

    folder: Path
    store: Path
    api_port: int
    gateway_port: int
    process: "subprocess.Popen[bytes] | None" = None
    n_starts: int = 0

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.n_starts += 1
        ports = ["--api-port", str(self.api_port), "--gateway-port", str(self.gateway_port)]
        with self._log(self.n_starts).open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", *ports, "--json", "--store", str(self.store)],
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=20)

    def log_text(self) -> str:
        starts = range(1, self.n_starts + 1)
        return "\n".join(self._log(number).read_text(encoding="utf-8") for number in starts)

    def _log(self, number: int) -> Path:
        return self.folder / f"log-{number}.txt"


@contextmanager
def content_program(folder: Path, store: Path) -> Iterator[ContentProgram]:
    """Not started yet; ends whatever still runs."""
    program = ContentProgram(folder, store, free_port(), free_port())
    try:
        yield program
    finally:
        if program.process is not None and program.process.poll() is None:
            program.kill()


@dataclass
class Ward:
    """A program, and what its operator would know of it. `duty` is what it says once it serves."""

    name: str
    program: Program
    duty: str
    is_down: bool = False
    own_ends: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int | None:
        process = self.program.process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_on_duty(self) -> bool:
        """Since it was started last; it may have ended meanwhile."""
        return self.duty in self.last_log

    @property
    def last_log(self) -> str:
        (path,) = self.program.folder.glob(f"log-{self.program.n_starts}.*")
        return path.read_text(encoding="utf-8")

    async def serves(self) -> None:
        self.program.start()
        await self.is_back()

    async def is_back(self, patience_s: float = PATIENCE_S) -> None:
        await wait_until(
            lambda: self.pid is not None and self.is_on_duty,
            what=f"{self.name} on duty",
            patience_s=patience_s,
        )

    async def break_down(self, for_s: float) -> None:
        """Killed as by the kernel, and away for so long."""
        self.is_down = True
        if self.pid is not None:
            self.program.kill()
        await asyncio.sleep(for_s)
        self.program.start()
        self.is_down = False

    async def watch(self) -> None:
        """Starts it again when it ends by itself, as an operator's service manager does.

        It may end so before it serves, where it finds no chain; afterwards it has to bear that.
        """
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self.is_down or self.pid is not None:
                continue
            if self.is_on_duty:
                self.own_ends.append(f"{self.name}: {self.last_log[-2000:]}")
            await asyncio.sleep(PAUSE_BEFORE_START_S)
            if not self.is_down and self.pid is None:
                self.program.start()
