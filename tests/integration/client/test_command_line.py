"""`dvllm` as a person types it, against real contracts and a real content API: what is asked."""

import asyncio
import json

import pytest

from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.prompts import embedding_prompt, parse_prompt
from tests.support.local_network import MODEL, NODE


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
