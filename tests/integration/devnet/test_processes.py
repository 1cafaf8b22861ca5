import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest

from decentralized_vllm.protocol.errors import MissingProgram
from dvllm_devnet.errors import ProcessFailed
from dvllm_devnet.processes import ChildProcess, Command, wait_until_ready

FAMILY = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
)
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(60)"
)


def python(code, **options):
    return Command("child", (sys.executable, "-c", code), **options)


async def children_of(child):
    def found():
        return psutil.Process(child.pid).children(recursive=True)

    async def any_found():
        return bool(found())

    await wait_until_ready(child, any_found, timeout_s=30)
    return found()


async def said(child, text):
    async def in_log():
        return text in child.log.read_text()

    await wait_until_ready(child, in_log, timeout_s=30)


async def test_start__program_missing__is_a_missing_program(tmp_path):
    with pytest.raises(MissingProgram, match="/nowhere/anvil"):
        await ChildProcess.start(Command("chain", ("/nowhere/anvil",)), tmp_path)


async def test_wait_until_ready__child_ends__error_shows_its_last_words(tmp_path):
    child = await ChildProcess.start(python("raise SystemExit('no disk left')"), tmp_path)

    async def never():
        return False

    with pytest.raises(ProcessFailed, match=r"(?s)exit code 1.*no disk left"):
        await wait_until_ready(child, never, timeout_s=30)


async def test_wait_until_ready__too_slow__is_given_up(tmp_path):
    child = await ChildProcess.start(python("import time; time.sleep(60)"), tmp_path)

    async def never():
        return False

    with pytest.raises(ProcessFailed, match="not ready after"):
        await wait_until_ready(child, never, timeout_s=0.1)
    await child.stop()


async def test_stop__child_with_children__ends_them_all(tmp_path):
    child = await ChildProcess.start(python(FAMILY), tmp_path)
    grandchildren = await children_of(child)
    await child.stop()
    assert child.exit_code is not None
    assert psutil.wait_procs(grandchildren, timeout=10)[1] == []


async def test_stop__child_that_ignores_it__is_killed(tmp_path):
    child = await ChildProcess.start(python(STUBBORN, stop_timeout_s=0.2), tmp_path)
    await said(child, "ready")
    await child.stop()
    assert child.exit_code == -signal.SIGKILL


async def test_stop__interrupted__still_kills(tmp_path):
    child = await ChildProcess.start(python(STUBBORN, stop_timeout_s=60), tmp_path)
    await said(child, "ready")
    stopping = asyncio.create_task(child.stop())
    await asyncio.sleep(0.1)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    assert await child.wait() == -signal.SIGKILL


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="parent death signal is Linux's")
def test_parent_killed__child_ends_too(tmp_path):
    program = f"""
import asyncio, pathlib, sys
from dvllm_devnet.processes import ChildProcess, Command
async def main():
    command = Command("child", (sys.executable, "-c", "import time; time.sleep(60)"))
    child = await ChildProcess.start(command, pathlib.Path({str(tmp_path)!r}))
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert psutil.wait_procs([child], timeout=10)[1] == []
