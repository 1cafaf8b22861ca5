"""InferenceCoordinator: everything that can be said to it, encoded but not yet sent."""

from collections.abc import Sequence

from decentralized_vllm.chain.codec import contract_abi
from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, Cid, JobId, ModelId, VersionNumber, Wei
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.permits import SignedPermit
from decentralized_vllm.protocol.transactions import Call

MAX_LIST_STEPS = 64  # entries joined or left per transaction: about 3 M gas


class _Calls:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._abi = contract_abi("InferenceCoordinator")

    def _call(self, label: str, signature: str, *arguments: object) -> Call:
        data = self._abi.function(signature).encode(*arguments)
        return Call(to=self._address, data=data, label=label)


class RequesterCalls(_Calls):
    """What a requester says: money in and out, submit, cancel."""

    def submit_prompt(self, prompt_cid: Cid, model_id: ModelId) -> Call:
        """The documented call: escrows the whole maxFee and accepts any price."""
        return self._call(
            f"submit prompt to {model_id}", "submitPrompt(string,string)", prompt_cid, model_id
        )

    def submit_prompt_capped(
        self, prompt_cid: Cid, model_id: ModelId, *, ceiling_wei: Wei, share: int, node: Address
    ) -> Call:
        """`node` zero leaves the choice to the draw; see escrow.smallest_share for `share`."""
        return self._call(
            f"submit prompt to {model_id}",
            "submitPrompt(string,string,uint256,uint8,address)",
            prompt_cid,
            model_id,
            ceiling_wei,
            share,
            node,
        )

    def submit_prompt_with_cid(self, prompt_cid: Cid, model_cid: Cid) -> Call:
        return self._call(
            f"submit prompt to {model_cid}",
            "submitPromptWithCID(string,string)",
            prompt_cid,
            model_cid,
        )

    def cancel_job(self, job_id: JobId) -> Call:
        return self._call(f"cancel job {job_id}", "cancelJob(uint256)", job_id)

    def deposit(self, amount_wei: Wei) -> Call:
        """Needs the token's approval first; `deposit_with_permit` does not."""
        return self._call("deposit", "deposit(uint256)", amount_wei)

    def deposit_with_permit(self, permit: SignedPermit) -> Call:
        return self._call(
            "deposit",
            "depositWithPermit(uint256,uint256,uint8,bytes32,bytes32)",
            *permit.arguments,
        )

    def withdraw(self, amount_wei: Wei) -> Call:
        return self._call("withdraw", "withdraw(uint256)", amount_wei)

    def multicall(self, calls: Sequence[Call]) -> Call:
        """All or nothing, in one transaction."""
        label = " + ".join(call.label for call in calls)
        return self._call(label, "multicall(bytes[])", [call.data for call in calls])


class NodeCalls(_Calls):
    """What a node says: the JobCalls port, and its stake and duty."""

    def submit_response(
        self, job_id: JobId, response_cid: Cid, request_digest: bytes, usage: Usage | None
    ) -> Call:
        label = f"submit response of job {job_id}"
        if usage is None:
            signature = "submitResponse(uint256,string,bytes32)"
            return self._call(label, signature, job_id, response_cid, request_digest)
        return self._call(
            label,
            "submitResponse(uint256,string,bytes32,uint32,uint32)",
            job_id,
            response_cid,
            request_digest,
            usage.n_prompt_tokens,
            usage.n_output_tokens,
        )

    def take_job(self, job_id: JobId) -> Call:
        return self._call(f"take job {job_id}", "takeJob(uint256)", job_id)

    def fail_job(self, job_id: JobId, code: FailureCode, request_digest: bytes) -> Call:
        return self._call(
            f"hand back job {job_id}: {code.name}",
            "failJob(uint256,uint8,bytes32)",
            job_id,
            code,
            request_digest,
        )

    def expire_job(self, job_id: JobId) -> Call:
        return self._call(f"expire job {job_id}", "expireJob(uint256)", job_id)

    def settle(self, node: Address) -> Call:
        return self._call("settle earnings", "settle(address)", node)

    def stake(self, amount_wei: Wei) -> Call:
        return self._call("stake", "stake(uint256)", amount_wei)

    def stake_with_permit(self, permit: SignedPermit) -> Call:
        return self._call(
            "stake",
            "stakeWithPermit(uint256,uint256,uint8,bytes32,bytes32)",
            *permit.arguments,
        )

    def request_unstake(self, amount_wei: Wei) -> Call:
        return self._call("request unstake", "requestUnstake(uint256)", amount_wei)

    def withdraw_stake(self) -> Call:
        return self._call("withdraw stake", "withdrawStake()")

    def lock_stake(self, until_s: int) -> Call:
        return self._call("lock stake", "lockStake(uint64)", until_s)

    def resume(self) -> Call:
        return self._call("resume duty", "resume()")

    def join_version(self, version: VersionNumber, max_steps: int = MAX_LIST_STEPS) -> Call:
        return self._call(
            f"join version {version}", "joinVersion(uint256,uint256)", version, max_steps
        )

    def leave_version(self, version: VersionNumber, max_steps: int = MAX_LIST_STEPS) -> Call:
        return self._call(
            f"leave version {version}", "leaveVersion(uint256,uint256)", version, max_steps
        )
