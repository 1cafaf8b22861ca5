"""Every snippet of docs/client.md runs as written, addresses, keys and model ids aside."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.devnet_process import TINY_MODEL, free_port_settings, running
from tests.support.engines import tiny_model_path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120


def snippets(heading):
    """The Python blocks below one heading of the page."""
    page = (ROOT / "docs" / "client.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    env = {**os.environ, **TINY_MODEL, **free_port_settings(), "ENGINE": "null", "WORKERS": "2"}
    home = tmp_path_factory.mktemp("documented") / ".devnet"
    with running(home, "up", env=env) as devnet:
        yield devnet, devnet.wait_for_manifest()


@pytest.fixture
def folder(network, tmp_path, monkeypatch):
    """Where a user would be: a model beside them, their data folder their own."""
    shutil.copytree(tiny_model_path(), tmp_path / "my_model")
    (tmp_path / "my_model" / "README.md").write_text("Not the network's own model.")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def filled_in(snippet, manifest, account):
    """The reader's part: address, key, ports and the name of a model that exists."""
    key = next(a.private_key for a in manifest.accounts if a.name == account)
    port = manifest.ipfs_api.rpartition(":")[2]
    for placeholder, value in (
        ('contract_address="0x..."', f'contract_address="{manifest.contracts.coordinator}"'),
        ('private_key="0x..."', f'private_key="{key}"'),
        ('"0x...", "0x..."', f'"{manifest.contracts.coordinator}", "{key}"'),
        ("http://localhost:8545", manifest.rpc_url),
        ("ipfs_port=5001", f"ipfs_port={port}"),
        ('"127.0.0.1") as', f'"127.0.0.1", {port}) as'),
        ("gpt-3.5-turbo", manifest.models[0].id),
    ):
        snippet = snippet.replace(placeholder, value)
    assert "0x..." not in snippet
    return snippet


class Script:
    """Runs snippets one after the other, as one program, and keeps what they print."""

    def __init__(self):
        self.lines = []
        self.names = {"__name__": "__main__", "print": self._print}
        self._printed = threading.Condition()

    def run(self, snippet):
        exec(compile(snippet, "docs/client.md", "exec"), self.names)

    def wait_for_lines(self, start, count):
        with self._printed:
            assert self._printed.wait_for(
                lambda: sum(line.startswith(start) for line in self.lines) >= count, PATIENCE_S
            ), self.lines

    def _print(self, text):
        with self._printed:
            self.lines.append(str(text))
            self._printed.notify_all()


@pytest.fixture
def script():
    script = Script()
    yield script
    if "client" in script.names:
        script.names["client"].close()


def test_basic_usage__as_written__prints_answer_time_and_models(network, folder, script):
    (snippet,) = snippets("Basic usage")
    script.run(filled_in(snippet, network[1], "requester"))
    response, time_taken, *models = script.lines
    assert re.fullmatch(r"Response: .+", response, re.DOTALL)
    assert re.fullmatch(r"Time taken: \d+\.\d+s", time_taken)
    assert f"{network[1].models[0].id}: {network[1].models[0].name}" in models


def test_advanced_usage__as_written__publishes_monitors_and_collects(network, folder, script):
    (basic,), (advanced,) = snippets("Basic usage"), snippets("Advanced usage")
    script.run(filled_in(basic, network[1], "deployer"))
    script.run(filled_in(advanced, network[1], "deployer"))
    names = script.names
    assert names["model_id"] == "custom-model"
    assert [result.id for result in names["results"]] == [task.id for task in names["tasks"]]
    assert all(result.response for result in names["results"])
    script.wait_for_lines("Task ", 3)
    told = {line for line in script.lines if line.startswith("Task ")}
    assert told == {f"Task {r.id} completed: {r.response}" for r in names["results"]}


def test_tools__as_written__prints_the_call_and_goes_on(network, folder, script):
    (basic,), (tools,) = snippets("Basic usage"), snippets("Tools")
    script.run(filled_in(basic, network[1], "requester"))
    script.lines.clear()
    script.run(filled_in(tools, network[1], "requester"))
    called, answer = script.lines
    assert called.startswith('get_weather: {"words":')
    assert "Rain" in answer


def test_token_ids__as_written__prints_what_is_answered_to_them(network, folder, script):
    (basic,), (token_ids,) = snippets("Basic usage"), snippets("Token ids")
    script.run(filled_in(basic, network[1], "requester"))
    script.lines.clear()
    script.run(filled_in(token_ids, network[1], "requester"))
    (answer,) = script.lines
    assert answer.startswith("504 3575 282")


def test_embeddings__as_written__prints_two_vectors(network, folder, script):
    (basic,), (embeddings,) = snippets("Basic usage"), snippets("Embeddings")
    script.run(filled_in(basic, network[1], "requester"))
    script.lines.clear()
    script.run(filled_in(embeddings, network[1], "requester"))
    assert len(script.lines) == 2
    assert all(re.fullmatch(r"8 numbers, the first is 0\.\d+", line) for line in script.lines)


def test_asyncio__as_written__prints_three_tasks(network, folder, script):
    (snippet,) = snippets("With asyncio")
    script.run(filled_in(snippet, network[1], "requester"))
    assert [line.partition("(")[0] for line in script.lines] == ["Task"] * 3


@pytest.mark.parametrize("name", ["ask.py", "follow.py"])
def test_example__on_a_running_network__answers(network, folder, name):
    (folder / ".devnet").symlink_to(network[0].home)
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), "Why?"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.fixture
def dvllm(network, folder):
    """Runs a command beside the network, and returns what it puts on standard output."""
    (folder / ".devnet").symlink_to(network[0].home)
    program = "from decentralized_vllm.cli import main; main()"

    def call(command, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", program, command, "--devnet", *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_dvllm__on_a_running_network__asks_and_answers(network, dvllm):
    assert dvllm("submit", "--wait", "--model", network[1].models[0].id, "Why?").strip()


def test_dvllm_tools__on_a_running_network__prints_the_call(network, dvllm, folder):
    tool = {"type": "function", "function": {"name": "get_weather"}}
    (folder / "tools.json").write_text(json.dumps([tool]))
    asked = ["--model", network[1].models[0].id, "--tools", "tools.json", "Why?"]
    assert dvllm("submit", "--wait", *asked) == 'get_weather({"words":["Why?"]})\n'
    told = json.loads(dvllm("submit", "--wait", "--json", *asked))
    (call,) = told["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": '{"words":["Why?"]}'}
    assert (told["response"], told["finish_reason"]) == ("", "tool_calls")


def test_dvllm_token_ids__on_a_running_network__prints_what_is_answered(network, dvllm):
    asked = ["--model", network[1].models[0].id, "504 3575 282"]
    assert dvllm("submit", "--wait", "--token-ids", *asked).startswith("504 3575 282")


def test_dvllm_embed__on_a_running_network__prints_vectors(network, dvllm):
    asked = ["--model", network[1].models[0].id, "one", "two", "one"]
    first, second, third = map(json.loads, dvllm("embed", *asked).splitlines())
    assert first == third != second
    told = json.loads(dvllm("embed", "--json", *asked))
    assert told["vectors"] == [first, second, third]
    assert json.loads(dvllm("job", "--json", str(told["job_id"])))["vectors"] == told["vectors"]
