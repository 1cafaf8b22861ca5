"""Models: a real tiny one, the next version of one, and prompts that only the requester has."""

from dataclasses import replace

from eth_account.signers.local import LocalAccount

from decentralized_vllm import AsyncClient
from decentralized_vllm.protocol.jobs import JobStatus
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import development_account
from tests.support.engines import tiny_model_path
from tests.support.local_network import OWNER, sending
from tests.support.worker_network import MODEL_ID, TERMS, WorkerNetwork

ASKER: LocalAccount = development_account(7)


async def test_tiny_transformers_model__answers_within_its_lease(net: WorkerNetwork) -> None:
    with net.worker(engine={"kind": "transformers"}) as worker:
        await net.enlist(worker)
        worker.start()
        await worker.logged("on duty", patience_s=180)
        job_id = await net.submit(
            b'{"version": 1, "type": "completion", "prompt": "x", "parameters": {"max_tokens": 4}}'
        )
        await net.reaches(job_id, JobStatus.DELIVERED)
        document = await net.answer(job_id)
        assert document.engine.name == "transformers"
        assert document.usage.n_output_tokens == len(document.token_ids) <= 4


async def test_next_version_is_announced__node_follows(net: WorkerNetwork) -> None:
    with net.worker() as worker:
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        new_cid = await net.store.add_path(tiny_model_path(seed=1))
        async with sending(net.network, OWNER, net.folder) as owner:
            call = net.network.model_registry.update_model(MODEL_ID, new_cid)
            await owner.send(call, key="update")
            await owner.wait("update")
        await worker.logged("version 2 of tiny is served")
        joined = await net.network.coordinator.joined_versions(worker.address)
        assert joined == (2,)
        job_id = await net.submit()
        await net.reaches(job_id, JobStatus.DELIVERED)
        assert (await net.answer(job_id)).request.model_cid == new_cid


async def test_requester_behind_nat__hands_its_prompt_to_the_node(net: WorkerNetwork) -> None:
    """The client's store is its own: no gateway has the prompt, and no mirror the answer."""
    with net.worker() as worker:
        sections = {name: dict(fields) for name, fields in worker.sections.items()}
        del sections["content"]["mirror_api"]
        worker.sections = sections
        await net.enlist(worker)
        worker.start()
        await worker.on_duty()
        call = net.network.token.transfer(ASKER.address, tokens(50))
        await net.requester.send(replace(call, label="fund"), key="fund")
        await net.requester.wait("fund")
        async with AsyncClient.of(net.client_settings(ASKER)) as client:
            task = await client.submit_task("a prompt nobody else has", MODEL_ID, max_tokens=10)
            result = await client.wait_for_completion(task.id, timeout=TERMS.lease_s)
        assert "a prompt nobody else has" in result.response
