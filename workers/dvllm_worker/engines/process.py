"""One supervised child process: started in a group of its own, ended with its whole group."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from decentralized_vllm.protocol.errors import EngineUnavailable, MissingProgram

N_LAST_LINES = 30
MAX_LINE_CHARACTERS = 400
READ_BYTES = 65_536
LOOK_EVERY_S = 0.02
LAST_WORDS_TIMEOUT_S = 1.0
DRAIN_TIMEOUT_S = 2.0  # should a process that left the group still hold a pipe
# Longest line a child may write on its standard output; more is a fault of the child.
MAX_OUTPUT_LINE_BYTES = 1 << 20

# Nothing is downloaded, nobody is told of it, and a file beside us is never imported by accident.
OFFLINE_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
}


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Ours without the worker's own settings, among which its key may be; then `changes`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DVLLM_")}
    return {**kept, **OFFLINE_ENVIRONMENT, **changes}


class ChildProcess:
    """A running child. Its log lines are kept, the last of them for error messages."""

    def __init__(
        self, process: asyncio.subprocess.Process, on_log_line: Callable[[str], None]
    ) -> None:
        self._process = process
        self._on_log_line = on_log_line
        self._last_lines: deque[str] = deque(maxlen=N_LAST_LINES)
        self._log_task = asyncio.create_task(self._read_log(), name=f"log of {process.pid}")

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        on_log_line: Callable[[str], None],
    ) -> "ChildProcess":
        """Standard error is the child's log. Raises MissingProgram, EngineUnavailable."""
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=dict(environment),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                limit=MAX_OUTPUT_LINE_BYTES,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise MissingProgram("engine.python", f"{argv[0]} does not run: {error}") from error
        except OSError as error:  # out of memory, processes or file descriptors
            raise EngineUnavailable(f"{argv[0]} could not be started: {error}") from error
        return cls(process, on_log_line)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stdin(self) -> asyncio.StreamWriter:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def is_running(self) -> bool:
        return self._process.returncode is None

    async def ended(self) -> str:
        """Waits for the end; says how it came, with the child's last words.

        The end of its standard output tells, which no process below it holds, as some hold its log.
        """
        await _read_away(self.stdout)
        await self._exit()
        await asyncio.wait({self._log_task}, timeout=LAST_WORDS_TIMEOUT_S)
        code = self._process.returncode or 0
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return f"ended with {how}{self.last_words()}"

    @property
    def last_line(self) -> str:
        return self._last_lines[-1] if self._last_lines else ""

    def last_words(self) -> str:
        """The last log lines as the end of a message; empty without any."""
        return ":\n  " + "\n  ".join(self._last_lines) if self._last_lines else ""

    async def close(self, *, grace_s: float) -> None:
        """Asks by a closed standard input and SIGTERM, then kills whatever is left of the group."""
        self.stdin.close()
        if self.is_running:
            self._signal_group(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._exit()
        self._signal_group(signal.SIGKILL)
        await self._exit()
        await self._drain()

    async def _exit(self) -> None:
        """Not asyncio's own wait, which also waits for everybody who holds one of the pipes."""
        while self.is_running:  # noqa: ASYNC110 - the alternative is that wait
            await asyncio.sleep(LOOK_EVERY_S)

    def kill(self) -> None:
        """For a child that hangs and would not heed a request to end."""
        self._signal_group(signal.SIGKILL)

    async def _drain(self) -> None:
        """Reads both pipes to their ends, which the last process of the group has just brought."""
        with suppress(TimeoutError):
            # Not wait_for, which in Python 3.11 swallows a cancel that comes at the very end.
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await asyncio.gather(
                    self._log_task, _read_away(self.stdout), return_exceptions=True
                )

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # gone, or (macOS) only zombies left
            os.killpg(self._process.pid, number)

    async def _read_log(self) -> None:
        """Reads in chunks, since progress bars write lines without an end."""
        stream = self._process.stderr
        assert stream is not None
        rest = ""
        while chunk := await stream.read(READ_BYTES):
            text = (rest + chunk.decode(errors="replace")).replace("\r", "\n")
            *lines, rest = text.split("\n")
            rest = rest[-MAX_LINE_CHARACTERS:]
            for line in lines:
                self._keep_line(line)
        self._keep_line(rest)

    def _keep_line(self, line: str) -> None:
        if line.strip():
            self._last_lines.append(line[:MAX_LINE_CHARACTERS])
            self._on_log_line(line[:MAX_LINE_CHARACTERS])


async def _read_away(stream: asyncio.StreamReader) -> None:
    while await stream.read(READ_BYTES):
        pass
