"""Vectors over /v1: a job on chain like any other, told as numbers or packed."""

import base64
import struct
from collections.abc import Mapping
from typing import Any

import aiohttp

from decentralized_vllm.protocol.embeddings import read_vectors
from decentralized_vllm.protocol.ids import JobId
from decentralized_vllm.protocol.jobs import JobStatus
from tests.support.gateway_process import GatewayProcess
from tests.support.known_nodes import node_is_known
from tests.support.worker_network import MODEL_ID, WorkerNetwork
from tests.support.worker_process import WorkerProcess

INPUTS = ["Hello there", "Good bye"]
BODY: Mapping[str, Any] = {"model": str(MODEL_ID), "input": INPUTS}


async def test_embeddings__of_two_texts__as_the_node_signed_them(
    net: WorkerNetwork, worker: WorkerProcess, gateway: GatewayProcess
) -> None:
    await node_is_known(gateway)
    key = await gateway.make_key("caller", credit="50")
    url = f"{gateway.unified_url}/v1/embeddings"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        async with http.post(url, json=BODY) as reply:
            assert reply.status == 200
            plain = await reply.json()
            job_id = JobId(int(reply.headers["X-Dvllm-Job-Id"]))
        async with http.post(url, json={**BODY, "encoding_format": "base64"}) as reply:
            packed = await reply.json()
        for wrong in ({"input": [1]}, {"input": ""}, {"dimensions": 4}, {"input": []}):
            async with http.post(url, json={**BODY, **wrong}) as reply:
                assert reply.status == 400
                assert (await reply.json())["error"]["type"] == "invalid_request_error"
    await net.reaches(job_id, JobStatus.DELIVERED)
    signed = await net.answer(job_id)
    vectors = read_vectors(signed.text, len(INPUTS))
    assert [tuple(each["embedding"]) for each in plain["data"]] == vectors
    unpacked = [base64.b64decode(each["embedding"]) for each in packed["data"]]
    assert [struct.unpack(f"<{len(each) // 4}f", each) for each in unpacked] == vectors
    assert plain["usage"] == {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}
    assert (signed.usage.n_prompt_tokens, signed.usage.n_output_tokens) == (4, 0)
