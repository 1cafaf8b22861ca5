"""What every call of interest costs, from the receipts of whole transactions.

Steady state: accounts, nodes and counters that a call touches have been touched before. `first_*`
are the dearer first uses.
"""

from typing import Any

from eth_account import Account
from web3 import Web3

from decentralized_vllm.protocol.deployment_plan import COORDINATOR, NODE_REGISTRY, TOKEN
from decentralized_vllm.protocol.ids import Address
from decentralized_vllm.protocol.jobs import FailureCode
from decentralized_vllm.protocol.units import tokens
from tests.bench.gas_network import EPOCH_S, FLAT, GasNetwork, account, cid, joining

SUBMIT = "submitPrompt(string,string)"
SUBMIT_MORE = "submitPrompt(string,string,uint256,uint8,address)"
RESPOND = "submitResponse(uint256,string)"
RESPOND_DIGEST = "submitResponse(uint256,string,bytes32)"
RESPOND_USAGE = "submitResponse(uint256,string,bytes32,uint32,uint32)"
FAIL = "failJob(uint256,uint8,bytes32)"
FLAT_ID, USAGE_ID = "llama-3.1-8b-instruct", "llama-3.1-8b-by-usage"
NOBODY = "0x0000000000000000000000000000000000000000"
NODE, OTHER_NODE, KEEPER = account("node", 0), account("node", 1), account("keeper", 0)
CREDIT = tokens(1_000)
NO_CEILING = 2**256 - 1
# Known to everybody: a key for signing permits on the bench's own chain.
SIGNER = Account.from_key("0x" + "5e" * 32)
PERMIT = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


