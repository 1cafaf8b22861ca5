"""What the demonstration measured; its JSON form is the last line of `make demo JSON=1`."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from decentralized_vllm.protocol.generation import Usage
from decentralized_vllm.protocol.ids import Address, JobId, TxHash


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StageSeconds(_Frozen):
    """Seconds of one job.

    chain_wait: the request's way to the node: until it is in a block, and read from there
    fetch: the node reads and checks the prompt (and the model, if it is not there yet)
    generate: the engine, from the prompt to the last token
    publish: the answer is signed, stored and readable by its CID
    submit: the delivery, until it is in a block
    total: from the call that submits to a verified answer in the requester's hands
    """

    chain_wait: float
    fetch: float
    generate: float
    publish: float
    submit: float
    total: float


class Takeover(_Frozen):
    job_id: int
    first_worker: str
    second_worker: str


class Refund(_Frozen):
    job_id: int
    amount_wei: int


class DemoReport(_Frozen):
    job_id: int
    model_id: str
    engine: str
    prompt_cid: str
    response_cid: str
    text: str
    worker: str
    request_tx: str
    response_tx: str
    gas_request: int
    gas_response: int
    seconds: StageSeconds
    takeover: Takeover
    refund: Refund


@dataclass(frozen=True, slots=True)
class Money:
    """Where the escrow of a delivered job went."""

    escrow_wei: int
    price_wei: int
    fee_bps: int

    @property
    def back_wei(self) -> int:
        return self.escrow_wei - self.price_wei

    @property
    def fee_wei(self) -> int:
        return self.price_wei * self.fee_bps // 10_000

    @property
    def earned_wei(self) -> int:
        return self.price_wei - self.fee_wei


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction of a job's story; `by` is the name of who paid its gas."""

    what: str
    by: str
    tx_hash: TxHash
    gas_used: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A job that was answered, as the chain and the response document tell it."""

    job_id: JobId
    model_id: str
    prompt_cid: str
    response_cid: str
    text: str
    engine: str
    worker: Address
    worker_name: str
    request: Transaction
    response: Transaction
    usage: Usage
    finish_reason: str
    money: Money
    seconds: StageSeconds


@dataclass(frozen=True, slots=True)
class TakenOver:
    job_id: JobId
    first_worker: Address
    first_name: str
    second_worker: Address
    second_name: str
    text: str
    penalty_wei: int
    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class Refunded:
    job_id: JobId
    amount_wei: int
    transactions: tuple[Transaction, ...]


def make_report(delivery: Delivery, taken_over: TakenOver, refunded: Refunded) -> DemoReport:
    return DemoReport(
        job_id=delivery.job_id,
        model_id=delivery.model_id,
        engine=delivery.engine,
        prompt_cid=delivery.prompt_cid,
        response_cid=delivery.response_cid,
        text=delivery.text,
        worker=delivery.worker,
        request_tx=delivery.request.tx_hash,
        response_tx=delivery.response.tx_hash,
        gas_request=delivery.request.gas_used,
        gas_response=delivery.response.gas_used,
        seconds=delivery.seconds,
        takeover=Takeover(
            job_id=taken_over.job_id,
            first_worker=taken_over.first_worker,
            second_worker=taken_over.second_worker,
        ),
        refund=Refund(job_id=refunded.job_id, amount_wei=refunded.amount_wei),
    )
