"""What `dvllm` says to mistakes and interrupts, and how it exits."""

import asyncio
import json
import os
import shlex
import signal
import subprocess

import pytest

from tests.support.command_line import DVLLM

MISTAKES = [
    (["models"], {"DVLLM_CLIENT__ETH_NODE_URL": "http://127.0.0.1:9"}, 5, "eth_node_url"),
    (["models", "--chain-id", "1"], {}, 2, "serves chain 31337, not 1"),
    (["models", "--contract-address", "0x12"], {}, 2, "--contract-address"),
    (["submit", "--model", "nowhere", "Hi"], {}, 1, "there is no model 'nowhere'"),
    (["submit", "--max-tokens", "0", "Hi"], {}, 1, "max_tokens"),
    (["submit", ""], {}, 1, "the prompt is empty"),
    (["submit", "--max-fee", "x", "Hi"], {}, 2, "max_fee"),
    (["submit", "--tools", "none.json", "Hi"], {}, 2, "[--tools]"),
    (["submit", "--tool-choice", "auto", "Hi"], {}, 2, "[--tool-choice]"),
    (["embed", ""], {}, 1, "input.0: "),
    (["embed"], {}, 1, "line 1 is empty"),
    (["submit", "--max-fee", "x", "Hi"], {}, 2, "tokens [--max-fee]"),
    (["wallet", "deposit", "x"], {}, 2, "'x' is not a decimal amount of tokens"),
    (["job", "9" * 80], {}, 1, "there is no such job"),
    (["models", "--eth-node-url", "http://[::1"], {}, 2, "eth_node_url: is not an http(s) URL"),
    (["embed", "--file", "none", "Hi"], {}, 2, "No such file"),
    (["submit", "--max-top-up", "0", "Hi"], {}, 1, "max_top_up"),
    (["submit", "--file", "none", "Hi"], {}, 2, "No such file"),
    (["submit", "--data-dir", "/dev/null/x", "Hi"], {}, 2, "data_dir: /dev/null/x"),
    (["wallet", "deposit", "1"], {"DVLLM_CLIENT__DATA_DIR": "/dev/null/x"}, 2, "[--data-dir or"),
    (["job", "99"], {}, 1, "there is no job 99"),
]


async def test_mistakes__are_one_clear_line_and_a_code(dvllm):
    for arguments, changes, code, told in MISTAKES:  # one network for all of them
        found, out, err = await dvllm(*arguments, **changes)
        assert (found, out) == (code, ""), arguments
        assert told in err.splitlines()[-1], arguments
        assert "Traceback" not in err


@pytest.mark.parametrize("command", ["submit", "embed"])
async def test_input_that_is_no_text__as_json__is_told_as_json(dvllm, command):
    code, out, err = await dvllm(command, "--json", "-", stdin=b"Hi \xff")
    assert (code, json.loads(out)["error"]["type"]) == (1, "InvalidPrompt")
    assert "not UTF-8 at byte 3" in err


async def test_misspelt_variable__is_named_once_and_as_it_was_written(dvllm):
    code, _, err = await dvllm("models", DVLLM_CLIENT__IPFS_HOTS="x")
    assert code != 0
    assert err.count("DVLLM_CLIENT__IPFS_HOTS") == 1
    assert "[DVLLM" not in err


@pytest.mark.parametrize("command", [("submit",), ("embed", "-"), ("content", "add", "-")])
async def test_standard_input__closed__is_told(environment, command):
    line = " ".join([*map(shlex.quote, (*DVLLM, *command)), "--json", "<&-"])
    process = await asyncio.create_subprocess_shell(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=90)
    assert process.returncode == 1
    assert "standard input is closed" in json.loads(out)["error"]["message"]
    assert b"standard input is closed" in err.splitlines()[-1]


async def test_prompt__that_is_no_text__is_told_as_one_of_a_file_is(dvllm):
    code, _, err = await dvllm("submit", os.fsdecode(b"Hi \xff"))
    assert (code, err) == (1, "dvllm: the prompt is not UTF-8 at byte 3\n")


@pytest.mark.parametrize(
    ("command", "kind", "code"),
    [
        (("submit", "--max-tokens", "x", "Hi"), "UsageError", 2),
        (("job",), "UsageError", 2),
        (("nonsense",), "UsageError", 2),
        (("submit", "--nonsense", "Hi"), "UsageError", 2),
        (("content", "cat", "nonsense"), "InvalidCid", 1),
        (("content", "pin", "--store", "here", "--api", "http://127.0.0.1:9"), "SettingError", 2),
        (("content", "pin", "--api", "http://127.0.0.1:9"), "ContentUnavailable", 5),
        (("content", "add", "none", "--only-hash"), "FileNotFoundError", 1),
    ],
)
async def test_any_mistake__as_json__is_told_as_json(dvllm, command, kind, code):
    found, out, err = await dvllm(*command, "--json")
    told = json.loads(out)["error"]
    assert (found, told["type"]) == (code, kind)
    assert told["message"] in err


@pytest.fixture
def heeded_interrupts():
    """What a shell starts in the background is deaf to Ctrl-C, and so are its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded_interrupts")
async def test_submit__interrupted_while_waiting__says_the_job_goes_on(market, environment):
    process = await asyncio.create_subprocess_exec(
        *DVLLM, "submit", "--wait", "Hi", env=environment, stderr=subprocess.PIPE
    )
    while await market.network.coordinator.job_count() == 0:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.1)
    first_line = await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), timeout=90)
    assert b"job 1: " in first_line
    assert process.returncode == 130
    assert b"goes on" in err
    assert b"Traceback" not in err