class GasCalls:
    """Plays each situation once; `gas` holds name → gas used."""

    def __init__(self, network: GasNetwork) -> None:
        self.gas: dict[str, int] = {}
        self._network = network
        self._requester = account("requester", 0)
        self._token = network.contracts[TOKEN]
        self._coordinator = network.contracts[COORDINATOR]
        self._n_prompts = 0

    def measure(self) -> dict[str, int]:
        self._requests()
        self._responses()
        self._ledger()
        self._endings()
        self._first_uses()
        return self.gas

    # ------------------------------------------------------------ situations
    # Every job ends before the next is submitted, so that each draw meets nodes that are all free.
    def _requests(self) -> None:
        self._fund(self._requester)
        self._finish(self._submit(FLAT_ID))
        self._finish(self._submit(FLAT_ID, name="submit_prompt"))
        self._finish(self._submit(FLAT_ID, (NO_CEILING, 255, NOBODY), name="submit_prompt_ceiling"))
        self._finish(self._submit(FLAT_ID, (NO_CEILING, 255, NODE), name="submit_prompt_named"))
        self._finish(self._submit(USAGE_ID, name="submit_prompt_usage"))

    def _responses(self) -> None:
        """By a node that has delivered in this epoch before."""
        for name, signature, model in (
            ("", RESPOND, FLAT_ID),
            ("submit_response", RESPOND, FLAT_ID),
            ("submit_response_digest", RESPOND_DIGEST, FLAT_ID),
            ("submit_response_usage", RESPOND_USAGE, USAGE_ID),
        ):
            job = self._submit(model, (NO_CEILING, 255, NODE))
            self._respond(job, signature, name=name)

    def _ledger(self) -> None:
        for name in ("first_deposit", "deposit"):
            self._give(SIGNER.address)
            self._call(name, SIGNER.address, "deposit(uint256)", tokens(1))
        self._call("withdraw", SIGNER.address, "withdraw(uint256)", tokens(1))
        self._network.send(
            SIGNER.address, TOKEN, "approve(address,uint256)", self._coordinator.address, 0
        )
        for name in ("first_permit_deposit_submit", "permit_deposit_submit"):
            calls = self._permit_and_submit()
            self._call(name, SIGNER.address, "multicall(bytes[])", calls)
            self._finish(self._last_job())

    def _endings(self) -> None:
        to_node = (NO_CEILING, 255, NODE)
        job = self._submit(FLAT_ID, to_node)
        self._fail(job, FailureCode.BUSY, name="fail_job_busy")
        self._call("take_job_open", OTHER_NODE, "takeJob(uint256)", job)
        self._fail(job, FailureCode.CONTENT_MISSING, name="fail_job_content")
        job = self._submit(FLAT_ID, to_node)
        self._fail(job, FailureCode.BUSY)
        self._call("cancel_job", self._requester, "cancelJob(uint256)", job)
        job = self._submit(FLAT_ID, to_node)
        self._fail(job, FailureCode.ENGINE_FAILED)
        self._network.pass_time(FLAT.open_s + 1)
        self._call("expire_job_open", KEEPER, "expireJob(uint256)", job)
        job = self._submit(FLAT_ID, to_node)
        self._network.pass_time(FLAT.lease_s + 16)
        self._call("take_job_lapsed", OTHER_NODE, "takeJob(uint256)", job)
        self._network.pass_time(FLAT.lease_s + FLAT.open_s + 16)
        self._call("expire_job_lapsed", KEEPER, "expireJob(uint256)", job)
        for node in (NODE, OTHER_NODE):
            self._call("resume", node, "resume()")

    def _first_uses(self) -> None:
        newcomer = account("newcomer", 0)
        self._fund(newcomer)
        self._call("first_submit_prompt", newcomer, SUBMIT, self._prompt(), FLAT_ID)
        self._finish(self._last_job())
        self._finish(self._submit(FLAT_ID, (NO_CEILING, 255, NODE)))
        self._network.pass_time(2 * EPOCH_S)
        job = self._submit(FLAT_ID, (NO_CEILING, 255, NODE))
        self._respond(job, RESPOND, name="first_submit_response_of_epoch")
        self._network.pass_time(2 * EPOCH_S)
        self._call("settle", KEEPER, "settle(address)", NODE)
        self._join()

    def _join(self) -> None:
        late = account("late node", 0)
        names = ("", "", "register_node", "stake", "join_version", "")
        for name, request in zip(names, joining(self._network, late), strict=True):
            self._note(name, self._network.send_request(request))
        receipt = self._network.send(late, NODE_REGISTRY, "setSlots(uint16)", 4)
        self._note("set_slots", receipt)

    # ------------------------------------------------------------ steps
    def _submit(self, model: str, more: tuple[object, ...] = (), *, name: str = "") -> int:
        signature = SUBMIT_MORE if more else SUBMIT
        self._call(name, self._requester, signature, self._prompt(), model, *more)
        return self._last_job()

    def _respond(self, job: int, signature: str, *, name: str = "") -> None:
        digest = self._job(job)[9]
        more = {RESPOND: (), RESPOND_DIGEST: (digest,), RESPOND_USAGE: (digest, 900, 400)}
        answer = cid("response", job)
        self._call(name, self._holder(job), signature, job, answer, *more[signature])

    def _fail(self, job: int, code: FailureCode, *, name: str = "") -> None:
        digest = self._job(job)[9]
        self._call(name, self._holder(job), FAIL, job, int(code), digest)

    def _finish(self, job: int) -> None:
        self._respond(job, RESPOND)

    def _call(self, name: str, sender: Address, signature: str, *arguments: object) -> None:
        self._note(name, self._network.send(sender, COORDINATOR, signature, *arguments))

    def _note(self, name: str, receipt: Any) -> None:
        if name:
            self.gas[name] = receipt["gasUsed"]

    def _permit_and_submit(self) -> list[bytes]:
        amount, deadline = tokens(1), 2**32
        signed = SIGNER.sign_typed_data(
            {
                "name": "Neuro",
                "version": "1",
                "chainId": 31337,
                "verifyingContract": self._token.address,
            },
            PERMIT,
            {
                "owner": SIGNER.address,
                "spender": self._coordinator.address,
                "value": amount,
                "nonce": self._network.view(TOKEN, "nonces(address)", SIGNER.address),
                "deadline": deadline,
            },
        )
        r, s = (part.to_bytes(32, "big") for part in (signed.r, signed.s))
        permit = "depositWithPermit(uint256,uint256,uint8,bytes32,bytes32)"
        calls = (
            self._network.calldata(COORDINATOR, permit, amount, deadline, signed.v, r, s),
            self._network.calldata(COORDINATOR, SUBMIT, self._prompt(), FLAT_ID),
        )
        return [bytes.fromhex(call[2:]) for call in calls]

    # ------------------------------------------------------------ helpers
    def _fund(self, requester: Address) -> None:
        self._give(requester)
        self._network.send(requester, COORDINATOR, "deposit(uint256)", CREDIT)

    def _give(self, owner: Address) -> None:
        """Tokens in the wallet, and an allowance that a deposit does not use up."""
        spender = self._coordinator.address
        self._network.send(owner, TOKEN, "faucet(address,uint256)", owner, CREDIT)
        self._network.send(owner, TOKEN, "approve(address,uint256)", spender, 2 * CREDIT)

    def _prompt(self) -> str:
        self._n_prompts += 1
        return cid("prompt", self._n_prompts)

    def _last_job(self) -> int:
        return int(self._network.view(COORDINATOR, "jobCount()"))

    def _job(self, job: int) -> tuple[object, ...]:
        state: tuple[object, ...] = self._network.view(COORDINATOR, "job(uint256)", job)
        return state

    def _holder(self, job: int) -> Address:
        return Address(Web3.to_checksum_address(str(self._job(job)[1])))
