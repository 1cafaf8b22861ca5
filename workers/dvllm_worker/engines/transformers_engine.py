"""The embedded engine: transformers in a child process, whose memory and crashes stay its own."""

import importlib.util
import logging
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from decentralized_vllm.protocol.errors import EngineUnavailable, MissingProgram
from decentralized_vllm.protocol.generation import (
    EngineIdentity,
    Feature,
    GenerationChunk,
    GenerationRequest,
)
from dvllm_worker.engines.answers import checked_answer
from dvllm_worker.engines.child_session import ChildSession
from dvllm_worker.engines.machine import default_threads
from dvllm_worker.engines.model_directory import check_model_directory
from dvllm_worker.engines.process import ChildProcess, child_environment
from dvllm_worker.engines.settings import EngineSettings, Pooling
from dvllm_worker.engines.starting import StartProgress, no_progress, wait_until_ready
from dvllm_worker.engines.supervisor import Backoff, Supervisor
from dvllm_worker.engines.vector_form import VectorForm, choose_vector_form
from dvllm_worker.engines.wire import Ready, read_event

log = logging.getLogger(__name__)

DEFAULT_SLOTS = 2
DEFAULT_VECTOR_FORM = VectorForm("mean")


class TransformersEngine:
    """A crash or a hang fails the answers under way; a fresh child then takes the next ones."""

    is_for_tests = False
    features = frozenset(
        {
            Feature.LOGPROBS,
            Feature.PENALTIES,
            Feature.EMBEDDINGS,
            Feature.TOKEN_PROMPTS,
            Feature.PROMPT_LOGPROBS,
        }
    )

    def __init__(
        self,
        settings: EngineSettings,
        model_path: Path,
        *,
        pooling: Pooling | None = None,
        on_start_progress: StartProgress = no_progress,
        backoff: Backoff | None = None,
    ) -> None:
        self.n_slots = settings.slots or DEFAULT_SLOTS
        self._settings = settings
        self._model_path = model_path
        self._pooling = pooling
        self._vector_form = DEFAULT_VECTOR_FORM
        self._on_start_progress = on_start_progress
        self._supervisor = Supervisor("transformers", self._open_session, backoff or Backoff())
        self._identity: EngineIdentity | None = None

    async def start(self) -> None:
        _check_installed()
        check_model_directory(self._model_path)
        chosen = choose_vector_form(self._model_path, self._pooling)
        self._vector_form = chosen or DEFAULT_VECTOR_FORM
        await self._supervisor.start()

    async def stop(self) -> None:
        await self._supervisor.stop()

    def identity(self) -> EngineIdentity:
        if self._identity is None:
            raise EngineUnavailable("the engine is not started")
        return self._identity

    async def is_healthy(self) -> bool:
        return self._supervisor.is_up

    @property
    def is_up(self) -> bool:
        """Whether a request would be taken now; asks nobody, unlike `is_healthy`."""
        return self._supervisor.is_up

    @property
    def child_pid(self) -> int | None:
        """For status pages and fault tests; None while there is no child."""
        return self._supervisor.session().pid if self._supervisor.is_up else None

    def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationChunk, None]:
        return checked_answer(
            request, lambda asked: self._supervisor.session().answer(asked), self.features
        )

    async def _open_session(self) -> ChildSession:
        child = await ChildProcess.spawn(
            self._child_command(),
            environment=child_environment(_thread_environment(self._n_threads)),
            on_log_line=lambda line: log.debug("engine_log", extra={"line": line}),
        )
        try:
            ready = await wait_until_ready(
                _first_event(child),
                timeout_s=self._settings.start_timeout_s,
                last_line=lambda: child.last_line,
                on_progress=self._on_start_progress,
            )
        except BaseException:
            await child.close(grace_s=0)
            raise
        self._identity = ready.identity
        return ChildSession(
            child,
            ready,
            n_slots=self.n_slots,
            token_timeout_s=self._settings.token_timeout_s,
        )

    @property
    def _n_threads(self) -> int:
        return self._settings.threads or default_threads(self.n_slots)

    def _child_command(self) -> list[str]:
        command = [sys.executable, "-m", "dvllm_worker.engines.transformers_child"]
        command += ["--model", str(self._model_path), "--dtype", self._settings.dtype]
        command += ["--slots", str(self.n_slots), "--threads", str(self._n_threads)]
        command += ["--pooling", self._vector_form.pooling]
        command += [] if self._vector_form.is_length_one else ["--any-length"]
        if self._settings.max_model_len is not None:
            command += ["--max-model-len", str(self._settings.max_model_len)]
        return command


def _check_installed() -> None:
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingProgram(
                "engine.kind",
                f"the transformers engine needs the Python package {package}",
                hint="pip install 'decentralized-vllm-worker[transformers]', or see worker doctor",
            )


def _thread_environment(n_threads: int) -> dict[str, str]:
    # Waiting threads must sleep: spinning ones starve whatever shares the cores.
    return {"OMP_NUM_THREADS": str(n_threads), "OMP_WAIT_POLICY": "PASSIVE"}


async def _first_event(child: ChildProcess) -> Ready:
    try:
        line = await child.stdout.readline()
        event = read_event(line) if line else None
    except ValueError as error:  # a WireError, or a line without an end
        raise EngineUnavailable(f"the engine broke the protocol: {error}") from error
    if not isinstance(event, Ready):
        raise EngineUnavailable(f"the model did not load: the engine {await child.ended()}")
    return event
