"""Handlers: whom an event reaches, and what a broken one does to the others."""

from pathlib import Path

import pytest

from decentralized_vllm.protocol.errors import InvalidPrompt, SettingError
from decentralized_vllm.protocol.generation import Message, SamplingParameters
from decentralized_vllm.requester.handlers import Handlers
from decentralized_vllm.requester.inputs import job_id_of, make_document
from decentralized_vllm.requester.tasks import TaskProgress
from decentralized_vllm.settings import ClientSettings

PROGRESS = TaskProgress(7, 1, 25.0, "x")


async def test_tell__plain_and_coroutine_handlers__are_called_in_order():
    handlers, heard = Handlers(), []

    async def slow(subject):
        heard.append(("slow", subject))

    handlers.on("task_progress", slow)
    handlers.on("task_progress", lambda subject: heard.append(("plain", subject)))
    handlers.on("task_failed", lambda subject: heard.append(("other", subject)))
    await handlers.tell("task_progress", PROGRESS)
    assert heard == [("slow", PROGRESS), ("plain", PROGRESS)]


async def test_tell__handler_that_raises__is_logged_and_the_next_is_called(caplog):
    handlers, heard = Handlers(), []
    handlers.on("task_progress", lambda subject: 1 / 0)
    handlers.on("task_progress", heard.append)
    await handlers.tell("task_progress", PROGRESS)
    assert heard == [PROGRESS]
    assert "ZeroDivisionError" in caplog.text


def test_wants__is_true_where_somebody_listens():
    handlers = Handlers()
    handlers.on("task_progress", print)
    assert handlers.wants("task_progress")
    assert not handlers.wants("task_failed")


def test_make_document__messages_in_either_form__are_the_same_chat():
    parameters = SamplingParameters(max_tokens=5)
    as_objects = make_document([Message("user", "Hi")], parameters)
    assert as_objects == make_document([{"role": "user", "content": "Hi"}], parameters)
    assert as_objects == make_document("Hi", parameters)


@pytest.mark.parametrize("prompt", ["", " \n", [{"role": "user"}], ["Hi"]])
def test_make_document__what_is_no_prompt__is_refused(prompt):
    with pytest.raises(InvalidPrompt):
        make_document(prompt, SamplingParameters())


def test_job_id_of__number__is_taken_as_it_is():
    assert job_id_of(7) == 7


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"ipfs_port": 0}, "ipfs_port"),
        ({"ipfs_port": 65_536}, "ipfs_port"),
        ({"ipfs_port": "5001"}, "ipfs_port"),
        ({"chain_id": "1"}, "chain_id"),
        ({"poll_s": 0}, "poll_s"),
        ({"private_key": "0x1", "keystore": "key.json"}, "keystore"),
    ],
)
def test_client_settings__impossible_value__is_refused_by_name(changes, setting):
    with pytest.raises(SettingError) as caught:
        ClientSettings(eth_node_url="http://localhost", contract_address="0x", **changes)
    assert caught.value.setting == setting


def test_client_settings__folders_as_text__are_paths():
    settings = ClientSettings("http://a", "0x", data_dir="data")
    assert (settings.data_path, settings.store_path) == (Path("data"), Path("data/content"))
    assert ClientSettings("http://a", "0x", store="kept").store_path == Path("kept")


def test_client_settings__one_url_or_several__are_a_list():
    one = ClientSettings(eth_node_url="http://a", contract_address="0x")
    two = ClientSettings(eth_node_url=["http://a", "http://b"], contract_address="0x")
    assert (one.eth_node_urls, two.eth_node_urls) == (("http://a",), ("http://a", "http://b"))
