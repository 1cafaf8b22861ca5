"""Finding a deployment from its coordinator, and refusing everything that is not one."""

import asyncio
from pathlib import Path

import pytest

from decentralized_vllm.chain.deployment import Deployment
from decentralized_vllm.chain.network import ChainSettings, Network, connect
from decentralized_vllm.chain.permit import sign_permit
from decentralized_vllm.protocol.digests import request_digest
from decentralized_vllm.protocol.errors import (
    AbiMismatch,
    ChainUnavailable,
    NoContract,
    SettingError,
    UnknownJob,
    UnknownModel,
    WrongChain,
)
from decentralized_vllm.protocol.escrow import escrow_of_share
from decentralized_vllm.protocol.events import InferenceRequested, JobOpened
from decentralized_vllm.protocol.ids import Address, JobId, ModelId
from decentralized_vllm.protocol.jobs import JobState, JobStatus
from decentralized_vllm.protocol.nodes import NodeProfile
from decentralized_vllm.protocol.permits import Permit
from decentralized_vllm.protocol.units import tokens
from tests.support.anvil import Anvil
from tests.support.local_network import MODEL, NODE, PROMPT_CID, REQUESTER, sending, submit


async def refused(settings: ChainSettings) -> None:
    async with connect(settings):
        pass


async def test_connect__coordinator_alone__finds_token_registries_and_clocks(
    network: Network, deployment: Deployment
) -> None:
    found = {
        "token": network.token.address,
        "coordinator": network.coordinator.address,
        "model_registry": network.model_registry.address,
        "node_registry": network.node_registry.address,
    }
    assert found == {name: c.address for name, c in deployment.contracts.items()}
    assert network.clocks.max_attempts == 4
    assert network.identity.is_local


async def test_connect__no_code_at_the_address__no_contract(anvil: Anvil) -> None:
    with pytest.raises(NoContract, match="contract_address"):
        await refused(ChainSettings((anvil.url,), NODE.address))


async def test_connect__another_contract__abi_mismatch(
    anvil: Anvil, deployment: Deployment
) -> None:
    token = deployment.contracts["token"].address
    with pytest.raises(AbiMismatch, match="contract_address"):
        await refused(ChainSettings((anvil.url,), token))


async def test_connect__another_chain_id__wrong_chain(anvil: Anvil, deployment: Deployment) -> None:
    with pytest.raises(WrongChain, match="eth_node_url"):
        await refused(ChainSettings((anvil.url,), deployment.coordinator.address, chain_id=1))


@pytest.mark.parametrize("address", ["", "0x12", "coordinator"])
async def test_connect__no_address__setting_error(anvil: Anvil, address: str) -> None:
    with pytest.raises(SettingError, match="contract_address"):
        await refused(ChainSettings((anvil.url,), address))


async def test_connect__nobody_listens__chain_unavailable_names_the_setting() -> None:
    with pytest.raises(ChainUnavailable, match="eth_node_url"):
        await refused(ChainSettings(("http://127.0.0.1:1",), NODE.address))


async def test_models__registered__listed_with_version_and_terms(network: Network) -> None:
    (model,) = await network.model_registry.models()
    assert (model.model_id, model.model_cid, model.is_active) == (
        MODEL.model_id,
        MODEL.model_cid,
        True,
    )
    current = await network.coordinator.current_version(MODEL.model_id)
    version = await network.coordinator.version(current.current)
    assert version.model_cid == MODEL.model_cid
    assert version.terms == await network.model_registry.default_terms()
    assert await network.jobs.terms(current.current) == version.terms


async def test_models__unknown_id__unknown_model(network: Network) -> None:
    with pytest.raises(UnknownModel):
        await network.model_registry.model(ModelId("none"))
    with pytest.raises(UnknownModel):
        await network.coordinator.current_version(ModelId("none"))


async def test_job__submitted__state_digest_and_history_agree(
    network: Network, tmp_path: Path
) -> None:
    async with sending(network, REQUESTER, tmp_path) as sender:
        job_id = await submit(network, sender, "job")
    job = await network.jobs.job(job_id)
    requester = Address(REQUESTER.address)
    assert (job.status, job.requester) == (JobStatus.OPEN, requester)
    terms = await network.jobs.terms(job.version)
    assert job.escrow_wei == escrow_of_share(terms, job.share)
    assert job.digest == request_digest(
        job_id, requester, PROMPT_CID, MODEL.model_id, MODEL.model_cid
    )
    request = await network.jobs.request(job_id)
    assert (request.prompt_cid, request.model_cid) == (PROMPT_CID, MODEL.model_cid)
    events = await network.jobs.events(job_id)
    assert [type(event) for event in events] == [InferenceRequested, JobOpened]


async def test_job__never_submitted__unknown_job(network: Network) -> None:
    with pytest.raises(UnknownJob):
        await network.jobs.job(JobId(7))
    with pytest.raises(UnknownJob):
        await network.jobs.request(JobId(7))


async def test_jobs__asked_for_together_with_one_that_does_not_exist__told_all_the_same(
    network: Network, tmp_path: Path
) -> None:
    """After a re-organisation some are gone, and who works on the others must not be told so."""
    async with sending(network, REQUESTER, tmp_path) as sender:
        job_id = await submit(network, sender, "job")
    asked = (job_id, JobId(job_id + 1), job_id)
    first, missing, last = await asyncio.gather(
        *(network.jobs.job(each) for each in asked), return_exceptions=True
    )
    assert isinstance(missing, UnknownJob)
    assert isinstance(first, JobState) and first == last


async def test_node__registered_with_profile__read_back(network: Network, tmp_path: Path) -> None:
    operator = Address(NODE.address)
    assert not (await network.node_registry.node(operator)).is_registered
    profile = NodeProfile(
        max_ram_mib=1024,
        max_vram_mib=0,
        max_cpu_percent=200,
        endpoint="http://127.0.0.1:9000",
        region="local",
        payout=Address(REQUESTER.address),
        slots=3,
    )
    async with sending(network, NODE, tmp_path) as sender:
        await sender.send(network.node_registry.register_node(profile), key="register")
        await sender.wait("register")
    (node,) = await network.node_registry.nodes()
    assert (node.operator, node.profile, node.is_registered) == (operator, profile, True)
    account = await network.coordinator.node(operator)
    assert (account.slots, account.payout) == (3, profile.payout)


async def test_permit__deposit_and_submit_in_one_call__credit_spent_without_approval(
    network: Network, tmp_path: Path
) -> None:
    """The node's key holds tokens it never approved for spending."""
    owner = Address(NODE.address)
    async with sending(network, REQUESTER, tmp_path) as sender:
        await sender.send(network.token.transfer(owner, tokens(100)), key="fund")
        await sender.wait("fund")
    permit = Permit(
        owner=owner,
        spender=network.coordinator.address,
        value_wei=tokens(50),
        nonce=await network.token.permit_nonce(owner),
        deadline_s=await network.jobs.chain_time_s() + 600,
    )
    signed = sign_permit(NODE, await network.token.domain(), permit)
    calls = network.requester_calls
    async with sending(network, NODE, tmp_path) as sender:
        deposit = calls.deposit_with_permit(signed)
        submission = calls.submit_prompt(PROMPT_CID, MODEL.model_id)
        await sender.send(calls.multicall([deposit, submission]), key="both")
        await sender.wait("both")
    job = await network.jobs.job(JobId(1))
    assert job.requester == owner
    assert await network.coordinator.credit(owner) == tokens(50) - job.escrow_wei
