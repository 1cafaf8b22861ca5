"""Vectors of texts through the client."""

import pytest

from decentralized_vllm import AsyncClient, InvalidPrompt, InvalidResponse
from decentralized_vllm.protocol.embeddings import vectors_text
from decentralized_vllm.protocol.prompts import embedding_prompt, parse_prompt
from tests.support.local_network import MODEL

VECTORS = ((1.0, 0.0), (0.5, -0.5))


async def test_submit_embeddings__answered__has_a_vector_of_each_text(client, market):
    task = await client.submit_embeddings(["a cat", "a kitten"], MODEL.model_id)
    prompt = parse_prompt(await market.store.read_bytes(task.prompt_cid, max_bytes=10_000))
    assert prompt == embedding_prompt(["a cat", "a kitten"])
    assert task.vectors is None
    await market.node.answer(task.id, vectors_text(VECTORS))
    done = await client.wait_for_completion(task.id, timeout=60)
    assert (done.vectors, done.tool_calls) == (VECTORS, ())
    assert (await client.get_task(task)).vectors == VECTORS


async def test_submit_embeddings__one_text__is_not_taken_for_its_letters(client, market):
    task = await client.submit_embeddings("a cat", MODEL.model_id)
    await market.node.answer(task.id, vectors_text(VECTORS[:1]))
    assert (await client.wait_for_completion(task, timeout=60)).vectors == VECTORS[:1]


@pytest.mark.parametrize("text", ["a text", vectors_text(VECTORS)], ids=["text", "too many"])
async def test_wait_for_completion__what_is_no_vectors_of_the_texts__is_refused(
    client, market, text
):
    task = await client.submit_embeddings(["a cat"], MODEL.model_id)
    await market.node.answer(task.id, text)
    with pytest.raises(InvalidResponse, match="no vectors"):
        await client.wait_for_completion(task, timeout=60)


async def test_submit_embeddings__texts_that_are_none__are_refused(client, market):
    for texts in ([], [""], ["a", 1], ["a"] * 257):
        with pytest.raises(InvalidPrompt, match="input"):
            await client.submit_embeddings(texts, MODEL.model_id)
    assert await market.network.coordinator.job_count() == 0


async def test_vectors_like_text__that_nobody_asked_for__are_text(client, market):
    task = await client.submit_task("Hi", MODEL.model_id)
    await market.node.answer(task.id, vectors_text(VECTORS))
    async with AsyncClient.of(market.settings(private_key=None)) as reader:
        assert (await reader.get_task(task.id)).vectors is None
