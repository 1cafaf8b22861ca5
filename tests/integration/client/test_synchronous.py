"""The synchronous face: the document's calls from ordinary threads, and a clean end."""

import asyncio
import subprocess
import sys
import threading
from dataclasses import fields

import pytest

from decentralized_vllm import Client, JobFailed, SettingError, WaitTimeout
from decentralized_vllm.protocol.jobs import FailureCode
from tests.support.local_network import MODEL


def keywords(market, **changes):
    settings = market.settings(**changes)
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


async def in_thread(work):
    return await asyncio.to_thread(work)


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
    done = await in_thread(
        lambda: subprocess.run(
            [sys.executable, "-X", "dev", "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['tiny']\n", "")
