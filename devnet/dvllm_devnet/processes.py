"""Child processes that are started, waited for and ended as one network."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from decentralized_vllm.protocol.errors import MissingProgram
from dvllm_devnet.errors import ProcessFailed
from dvllm_devnet.parent_death import dies_with_parent

_PROBE_INTERVAL_S = 0.05
_LOG_TAIL_BYTES = 2_000


@dataclass(frozen=True, slots=True)
class Command:
    """How to start one process. `env` is added to this process' environment.

    `death_signal` is what it gets when this process dies without a chance to stop it.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_timeout_s: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL


class ChildProcess:
    """A running command, in a process group of its own: Ctrl-C reaches it through us only.

    Its output is in `log`, from the byte `log_starts_at` on.
    """

    def __init__(
        self,
        command: Command,
        process: asyncio.subprocess.Process,
        log: Path,
        log_starts_at: int,
    ) -> None:
        self.command = command
        self.log = log
        self.log_starts_at = log_starts_at
        self._process = process

    @classmethod
    async def start(cls, command: Command, log_dir: Path) -> "ChildProcess":
        """Raises MissingProgram. Output goes to `<log_dir>/<name>.log`, appended."""
        log = log_dir / f"{command.name}.log"
        with _appending(log) as output:
            log_starts_at = output.tell()
            try:
                process = await asyncio.create_subprocess_exec(
                    *command.argv,
                    env={**os.environ, **command.env},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=dies_with_parent(command.death_signal),
                )
            except OSError as error:
                program = command.argv[0]
                raise MissingProgram(command.name, f"can not run {program}: {error}") from error
        return cls(command, process, log, log_starts_at)

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def wait(self) -> int:
        return await self._process.wait()

    async def stop(self) -> None:
        """Asks it to end, and after `stop_timeout_s` ends it. Nothing of its group is left."""
        try:
            if self.exit_code is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.wait(), self.command.stop_timeout_s)
        finally:  # also when a second signal cuts the waiting short
            self._kill_group()
        await self.wait()

    async def kill(self) -> None:
        """Ends the process and whatever it started, without a chance to clean up."""
        self._kill_group()
        await self.wait()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def failure(self, what: str) -> ProcessFailed:
        """An error that shows the end of the log."""
        tail = log_tail(self.log)
        detail = f"; its last words:\n{tail}" if tail else ""
        return ProcessFailed(f"{self.name} {what}{detail}", hint=f"whole log: {self.log}")


def _appending(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


async def wait_until_ready(
    child: ChildProcess,
    probe: Callable[[], Awaitable[bool]],
    timeout_s: float,
    *,
    every_s: float = _PROBE_INTERVAL_S,
) -> None:
    """Asks `probe` until it says yes. Raises ProcessFailed if the child ends or takes too long."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await probe():
                if child.exit_code is not None:
                    raise child.failure(f"ended with exit code {child.exit_code} while starting")
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise child.failure(f"was not ready after {timeout_s:g} s") from None


async def run_to_end(command: Command, log_dir: Path, timeout_s: float) -> None:
    """Runs a command that ends by itself. Raises ProcessFailed unless it ends well and in time."""
    child = await ChildProcess.start(command, log_dir)
    try:
        async with asyncio.timeout(timeout_s):
            code = await child.wait()
    except TimeoutError:
        raise child.failure(f"did not finish within {timeout_s:g} s") from None
    finally:
        await child.stop()
    if code != 0:
        arguments = " ".join(command.argv[1:])
        raise child.failure(f"failed with exit code {code} at `{arguments}`")


def log_tail(log: Path) -> str:
    """The last lines of a log, or nothing if there is none."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.strip().splitlines()[-15:])
