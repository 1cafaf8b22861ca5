"""The synchronous face: the document's calls from ordinary threads, and a clean end."""

import asyncio
import gc
import subprocess
import sys
import threading
from dataclasses import fields

import pytest

from decentralized_vllm import Client, JobFailed, SettingError, WaitTimeout
from decentralized_vllm.protocol.jobs import FailureCode
from tests.support.local_network import MODEL
from tests.support.waiting import wait_until


def keywords(market, **changes):
    settings = market.settings(**changes)
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


async def in_thread(work):
    return await asyncio.to_thread(work)


async def ran(program):
    """What a program prints that ends well and quietly."""
    done = await in_thread(
        lambda: subprocess.run(
            [sys.executable, "-W", "default", "-c", program],  # -X dev also tells of slow turns
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
async def client(market):
    client = await in_thread(lambda: Client(**keywords(market)))
    yield client
    await in_thread(client.close)


async def test_client__submit_and_wait__gives_the_answer(client, market):
    task = await in_thread(lambda: client.submit_task("Hi", MODEL.model_id, 20))
    await market.node.answer(task.id, "Hello there")
    done = await in_thread(lambda: client.wait_for_completion(task.id, timeout=60))
    assert done.response == "Hello there"
    assert done.timing.total_time >= 0


async def test_client__failed_task__raises_in_the_callers_thread(client, market):
    task = await in_thread(lambda: client.submit_task("Hi", MODEL.model_id))
    await market.node.fail(task.id, FailureCode.CONTENT_INVALID)
    with pytest.raises(JobFailed):
        await in_thread(lambda: client.wait_for_all([task], timeout=60))


async def test_client__timeout__is_a_timeout_error_too(client):
    task = await in_thread(lambda: client.submit_task("Hi", MODEL.model_id))
    with pytest.raises(TimeoutError) as caught:
        await in_thread(lambda: client.wait_for_completion(task, timeout=0.2))
    assert isinstance(caught.value, WaitTimeout)


async def test_client__handler__may_call_the_client_again(client, market):
    heard = []
    answered = threading.Event()

    def on_task_completed(task):
        heard.append(client.get_task(task.id).response)
        answered.set()

    client.on("task_completed", on_task_completed)
    await in_thread(client.start_monitoring)
    task = await in_thread(lambda: client.submit_task("Hi", MODEL.model_id))
    await market.node.answer(task.id, "Hello there")
    assert await in_thread(lambda: answered.wait(60))
    assert heard == ["Hello there"]


async def test_client__handler_that_submits__is_not_waited_for_by_its_own_submission(
    client, market, caplog
):
    heard = []

    def on_task_submitted(task):
        heard.append(task.id)
        raise ValueError("nobody waits for this handler")

    def on_task_completed(task):
        heard.append("completed")
        client.submit_task("And then?", MODEL.model_id)
        heard.append("submitted")

    client.on("task_completed", on_task_completed)
    await in_thread(client.start_monitoring)
    task = await in_thread(lambda: client.submit_task("Hi", MODEL.model_id))
    client.on("task_submitted", on_task_submitted)
    heard.append(task.id)
    await market.node.answer(task.id, "Hello there")
    await wait_until(lambda: len(heard) == 4, what="the handlers", patience_s=60)
    assert heard == [task.id, "completed", "submitted", task.id + 1]
    await wait_until(lambda: "nobody waits" in caplog.text, what="its failure in the log")


async def test_client__list_models__shows_ids_and_names(client):
    models = await in_thread(client.list_models)
    assert [(model.id, model.name, model.active) for model in models] == [("tiny", "Tiny", True)]


async def test_client__wrong_setting__is_refused_by_the_constructor(market):
    with pytest.raises(SettingError, match="contract_address"):
        await in_thread(lambda: Client(**keywords(market, contract_address="nonsense")))


async def test_client__never_closed__ends_quietly_with_the_process(market):
    program = f"""
from decentralized_vllm import Client
client = Client({market.anvil.url!r}, {market.network.coordinator.address!r})
print([model.id for model in client.list_models()])
"""
    assert await ran(program) == "['tiny']\n"


async def test_client__own_store_and_never_closed__ends_quietly_with_the_process(market):
    settings = keywords(market)
    program = f"""
from decentralized_vllm import Client
client = Client(
    {market.anvil.url!r},
    {market.network.coordinator.address!r},
    {settings["private_key"]!r},
    data_dir={str(settings["data_dir"])!r},
)
print(client.submit_task("Hi", {MODEL.model_id!r}, 20).status.value)
"""
    assert await ran(program) in ("pending\n", "running\n")


async def test_client__closed__says_so(market):
    client = await in_thread(lambda: Client(**keywords(market)))
    await in_thread(client.close)
    with pytest.raises(RuntimeError, match="the client is closed"):
        await in_thread(client.balance)


async def test_client__closed_by_another_thread__ends_who_waits(market):
    client = await in_thread(lambda: Client(**keywords(market)))
    task = await in_thread(lambda: client.submit_task("Hi", MODEL.model_id))
    waiting = asyncio.create_task(in_thread(lambda: client.wait_for_completion(task)))
    await wait_until(lambda: bool(client._thread._calls), what="the call to begin")
    await in_thread(client.close)
    with pytest.raises(RuntimeError, match="the client was closed meanwhile"):
        await waiting


async def test_client__collected_in_its_own_thread__ends_all_the_same(market):
    """The collector runs where it likes, and whoever is in a cycle is left to it."""

    def thread_of_a_lost_client():
        client = Client(**keywords(market))
        client.myself = client
        return client._thread

    gc.disable()
    try:
        lost = await in_thread(thread_of_a_lost_client)
        lost._loop.call_soon_threadsafe(gc.collect)
        await in_thread(lambda: lost._thread.join(timeout=60))
    finally:
        gc.enable()
    assert not lost._thread.is_alive()


async def test_client__in_a_forked_process__says_so_and_lets_it_end(market):
    program = f"""
import os, sys
from decentralized_vllm import Client
client = Client({market.anvil.url!r}, {market.network.coordinator.address!r})
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), [model.id for model in client.list_models()])
    sys.exit()
try:
    client.list_models()
except RuntimeError as error:
    print(error, flush=True)
"""
    assert await ran(program) == (
        "this client was opened before the fork: open one here\n0 ['tiny']\n"
    )
