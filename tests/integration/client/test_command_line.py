"""`dvllm` as a person types it, against real contracts and a real content API."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.prompts import embedding_prompt, parse_prompt
from tests.support.client_market import ASKER
from tests.support.local_network import MODEL, NODE

DVLLM = (sys.executable, "-c", "from decentralized_vllm.cli import main; main()")


@pytest.fixture
def environment(market, tmp_path):
    settings = market.settings()
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return {
        **kept,
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "DVLLM_CLIENT__ETH_NODE_URL": settings.eth_node_url,
        "DVLLM_CLIENT__CONTRACT_ADDRESS": settings.contract_address,
        "DVLLM_CLIENT__PRIVATE_KEY": settings.private_key,
        "DVLLM_CLIENT__IPFS_HOST": "127.0.0.1",
        "DVLLM_CLIENT__IPFS_PORT": str(settings.ipfs_port),
        "DVLLM_CLIENT__DATA_DIR": str(tmp_path / "data"),
        "DVLLM_CLIENT__POLL_S": "0.1",
    }


@pytest.fixture
def dvllm(environment):
    """Runs one command to its end: (exit code, standard output, standard error)."""

    async def call(*arguments, stdin=b"", **changes):
        process = await asyncio.create_subprocess_exec(
            *DVLLM,
            *arguments,
            env={**environment, **changes},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), timeout=90)
        return process.returncode, out.decode(), err.decode()

    return call


async def answer_next_job(market, text):
    coordinator = market.network.coordinator
    seen = await coordinator.job_count()
    while await coordinator.job_count() == seen:  # noqa: ASYNC110 - a process sets no event
        await asyncio.sleep(0.1)
    await market.node.answer(seen + 1, text)


async def test_submit__wait__prints_the_answer_and_nothing_else(dvllm, market):
    (code, out, err), _ = await asyncio.gather(
        dvllm("submit", "--wait", "--max-tokens", "20", "What is 2 + 2?"),
        answer_next_job(market, "It is four"),
    )
    assert (code, out) == (0, "It is four\n")
    assert "job 1: " in err
    assert "3 written, ended by stop" in err


async def test_submit__file_and_json__tells_the_job(dvllm, tmp_path):
    (tmp_path / "question.txt").write_text("Grüße?")
    code, out, _ = await dvllm(
        "submit", "--model", MODEL.model_id, "--file", str(tmp_path / "question.txt"), "--json"
    )
    job = json.loads(out)
    assert code == 0
    assert (job["job_id"], job["status"], job["model_id"]) == (1, "running", MODEL.model_id)


async def test_submit__standard_input__is_the_prompt(dvllm):
    code, out, _ = await dvllm("submit", "-", stdin=b"Hello?")
    assert (code, out) == (0, "1\n")


async def test_submit__tools__are_in_the_prompt(dvllm, market, tmp_path):
    tool = {"type": "function", "function": {"name": "get_weather"}}
    (tmp_path / "tools.json").write_text(json.dumps([tool]))
    offer = ["--tools", str(tmp_path / "tools.json"), "--tool-choice", "get_weather"]
    code, out, _ = await dvllm("submit", *offer, "--json", "Weather in Oslo?")
    assert code == 0
    job = json.loads(out)
    prompt = parse_prompt(await market.store.read_bytes(job["prompt_cid"], max_bytes=10_000))
    assert prompt.tools.named == "get_weather"
    assert (job["tool_calls"], job["vectors"]) == ([], None)


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["504 7 12"], b""),
        ([], b"[504, 7, 12]\n"),
        (["--file", "{ids}"], b""),
    ],
    ids=["argument", "standard input", "file"],
)
async def test_submit__token_ids__are_the_prompt(dvllm, market, tmp_path, arguments, stdin):
    (tmp_path / "ids").write_text("504\n7\n12\n")
    given = [each.format(ids=tmp_path / "ids") for each in arguments]
    code, out, err = await dvllm("submit", "--token-ids", *given, "--json", stdin=stdin)
    assert code == 0, err
    cid = json.loads(out)["prompt_cid"]
    prompt = parse_prompt(await market.store.read_bytes(cid, max_bytes=10_000))
    assert (prompt.token_ids, prompt.messages) == ((504, 7, 12), None)


async def test_submit__token_ids_that_are_none__are_told_by_the_option(dvllm, tmp_path):
    code, _, err = await dvllm("submit", "--token-ids", "504 seven")
    assert code == 2
    assert "the token id at index 1 is not a whole number" in err
    assert "[--token-ids]" in err
    tool = {"type": "function", "function": {"name": "f"}}
    (tmp_path / "tools.json").write_text(json.dumps([tool]))
    code, _, err = await dvllm(
        "submit", "--token-ids", "--tools", str(tmp_path / "tools.json"), "504"
    )
    assert code == 2
    assert "not with token ids" in err and "[--tools]" in err


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["a cat", "a kitten"], b""),
        (["-"], b"a cat\r\na kitten\n"),
        (["--file", "{lines}"], b""),
    ],
    ids=["arguments", "standard input", "file"],
)
async def test_embed__texts__prints_a_vector_of_each(dvllm, market, tmp_path, arguments, stdin):
    (tmp_path / "lines").write_text("a cat\na kitten")
    given = [each.format(lines=tmp_path / "lines") for each in arguments]
    (code, out, err), _ = await asyncio.gather(
        dvllm("embed", *given, stdin=stdin),
        answer_next_job(market, vectors_text([[1.0, 0.0], [0.5, -0.5]])),
    )
    assert (code, out) == (0, "[1.0, 0.0]\n[0.5, -0.5]\n")
    assert "job 1: " in err
    cid = (await market.network.jobs.request(1)).prompt_cid
    prompt = parse_prompt(await market.store.read_bytes(cid, max_bytes=10_000))
    assert prompt == embedding_prompt(["a cat", "a kitten"])


async def test_job__after_its_answer__shows_it(dvllm, market):
    await dvllm("submit", "Hi")
    await market.node.answer(1, "Hello there")
    code, out, err = await dvllm("job", "1")
    assert (code, out) == (0, "Hello there\n")
    assert "job  1, completed" in err
    assert (await dvllm("job", "1", "--wait"))[1] == "Hello there\n"


async def test_job__failed_while_waiting__has_its_own_exit_code(dvllm, market):
    await dvllm("submit", "Hi")
    await market.node.fail(1, FailureCode.CONTENT_INVALID)
    code, out, err = await dvllm("job", "1", "--wait", "--json")
    assert code == 3
    assert json.loads(out)["error"]["type"] == "JobFailed"
    assert err.startswith("dvllm: job 1 failed: the prompt is not valid")


async def test_jobs_and_cancel__show_and_take_back(dvllm, market):
    await market.node.leave()
    await dvllm("submit", "Hi")
    code, out, _ = await dvllm("cancel", "1", "--json")
    assert (code, json.loads(out)["status"]) == (0, "cancelled")
    code, out, _ = await dvllm("jobs")
    assert code == 0
    assert out.split()[:2] == ["1", "cancelled"]


async def test_models_and_nodes__need_no_key(dvllm):
    code, out, _ = await dvllm("models", DVLLM_CLIENT__PRIVATE_KEY="hush")
    assert (code, out.split(":")[0]) == (0, MODEL.model_id)
    code, out, _ = await dvllm("nodes", "--json")
    assert [node["address"] for node in json.loads(out)["nodes"]] == [NODE.address]


async def test_wallet__money__moves_in_and_out(dvllm):
    code, out, _ = await dvllm("wallet", "deposit", "5", "--json")
    assert (code, json.loads(out)["credit_wei"]) == (0, str(5 * 10**18))
    code, out, _ = await dvllm("wallet", "withdraw", "1.5", "--json")
    assert (code, json.loads(out)["credit_wei"]) == (0, str(35 * 10**17))
    await dvllm("wallet", "faucet", "7")
    code, out, _ = await dvllm("wallet", "balance")
    assert out.splitlines()[:3] == [
        f"account  {ASKER.address}",
        "credit   3.5 tokens",
        "wallet   53.5 tokens",
    ]


async def test_wallet__new_import_show__keep_a_key_behind_a_passphrase(dvllm, tmp_path):
    (tmp_path / "passphrase").write_text("correct horse\n")
    (tmp_path / "key").write_text("0x" + "33" * 32)
    place = ["--keystore", str(tmp_path / "key.json")]
    secret = ["--passphrase-file", str(tmp_path / "passphrase")]
    code, out, _ = await dvllm(
        "wallet", "import", "--key-file", str(tmp_path / "key"), *place, *secret, "--json"
    )
    address = json.loads(out)["address"]
    assert code == 0
    assert (await dvllm("wallet", "show", *place))[1].startswith(address)
    code, out, _ = await dvllm(
        "wallet", "balance", "--json", *place, *secret, DVLLM_CLIENT__PRIVATE_KEY=""
    )
    assert (code, json.loads(out)["account"]) == (0, address)
    code, _, err = await dvllm("wallet", "new", *place, *secret)
    assert code == 2
    assert "exists already" in err


async def test_wallet__nobody_to_ask_for_the_passphrase__names_the_setting(environment, tmp_path):
    process = await asyncio.create_subprocess_exec(
        *DVLLM,
        *("wallet", "new", "--json", "--keystore", str(tmp_path / "key.json")),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # without a terminal
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=90)
    assert process.returncode == 2
    assert "no terminal" in json.loads(out)["error"]["message"]
    assert b"[--passphrase-file or DVLLM_CLIENT__PASSPHRASE_FILE]" in err
    assert b"GetPassWarning" not in err


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


async def test_misspelt_variable__is_named_once_and_as_it_was_written(dvllm):
    code, _, err = await dvllm("models", DVLLM_CLIENT__IPFS_HOTS="x")
    assert code != 0
    assert err.count("DVLLM_CLIENT__IPFS_HOTS") == 1
    assert "[DVLLM" not in err
