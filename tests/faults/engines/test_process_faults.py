"""No engine process outlives its worker, and a child that talks nonsense is ended."""

import asyncio
import os
import signal
import sys

import psutil
import pytest

from decentralized_vllm.protocol.errors import EngineUnavailable, MissingProgram
from decentralized_vllm.protocol.generation import EngineIdentity
from dvllm_worker.engines.child_session import ChildSession
from dvllm_worker.engines.process import MAX_OUTPUT_LINE_BYTES, ChildProcess, child_environment
from dvllm_worker.engines.wire import Ready
from tests.support.engines import CHECKOUT, chat, tiny_model_path
from tests.support.waiting import is_alive, wait_until

READY = Ready(EngineIdentity("transformers", "0", "float32", "cpu"), 100)

# A worker with an engine, that tells the engine's process and waits to be killed.
WORKER = """
import asyncio
from pathlib import Path
from dvllm_worker.engines.settings import EngineSettings
from dvllm_worker.engines.transformers_engine import TransformersEngine

async def main():
    engine = TransformersEngine(EngineSettings(threads=1), Path({model!r}))
    await engine.start()
    print(engine.child_pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""
# A server with a process of its own, as vLLM has; it tells that one's number.
SERVER = """
import subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
print(helper.pid, file=sys.stderr, flush=True)
time.sleep(1000)
"""


async def spawn(*argv: str, lines: list[str] | None = None) -> ChildProcess:
    return await ChildProcess.spawn(
        argv,
        environment=child_environment({}),
        on_log_line=lines.append if lines is not None else lambda line: None,
    )


async def spawn_guarded_server() -> tuple[ChildProcess, list[int]]:
    """The guard, and every process below it."""
    lines: list[str] = []
    guard = [sys.executable, "-m", "dvllm_worker.engines.guard"]
    child = await spawn(*guard, sys.executable, "-c", SERVER, lines=lines)
    await wait_until(lambda: bool(lines), what="the server's helper")
    below = psutil.Process(child.pid).children(recursive=True)
    assert int(lines[0]) in [each.pid for each in below]
    return child, [each.pid for each in below]


def none_alive(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


async def test_worker__killed__engine_child_gone_too() -> None:
    code = WORKER.format(model=str(tiny_model_path()))
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=CHECKOUT
    )
    assert worker.stdout is not None
    child_pid = int(await worker.stdout.readline())
    assert is_alive(child_pid)
    worker.kill()
    await worker.wait()
    await wait_until(lambda: not is_alive(child_pid), what="the end of the engine's child")


async def test_guard__worker_gone__whole_group_gone() -> None:
    child, below = await spawn_guarded_server()
    child.stdin.close()  # what the kernel does when the worker dies
    await wait_until(lambda: none_alive(below), what="the end of the server's group")
    await child.close(grace_s=1)


async def test_close__guarded_server__whole_group_gone() -> None:
    child, below = await spawn_guarded_server()
    await child.close(grace_s=10)
    assert none_alive(below)


async def test_close__guard_killed_first__rest_of_the_group_gone() -> None:
    child, below = await spawn_guarded_server()
    os.kill(child.pid, signal.SIGKILL)
    assert "SIGKILL" in await child.ended()
    await child.close(grace_s=0)
    await wait_until(lambda: none_alive(below), what="the end of the server's group")


async def test_close__child_deaf_to_requests__killed() -> None:
    lines: list[str] = []
    deaf = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', file=sys.stderr, flush=True); time.sleep(1000)"
    )
    child = await spawn(sys.executable, "-c", deaf, lines=lines)
    await wait_until(lambda: lines == ["deaf"], what="the child to be deaf")
    await child.close(grace_s=0.1)
    assert not is_alive(child.pid)


async def test_ended__child_crashed__its_last_words_are_in_the_reason() -> None:
    child = await spawn(sys.executable, "-c", "print('x' * 10_000); raise SystemExit('no weights')")
    reason = await child.ended()
    assert "exit code 1" in reason
    assert "no weights" in reason
    await child.close(grace_s=0)


async def test_spawn__no_such_program__names_the_setting() -> None:
    with pytest.raises(MissingProgram, match=r"engine\.python"):
        await spawn("no-such-python")


def test_environment__worker_settings__stay_with_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVLLM_WORKER__KEY", "secret")
    environment = child_environment({"A": "1"})
    assert "DVLLM_WORKER__KEY" not in environment
    assert (environment["A"], environment["HF_HUB_OFFLINE"]) == ("1", "1")


@pytest.mark.parametrize(
    "speech",
    [
        f"print('x' * {2 * MAX_OUTPUT_LINE_BYTES})",
        "print('Loading checkpoint shards: 100%')",
        'print(\'{"kind": "piece", "number": 1}\')',
    ],
)
async def test_session__child_breaks_the_protocol__ended_with_the_reason(
    speech: str,
) -> None:
    code = f"import sys, time; sys.stdin.readline(); {speech}; sys.stdout.flush(); time.sleep(1000)"
    child = await spawn(sys.executable, "-c", code)
    session = ChildSession(child, READY, n_slots=1, token_timeout_s=60)
    with pytest.raises(EngineUnavailable, match="broke the protocol"):
        async for _ in session.answer(chat()):
            pass
    assert "broke the protocol" in await session.ended()
    await session.close()
    assert not is_alive(child.pid)
