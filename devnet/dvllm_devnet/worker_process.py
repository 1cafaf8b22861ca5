"""One worker of the network: brought on duty by the commands an operator runs, then started."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from pydantic import BaseModel, ValidationError

from dvllm_devnet.errors import ProcessFailed
from dvllm_devnet.processes import ChildProcess, Command, run_to_end, wait_until_ready
from dvllm_devnet.programs import find_script
from dvllm_devnet.standing import Arguments
from dvllm_devnet.worker_setup import WorkerPlan
from dvllm_worker.models import engine_room

_STOP_TIMEOUT_S = 20.0
_ENGINE_START_TIMEOUT_S = 900.0
_ENGINE_LOOK_EVERY_S = 0.5  # more often would take from the cores that the engine starts on
_ON_DUTY_TIMEOUT_S = 60.0
_COMMAND_TIMEOUT_S = 300.0  # serve-model may have to fetch the model


class _ModelStatus(BaseModel):
    is_ready: bool


class _Status(BaseModel):
    models: list[_ModelStatus]
    paused_because: str | None


class _LogLine(BaseModel):
    level: str
    logger: str
    event: str


class WorkerProcess:
    """`run` its commands, `start` and `wait_until_ready` in this order; `stop` at any time."""

    def __init__(self, plan: WorkerPlan, log_dir: Path) -> None:
        self.plan = plan
        self._log_dir = log_dir
        self._child: ChildProcess | None = None

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def child(self) -> ChildProcess:
        assert self._child is not None, "not started"
        return self._child

    async def run(self, command: Arguments) -> None:
        """Runs one of `worker`'s commands to its end. Raises ProcessFailed with what it said."""
        await run_to_end(self._command(command), self._log_dir, _COMMAND_TIMEOUT_S)

    async def start(self) -> None:
        self._child = await ChildProcess.start(self._command(("start",)), self._log_dir)

    async def wait_until_ready(self, is_on_duty: Callable[[], Awaitable[bool]]) -> str | None:
        """Until its engine answers and the chain knows it; or it pauses, and why is returned.

        Raises ProcessFailed also at the first failure of the engine: the worker would go on trying,
        while somebody waits here who can mend it.
        """
        await self._wait_for_engine()
        why_paused: str | None = None

        async def is_settled() -> bool:
            nonlocal why_paused
            if await is_on_duty():
                return True
            status = await _status_at(self.plan.url)
            why_paused = status.paused_because if status else None
            return why_paused is not None

        await wait_until_ready(self.child, is_settled, _ON_DUTY_TIMEOUT_S)
        return why_paused

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """As a machine that loses power."""
        if self._child is not None:
            await self._child.kill()

    async def start_again(self) -> None:
        """After `kill`, until its engine answers: the chain has it on duty still."""
        await self.start()
        await self._wait_for_engine()

    async def _wait_for_engine(self) -> None:
        await wait_until_ready(
            self.child, self._engine_is_up, _ENGINE_START_TIMEOUT_S, every_s=_ENGINE_LOOK_EVERY_S
        )

    async def _engine_is_up(self) -> bool:
        error = engine_error(self.child.log, self.child.log_starts_at)
        if error is not None:
            raise ProcessFailed(f"{self.name}: {error}", hint=f"whole log: {self.child.log}")
        status = await _status_at(self.plan.url)
        return status is not None and any(model.is_ready for model in status.models)

    def _command(self, arguments: Arguments) -> Command:
        config = ("--config", str(self.plan.settings_file))
        argv = (str(find_script("worker")), *arguments, *config)
        return Command(self.name, argv, stop_timeout_s=_STOP_TIMEOUT_S)


async def _status_at(url: str) -> _Status | None:
    """None while no worker answers there."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"{url}/status") as response,
        ):
            return _Status.model_validate_json(await response.read())
    except (aiohttp.ClientError, TimeoutError, OSError, ValidationError):
        return None


def engine_error(log: Path, starts_at: int) -> str | None:
    """The first error about an engine that a worker logged behind the byte `starts_at`."""
    with log.open("rb") as lines:
        lines.seek(starts_at)
        for line in lines:
            try:
                entry = _LogLine.model_validate_json(line)
            except ValidationError:  # a tool's own words, or a line not yet whole
                continue
            if (entry.level, entry.logger) == ("error", engine_room.__name__):
                return entry.event
    return None
